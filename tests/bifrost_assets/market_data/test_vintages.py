"""Append-only vintages in the real database, and as-of reads against a model that keeps everything in a list."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bifrost_assets.market_data.vintages import Appended
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.storing import append_vintages

DAY = date(2013, 2, 14)
LOADED = datetime(2013, 3, 1, tzinfo=UTC)
AS_OF = "select instrument_id, session, close, ingested_at from raw.daily_bars_as_of($1, $2) order by 1, 2"


def known(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, 15, tzinfo=UTC)


def bars(closes: dict[tuple[int, date], float]) -> pl.DataFrame:
    rows = [(*key, known(key[1]), close, close, close, close, 1.0, None) for key, close in closes.items()]
    columns = ["instrument_id", "session", "available_at", "open", "high", "low", "close", "volume", "vendor_adj_close"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame.with_columns(provider=pl.lit("test"), payload_sha256=pl.lit("0" * 64))


def counts(warehouse: Warehouse) -> tuple[int, int]:
    sql = "select (select count(*) from raw.daily_bars) a, (select count(*) from raw.daily_bars_superseded) b"
    return warehouse.read(sql).row(0)


def test_loading_the_same_bars_again_adds_nothing(warehouse: Warehouse) -> None:
    """Every re-run of a partition would double the table."""
    some = bars({(1, DAY): 10.0, (2, DAY): 20.0, (1, date(2012, 12, 31)): 9.0})
    assert append_vintages(warehouse, some, LOADED) == Appended(inserted=3)
    assert append_vintages(warehouse, some, LOADED + timedelta(days=1)) == Appended(unchanged=3)
    assert counts(warehouse) == (3, 0)


def test_a_changed_value_is_a_new_vintage_known_when_it_was_stored(warehouse: Warehouse) -> None:
    """A restated close would rewrite what was known on the day, and every decision made from it."""
    append_vintages(warehouse, bars({(1, DAY): 10.0, (2, DAY): 20.0}), LOADED)
    later = LOADED + timedelta(days=1)
    assert append_vintages(warehouse, bars({(1, DAY): 11.0, (2, DAY): 20.0}), later) == Appended(0, 1, 1)
    assert counts(warehouse) == (3, 1)
    assert warehouse.read(AS_OF, LOADED, LOADED)["close"].to_list() == [10.0, 20.0]
    assert warehouse.read(AS_OF, later, later)["close"].to_list() == [11.0, 20.0]
    assert warehouse.read(AS_OF, LOADED, later)["close"].to_list() == [10.0, 20.0]  # stored by then, but not known


def test_a_new_session_beside_stored_ones_is_inserted(warehouse: Warehouse) -> None:
    """The nightly increment of a year that has bars already."""
    append_vintages(warehouse, bars({(1, DAY): 10.0}), LOADED)
    assert append_vintages(warehouse, bars({(1, DAY): 10.0, (1, date(2013, 2, 15)): 11.0}), LOADED) == Appended(1, 0, 1)


def test_a_restated_adjusted_close_alone_is_no_vintage(warehouse: Warehouse) -> None:
    """Every dividend would make a new vintage of all history."""
    append_vintages(warehouse, bars({(1, DAY): 10.0}), LOADED)
    restated = bars({(1, DAY): 10.0}).with_columns(vendor_adj_close=pl.lit(9.0))
    assert append_vintages(warehouse, restated, LOADED + timedelta(days=1)) == Appended(unchanged=1)


def test_a_load_that_fails_leaves_nothing(warehouse: Warehouse) -> None:
    """Half a load would be taken for a whole one. The second year's bars collide with the first load's key."""
    append_vintages(warehouse, bars({(1, date(2013, 1, 2)): 10.0}), LOADED)
    clash = bars({(1, date(2012, 12, 31)): 9.0, (1, date(2013, 1, 2)): 10.5})
    with pytest.raises(Exception, match="daily_bars"):
        append_vintages(warehouse, clash, LOADED)  # the same ingested_at again: the primary key refuses the vintage
    assert counts(warehouse) == (1, 0)


def test_two_bars_for_one_key_are_refused_before_anything_is_written(warehouse: Warehouse) -> None:
    """The first or the last of them would win by chance."""
    with pytest.raises(ValueError, match="more than once"):
        append_vintages(warehouse, pl.concat([bars({(1, DAY): 10.0}), bars({(1, DAY): 11.0})]), LOADED)
    assert counts(warehouse) == (0, 0)


@pytest.mark.parametrize("statement", ["update raw.daily_bars set close = 1", "delete from raw.daily_bars"])
def test_nobody_changes_a_stored_bar(warehouse: Warehouse, owner: Warehouse, statement: str) -> None:
    """History could be rewritten without a trace, by the owner too."""
    append_vintages(warehouse, bars({(1, DAY): 10.0}), LOADED)
    for who in (warehouse, owner):
        with pytest.raises(psycopg.Error), who.transaction() as connection:
            connection.execute(statement)
    assert warehouse.read(AS_OF, LOADED, LOADED)["close"].to_list() == [10.0]


def test_as_of_reads_are_planned_without_calling_the_function(warehouse: Warehouse) -> None:
    """If it does not inline, every read materialises all vintages of all years first."""
    with warehouse.transaction() as connection:
        plan = connection.execute(
            "explain select * from raw.daily_bars_as_of(now(), now()) where session = '2013-02-14'"
        )
        text = "\n".join(line for (line,) in plan)
    assert "daily_bars_y2013" in text
    assert "Function Scan" not in text


SESSIONS = [date(2012, 12, 31), date(2013, 1, 2), date(2013, 1, 3)]
keys = st.tuples(st.integers(1, 2), st.sampled_from(SESSIONS))
loads = st.lists(st.dictionaries(keys, st.sampled_from([1.0, 2.0]), min_size=1, max_size=5), min_size=1, max_size=4)
hours = st.integers(-1, 6)


def as_of(
    loaded: list[dict[tuple[int, date], float]], known_at: datetime, stored_at: datetime
) -> list[tuple[object, ...]]:
    """The definition, said plainly: per key, the last vintage that was both known and stored by then."""
    current: dict[tuple[int, date], tuple[float, datetime]] = {}
    seen: dict[tuple[int, date], float] = {}
    for n, load in enumerate(loaded):
        at = LOADED + timedelta(hours=n)
        for key, close in load.items():
            if seen.get(key) == close:
                continue
            available = max(known(key[1]), at) if key in seen else known(key[1])
            seen[key] = close
            if available <= known_at and at <= stored_at:
                current[key] = (close, at)
    return sorted((*key, *value) for key, value in current.items())


@given(loads, hours, hours)
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_of_reads_agree_with_the_definition(
    warehouse: Warehouse, owner: Warehouse, loaded: list[dict[tuple[int, date], float]], known_in: int, stored_in: int
) -> None:
    """The anti-join that makes reads fast would give other rows than the definition."""
    with owner.transaction() as connection:
        connection.execute("alter table raw.daily_bars disable trigger append_only_truncate")
        connection.execute("alter table raw.daily_bars_superseded disable trigger append_only_truncate")
        connection.execute("truncate raw.daily_bars, raw.daily_bars_superseded")
    for n, load in enumerate(loaded):
        append_vintages(warehouse, bars(load), LOADED + timedelta(hours=n))
    known_at, stored_at = (LOADED + timedelta(hours=n, minutes=30) for n in (known_in, stored_in))
    assert sorted(warehouse.read(AS_OF, known_at, stored_at).rows()) == as_of(loaded, known_at, stored_at)
    assert sorted(warehouse.read(AS_OF, known(SESSIONS[1]), stored_at).rows()) == as_of(
        loaded, known(SESSIONS[1]), stored_at
    )
