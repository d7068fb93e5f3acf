"""Each session's features come from what was known at its own cutoff, also where many sessions are computed at once."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from bifrost_assets.asof import bars_as_of, known_at, views
from bifrost_assets.features.daily import FEATURES
from bifrost_assets.features.history import features_of_window, history_start
from bifrost_core.calendar import sessions_between
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import IDS, load, sample_bars

FIRST, LAST = date(2013, 2, 1), date(2013, 2, 15)
DAYS = [s.session for s in sessions_between("XNYS", FIRST, LAST)]
KEY = ("instrument_id", "session", "ingested_at")


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    load(warehouse, sample_bars().filter(pl.col("session") > date(2011, 6, 1)))
    return warehouse


def after(session: date) -> datetime:
    """An hour after the cutoff of `session`: too late for it."""
    return known_at_cutoff(session) + timedelta(hours=1)


def known_at_cutoff(session: date) -> datetime:
    return next(s.close_at for s in sessions_between("XNYS", session, session)) + timedelta(minutes=15)


def replaced(warehouse: Warehouse, symbol: str, session: date, at: datetime, close: float | None) -> None:
    """The bar is superseded at `at`, by one with another close or (None) by nothing."""
    sql = "select * from raw.daily_bars_as_of() where instrument_id = $1 and session = $2"
    old = warehouse.read(sql, IDS[symbol], session)
    with warehouse.transaction() as connection:
        gone = old.select(*KEY).with_columns(superseded_at=pl.lit(at))
        copy_frame(connection, gone, "raw.daily_bars_superseded")
        if close is not None:
            new = old.with_columns(close=pl.lit(close), ingested_at=pl.lit(at), available_at=pl.lit(at))
            copy_frame(connection, new, "raw.daily_bars")


def one_by_one(warehouse: Warehouse) -> pl.DataFrame:
    return pl.concat([features_of_window(warehouse, day, day) for day in DAYS])


def same(a: pl.DataFrame, b: pl.DataFrame) -> bool:
    columns = ["instrument_id", "session", *FEATURES]
    keys = ["instrument_id", "session"]
    left, right = a.select(columns).sort(keys), b.select(columns).sort(keys)
    if not left.select(keys).equals(right.select(keys)):
        return False
    gaps = [(left[name] - right[name]).abs().max() for name in FEATURES]
    return all(gap is None or gap < 1e-9 for gap in gaps)


def test_where_nothing_came_late_the_window_is_read_once(loaded: Warehouse) -> None:
    """A backfill of ten years would read the history once for every session."""
    assert [(v.first, v.last) for v in views(loaded, history_start("XNYS", FIRST), FIRST, LAST)] == [(FIRST, LAST)]
    assert same(features_of_window(loaded, FIRST, LAST), one_by_one(loaded))


def test_a_restated_close_is_used_from_the_session_that_knew_it(loaded: Warehouse) -> None:
    """A backfill over a correction would show the past what was corrected later, and every backtest would profit."""
    before = one_by_one(loaded)
    replaced(loaded, "IBM", date(2013, 2, 4), after(date(2013, 2, 7)), 150.0)
    window = features_of_window(loaded, FIRST, LAST)
    assert same(window, one_by_one(loaded))
    old, new = pl.col("session") <= date(2013, 2, 7), pl.col("session") > date(2013, 2, 7)
    assert same(window.filter(old), before.filter(old))
    assert not same(window.filter(new), before.filter(new))


def test_a_withdrawn_bar_is_used_until_it_was_withdrawn(loaded: Warehouse) -> None:
    """What nobody doubted on the day was traded on: to leave it out would make another day of it."""
    replaced(loaded, "AAPL", date(2013, 2, 5), after(date(2013, 2, 11)), None)
    window = features_of_window(loaded, FIRST, LAST)
    assert same(window, one_by_one(loaded))
    ibm = window.filter((pl.col("instrument_id") == IDS["AAPL"]) & (pl.col("session") == date(2013, 2, 5)))
    assert ibm.height == 1


def test_an_action_that_came_late_moves_returns_from_then_on(loaded: Warehouse) -> None:
    """A dividend booked a week late was in nobody's returns that week."""
    row = {
        "instrument_id": IDS["MSFT"],
        "ex_session": date(2013, 2, 6),
        "kind": "cash_dividend",
        "price_factor": 0.9,
        "provider": "sample",
        "payload_sha256": "0" * 64,
    }
    at = after(date(2013, 2, 8))
    with loaded.transaction() as connection:
        late = pl.DataFrame([row]).with_columns(
            pl.col("instrument_id").cast(pl.Int32), available_at=pl.lit(at), ingested_at=pl.lit(at)
        )
        copy_frame(connection, late, "raw.corporate_actions")
    assert len(views(loaded, history_start("XNYS", FIRST), FIRST, LAST)) == 2
    assert same(features_of_window(loaded, FIRST, LAST), one_by_one(loaded))


def test_returns_are_those_of_the_adjusted_closes(loaded: Warehouse) -> None:
    """A factor applied to the wrong side of the ex-session turns a dividend into a loss twice its size."""
    bars = bars_as_of(loaded, FIRST, LAST, known_at(loaded.settings, LAST))
    expected = sample_bars().filter(pl.col("session").is_between(DAYS[1], LAST))
    both = bars.filter(pl.col("session") > FIRST).join(expected, on=["instrument_id", "session"])
    assert both.height == 6 * (len(DAYS) - 1)
    assert (both["total_return"] - both["total_return_right"]).abs().max() < 1e-9


def test_a_late_bar_that_was_corrected_later_parts_the_sessions_too(warehouse: Warehouse) -> None:
    """A backfill would show the bar to the nights between its session and its arrival."""
    bars = sample_bars().filter(pl.col("session") > date(2011, 6, 1))
    is_late = (pl.col("session") == date(2013, 2, 5)) & (pl.col("symbol") == "IBM")
    load(warehouse, bars.filter(~is_late))
    at = after(date(2013, 2, 7))
    late = bars.filter(is_late).with_columns(available_at=pl.lit(at), ingested_at=pl.lit(at), provider=pl.lit("sample"))
    columns = ("instrument_id", "session", "open", "high", "low", "close", "volume", "available_at", "ingested_at")
    with warehouse.transaction() as connection:
        copy_frame(connection, late.select(*columns, "provider", "payload_sha256"), "raw.daily_bars")
    replaced(warehouse, "IBM", date(2013, 2, 5), after(date(2013, 2, 12)), 150.0)
    assert same(features_of_window(warehouse, FIRST, LAST), one_by_one(warehouse))
