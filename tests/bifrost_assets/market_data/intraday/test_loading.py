"""Loads of generated minutes into the real database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from bifrost_assets.market_data.intraday import reconcile
from bifrost_assets.market_data.intraday.append import Appended
from bifrost_assets.market_data.intraday.loading import load_minutes
from bifrost_assets.market_data.providers.base import MinuteProvider
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.market_data.reference import instrument_ids
from bifrost_assets.market_data.reference.instruments import register_again
from bifrost_assets.market_data.reference.listings import delist, rename
from bifrost_core.errors import BifrostError, ProviderError
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.intraday.conftest import Load
from tests.bifrost_assets.market_data.intraday.generated import GeneratedMinutes, at_minute, with_universe

DAY, OPEN = "2013-02-15", datetime(2013, 2, 15, 14, 30, tzinfo=UTC)
KNOWN = datetime(2013, 2, 15, 21, 15, tzinfo=UTC)
NIGHT, LATER = KNOWN + timedelta(minutes=5), KNOWN + timedelta(days=3)
MINUTE_AT = """
    select high, available_at, ingested_at from raw.minute_bars_as_of($1, $2) b
    join reference.instruments i using (instrument_id) where i.symbol = 'IBM' and start_at = $3
"""


def count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.read(f"select count(*) from {table}").item())


def test_minutes_follow_a_renamed_symbol(stocks: Warehouse) -> None:
    """The settings still say the old one: nobody would load the new one, and no check would miss its minutes."""
    settings = with_universe(stocks.settings, "AAPL", "OLD")
    warehouse = Warehouse(settings, Role.PIPELINE)
    day = date.fromisoformat(DAY)
    with warehouse.transaction() as connection:
        rename(connection, settings, "OLD", "IBM", day, "me")
    assert load_minutes(warehouse, GeneratedMinutes(settings), day, day, "test", lambda _: None).failed == {}
    days = reconcile.compared(warehouse, day, day)
    assert dict(days.select("symbol", "minutes").iter_rows()) == {"AAPL": 390, "IBM": 390}


def test_minutes_of_the_past_are_those_of_who_had_the_symbol_then(stocks: Warehouse, load: Load) -> None:
    """A backfill would give the minutes of a company that is gone to the one that has its symbol now."""
    with stocks.transaction() as connection:
        before = instrument_ids(connection)["IBM"]
        delist(connection, stocks.settings, "IBM", date(2013, 2, 19), None, "me")
    again = register_again(stocks, GeneratedMinutes(stocks.settings), "IBM", "me")
    load(DAY)
    owners = stocks.read("select distinct instrument_id from raw.minute_bars")["instrument_id"].to_list()
    assert before in owners
    assert again not in owners


def test_a_day_is_loaded_once_however_often(stocks: Warehouse, load: Load) -> None:
    """Every re-run of a partition would double the table, or read it all again."""
    assert load(DAY).appended == Appended(inserted=780)
    assert load(DAY).appended == Appended(unchanged=780)
    assert count(stocks, "raw.minute_bars") == 780
    assert count(stocks, "raw.minute_loads") == 2  # the second time the content was known
    assert count(stocks, "raw.payloads") == 2
    as_of = "select count(*) from raw.minute_bars_as_of($1)"
    assert stocks.read(as_of, KNOWN).item() == 780  # everything computed for a session looks back from there
    assert stocks.read(as_of, KNOWN - timedelta(seconds=1)).item() == 0


def test_a_changed_minute_is_a_vintage_known_when_it_was_stored(stocks: Warehouse, load: Load) -> None:
    """A correction would rewrite what was known on the day."""
    load(DAY, now=NIGHT)
    before = stocks.read(MINUTE_AT, LATER, LATER, OPEN)["high"].item()
    loaded = load(DAY, spoil=at_minute(OPEN, high=1e6), now=LATER)
    assert (loaded.appended.inserted, loaded.appended.revised) == (0, 2)
    assert count(stocks, "raw.minute_bars_superseded") == 2
    assert stocks.read(MINUTE_AT, KNOWN, NIGHT, OPEN)["high"].item() == before
    assert stocks.read(MINUTE_AT, KNOWN, LATER, OPEN)["high"].item() == before  # stored by then, but not known
    assert stocks.read(MINUTE_AT, LATER, LATER, OPEN)["high"].item() == 1e6


def test_content_that_comes_back_is_a_vintage_again(stocks: Warehouse, load: Load) -> None:
    """Compared with its own last load only, the vendor's second change would be missed."""
    load(DAY, now=NIGHT)
    wider = ("2013-02-14", DAY)
    load(*wider, spoil=at_minute(OPEN, high=1e6), now=LATER)
    back = load(DAY, now=LATER + timedelta(days=1))
    assert (back.appended.revised, back.appended.unchanged) == (2, 778)
    assert stocks.read("select max(high) from raw.minute_bars_as_of()").item() < 1e6


