"""Whole loads into the real database: what goes wrong with one symbol, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from bifrost_assets.market_data.evidence import read_payload
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import ProviderDown
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_assets.market_data.vintages import Appended
from bifrost_core.errors import BifrostError, ProviderError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.yahoo_server import Listed, YahooServer, yahoo_server

FIRST, LAST = date(2013, 2, 14), date(2013, 2, 15)
ROW = (10.0, 12.0, 9.0, 11.0, 100, 11.0)
NEXT = (10.0, 12.0, 9.0, 11.0, 101, 11.0)  # to the share the same bar would be held


@pytest.fixture
def vendor() -> Iterator[YahooServer]:
    with yahoo_server() as vendor:
        for symbol in ("AAPL", "IBM", "^GSPC"):
            vendor.listed[symbol] = Listed([(FIRST, *ROW), (LAST, *NEXT)])
        vendor.listed["^GSPC"].kind = "INDEX"
        yield vendor


def warehouse_with(settings: Settings, **changes: object) -> Warehouse:
    return Warehouse(settings.model_copy(update=changes), Role.PIPELINE)


@pytest.fixture
def yahoo(settings: Settings, vendor: YahooServer) -> Warehouse:
    return warehouse_with(settings, provider="yahoo", yahoo_url=vendor.url, universe=("AAPL", "IBM"))


def load(warehouse: Warehouse, first: date = FIRST, last: date = LAST, now: datetime | None = None):  # type: ignore[no-untyped-def]
    provider = provider_of(warehouse.settings)
    store_sessions(warehouse)
    register_instruments(warehouse, provider)
    return load_bars(warehouse, provider, first, last, "run", now)


def one(warehouse: Warehouse, sql: str) -> object:
    return warehouse.read(sql).item()


def test_a_load_and_its_repetition(warehouse: Warehouse) -> None:
    """Running a partition twice would add vintages, actions, members or payloads."""
    first = load(warehouse)
    assert first.appended == Appended(inserted=12)
    assert (first.members, first.payloads, first.failed, first.quarantined) == (5, 2, {}, {})
    again = load(warehouse)
    assert again.appended == Appended(unchanged=12)
    assert (again.actions, again.members, again.payloads) == (0, 0, 0)


def test_actions_are_found_one_session_at_a_time_as_in_one_load(warehouse: Warehouse) -> None:
    """A split on the first session of a window would be missed: its previous close is outside."""
    load(warehouse, date(2005, 2, 28), date(2005, 2, 28))
    sql = "select kind, price_factor from raw.corporate_actions"
    assert warehouse.read(sql).rows() == [("split", 0.5)]
    assert load(warehouse, date(2005, 2, 22), date(2005, 3, 4)).actions == 0


def test_bars_are_known_the_lag_after_their_close(warehouse: Warehouse) -> None:
    """A half day's bar would be known three hours late, or a winter's an hour early."""
    load(warehouse, date(2012, 11, 21), date(2012, 11, 23))
    known = warehouse.read("select distinct session, available_at from raw.daily_bars order by 1").rows()
    assert known == [
        (date(2012, 11, 21), datetime(2012, 11, 21, 21, 15, tzinfo=UTC)),
        (date(2012, 11, 23), datetime(2012, 11, 23, 18, 15, tzinfo=UTC)),
    ]


def test_one_bad_symbol_does_not_sink_the_run(settings: Settings) -> None:
    """A typing error in the universe would leave every other symbol without bars."""
    loaded = load(warehouse_with(settings, universe=("AAPL", "XYZ")))
    assert loaded.appended.inserted == 4  # AAPL and the index
    assert list(loaded.failed) == ["XYZ"]
    assert "XYZ" in loaded.failed["XYZ"]


def test_a_symbol_that_is_not_listed_yet_is_no_failure(warehouse: Warehouse) -> None:
    """Every session before a flotation would fail its check."""
    loaded = load(warehouse, date(2005, 5, 5), date(2005, 5, 5))
    assert loaded.failed == {}
    assert loaded.appended.inserted == 5


def test_every_symbol_bad_is_an_error_that_changes_nothing(settings: Settings) -> None:
    """An empty night would pass for a quiet one."""
    with pytest.raises(ProviderError, match="no bars for any of XYZ, ABC"):
        load(warehouse_with(settings, universe=("XYZ",), benchmark="ABC"))


def test_a_session_that_is_not_over_is_refused(warehouse: Warehouse) -> None:
    """Half a session's prices would be stored as its bar."""
    with pytest.raises(BifrostError, match=r"2013-02-15 is not over.*Ask for sessions up to 2013-02-14"):
        load(warehouse, now=datetime(2013, 2, 15, 20, tzinfo=UTC))


def test_bad_rows_go_to_quarantine_whole_and_once(yahoo: Warehouse, vendor: YahooServer) -> None:
    """A negative price would be traded on, or be gone without a trace."""
    vendor.listed["IBM"].rows[1] = (LAST, -10.0, 12.0, -11.0, 11.0, 100, 11.0)
    for _ in range(2):
        loaded = load(yahoo)
        assert loaded.quarantined == {"a price is not positive": 1}
        assert "quarantine" in loaded.failed["IBM"]
    held = yahoo.read("select subject, session, reason, row::text as row, payload_sha256 from quarantine.rows")
    assert held.height == 1
    assert held.row(0)[:3] == ("IBM", LAST, "a price is not positive")
    assert '"open": -10.0' in held["row"][0]
    with yahoo.transaction() as connection:
        assert b"-10.0" in read_payload(connection, held["payload_sha256"][0])
    assert one(yahoo, "select count(*) from raw.daily_bars") == 5


def test_a_restated_price_is_a_new_vintage_with_its_own_payload(yahoo: Warehouse, vendor: YahooServer) -> None:
    """What the vendor said first could no longer be shown."""
    load(yahoo)
    vendor.listed["IBM"].rows[1] = (LAST, 10.0, 12.0, 9.0, 11.5, 100, 11.5)
    loaded = load(yahoo)
    assert loaded.appended == Appended(0, 1, 5)
    sql = (
        "select count(distinct payload_sha256) from raw.daily_bars where session = '2013-02-15' and close in (11, 11.5)"
    )
    assert (
        one(yahoo, sql + " and instrument_id = (select instrument_id from reference.instruments where symbol = 'IBM')")
        == 2
    )


def test_a_provider_that_is_down_may_be_tried_again(settings: Settings, free_port: object) -> None:
    """A network hiccup would need a person in the night."""
    assert callable(free_port)
    down = f"http://127.0.0.1:{free_port()}"
    warehouse = warehouse_with(settings, provider="yahoo", yahoo_url=down, universe=("AAPL",))
    with pytest.raises(ProviderDown, match="does not answer"):
        load(warehouse)


def test_members_join_from_their_first_bar(warehouse: Warehouse) -> None:
    """A backtest would hold Facebook in 2000."""
    load(warehouse, date(2012, 5, 17), date(2012, 5, 21))
    members = "reference.universe_members join reference.instruments using (instrument_id)"
    sql = f"select valid_from from {members} where symbol = 'FB'"
    assert one(warehouse, sql) == date(2012, 5, 18)
    assert one(warehouse, "select count(*) from reference.universe_members m join reference.instruments i"
                          " using (instrument_id) where i.asset_class = 'index'") == 0  # fmt: skip