def test_a_minute_that_comes_late_was_not_known_before(stocks: Warehouse, load: Load) -> None:
    """A gap filled a week later would be there for yesterday's backtest and not for yesterday's trader."""
    load(DAY, spoil=lambda _, minutes: minutes.filter(pl.col("start_at") != OPEN), now=NIGHT)
    assert load(DAY, now=LATER).appended == Appended(inserted=2, unchanged=778)
    assert stocks.read(MINUTE_AT, KNOWN, LATER, OPEN).is_empty()
    assert stocks.read(MINUTE_AT, LATER, LATER, OPEN)["available_at"].item() == LATER


def test_a_minute_that_is_gone_from_the_answer_stays(stocks: Warehouse, load: Load) -> None:
    """A cut-off answer would take half a day back."""
    load(DAY)
    short = load(DAY, spoil=lambda _, minutes: minutes.head(100))
    assert short.appended == Appended(unchanged=200)
    assert stocks.read("select count(*) from raw.minute_bars_as_of()").item() == 780


def test_bad_minutes_are_in_quarantine_with_their_payload(stocks: Warehouse, load: Load) -> None:
    """What a rule refused could not be shown to the vendor."""
    loaded = load(DAY, spoil=at_minute(OPEN, volume=-5.0))
    assert loaded.quarantined == {"the volume is negative": 2}
    assert loaded.appended.inserted == 778
    assert load(DAY, spoil=at_minute(OPEN, volume=-5.0)).quarantined == {"the volume is negative": 2}
    rows = stocks.read("select source, subject, session, payload_sha256 from quarantine.rows order by subject")
    assert rows["source"].unique().to_list() == ["raw.minute_bars"]
    assert rows["session"].to_list() == [date(2013, 2, 15)] * 2
    assert set(rows["payload_sha256"]) == set(stocks.read("select sha256 from raw.payloads")["sha256"])


def test_months_are_loaded_one_by_one_and_said(stocks: Warehouse, load: Load) -> None:
    """A long backfill would hold all of it in memory, and look as if it hung."""
    log: list[str] = []
    loaded = load("2013-01-30", "2013-02-04", log=log)
    assert loaded.appended.inserted == 4 * 780
    assert [line.split(":")[0] for line in log] == ["minutes 1/2", "minutes 2/2"]
    assert "1560 new" in log[0]
    parts = stocks.read(
        "select tableoid::regclass::text as part, count(*) as n from raw.minute_bars group by 1 order by 1"
    )
    assert parts.rows() == [("raw.minute_bars_m201301", 1560), ("raw.minute_bars_m201302", 1560)]


def test_a_provider_without_minutes_says_so() -> None:
    """An attribute error in a stack trace."""
    nowhere = Warehouse(load_settings(), Role.PIPELINE)
    provider = SampleProvider(nowhere.settings)
    assert not isinstance(provider, MinuteProvider)
    with pytest.raises(ProviderError, match=r"'sample' has no one-minute bars.*BIFROST_PROVIDER"):
        load_minutes(nowhere, provider, date(2013, 2, 15), date(2013, 2, 15), "test", print)


def test_a_session_that_is_not_over_is_refused() -> None:
    """Half a day would be stored as the day."""
    nowhere = Warehouse(load_settings(), Role.PIPELINE)
    provider, early = GeneratedMinutes(nowhere.settings), KNOWN - timedelta(minutes=1)
    with pytest.raises(BifrostError, match="not over"):
        load_minutes(nowhere, provider, date(2013, 2, 15), date(2013, 2, 15), "test", print, early)


def test_a_bad_symbol_is_named_and_the_others_are_loaded(stocks: Warehouse) -> None:
    """One symbol would stop the night."""
    warehouse = Warehouse(with_universe(stocks.settings, "IBM", "XYZ"), Role.PIPELINE)
    provider = GeneratedMinutes(warehouse.settings)
    loaded = load_minutes(warehouse, provider, date(2013, 2, 15), date(2013, 2, 15), "test", print)
    assert loaded.appended.inserted == 390
    assert list(loaded.failed) == ["XYZ"]
    alone = Warehouse(with_universe(stocks.settings, "XYZ"), Role.PIPELINE)
    with pytest.raises(ProviderError, match="no minutes for any of XYZ"):
        load_minutes(alone, provider, date(2013, 2, 15), date(2013, 2, 15), "test", print)


def test_an_answer_without_columns_is_that_symbols_failure(stocks: Warehouse, load: Load) -> None:
    """One changed format would cost every symbol its day."""
    loaded = load(DAY, spoil=lambda symbol, minutes: minutes.drop("open") if symbol == "IBM" else minutes)
    assert loaded.appended.inserted == 390
    assert "no column open" in loaded.failed["IBM"]


def test_removed_months_are_loaded_when_asked_for_again(stocks: Warehouse, owner: Warehouse, load: Load) -> None:
    """A window that retention has emptied would be called unchanged for ever."""
    load(DAY)
    with owner.transaction() as connection:
        connection.execute("drop table raw.minute_bars_m201302")
    assert load(DAY).appended == Appended(inserted=780)
