"""The roll-up in SQL against the same one in polars, across a change of the clocks and a half day."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from bifrost_assets.market_data.intraday.rollups import store_five_minute_bars
from bifrost_core.calendar import Session, sessions_between
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.intraday.conftest import Load
from tests.bifrost_assets.market_data.intraday.generated import at_minute
from tests.bifrost_assets.market_data.intraday.test_loading import DAY, LATER, NIGHT, OPEN

ROLLED = "select * from raw.rolled_up_minutes_as_of($1::integer, $2, $3) order by instrument_id, start_at"
FIRST, LAST = date(2012, 11, 1), date(2012, 11, 26)  # clocks change on the 4th, the 23rd is a half day


def model(minutes: pl.DataFrame, sessions: tuple[Session, ...], size: int) -> pl.DataFrame:
    """Buckets counted from each session's open, in plain polars."""
    opens = pl.DataFrame({"session": [s.session for s in sessions], "open_at": [s.open_at for s in sessions]})
    passed = (pl.col("start_at") - pl.col("open_at")).dt.total_minutes()
    bucket = pl.col("open_at") + pl.duration(minutes=passed // size * size)
    rows = minutes.join(opens, on="session").sort("start_at").with_columns(bucket=bucket)
    rolled = rows.group_by("instrument_id", "session", start_at="bucket").agg(
        open=pl.col("open").first(),
        high=pl.col("high").max(),
        low=pl.col("low").min(),
        close=pl.col("close").last(),
        volume=pl.col("volume").sum(),
        minutes=pl.len().cast(pl.Int32),
    )
    return rolled.sort("instrument_id", "start_at")


@pytest.fixture
def month(stocks: Warehouse, load: Load) -> pl.DataFrame:
    """Minutes with holes at the edges of buckets."""
    holes = (pl.col("start_at").dt.minute().is_in([30, 34, 59])) & (pl.col("start_at").dt.day() % 2 == 0)
    load(str(FIRST), str(LAST), spoil=lambda symbol, minutes: minutes.filter(~holes) if symbol == "IBM" else minutes)
    return stocks.read("select * from raw.minute_bars_as_of()")


def test_buckets_start_at_the_open_whatever_the_clocks_do(stocks: Warehouse, month: pl.DataFrame) -> None:
    """An hour's bar from 13:00 to 14:00 UTC would be half before the open; half days would end in the wrong place."""
    sessions = sessions_between("XNYS", FIRST, LAST)
    for size in (5, 15, 60, 1440):
        rolled = stocks.read(ROLLED, size, FIRST, LAST)
        expected = model(month, sessions, size)
        names = [name for name in expected.columns if name != "volume"]
        assert rolled.select(names).equals(expected.select(names)), size
        assert (rolled["volume"] / expected["volume"] - 1).abs().max() < 1e-12


def test_the_last_hour_of_a_session_is_half_an_hour(stocks: Warehouse, load: Load) -> None:
    """6.5 hours are not a whole number of them, nor are 3.5."""
    load("2012-11-21", "2012-11-23")
    rolled = stocks.read(ROLLED, 60, date(2012, 11, 21), date(2012, 11, 23))
    per_session = rolled.group_by("session").agg(pl.len(), pl.col("minutes").min()).sort("session")
    assert per_session.rows() == [(date(2012, 11, 21), 14, 30), (date(2012, 11, 23), 8, 30)]


def test_a_roll_up_as_of_a_time_has_the_minutes_of_that_time(stocks: Warehouse, load: Load) -> None:
    """A correction of last week would be in the bars of a backtest that could not have known it."""
    load(DAY, now=NIGHT)
    load(DAY, spoil=at_minute(OPEN, high=1e6), now=LATER)
    day = date.fromisoformat(DAY)
    high = "select max(high) from raw.rolled_up_minutes_as_of(5, $1, $1, $2, $3)"
    assert stocks.read(high, day, NIGHT, NIGHT).item() < 1e6
    assert stocks.read(high, day, NIGHT, LATER).item() < 1e6
    assert stocks.read(high, day, LATER, LATER).item() == 1e6


def test_stored_five_minute_bars_follow_the_minutes(stocks: Warehouse, load: Load) -> None:
    """Two formulas would drift apart; a revised minute would stay unseen."""
    load("2013-01-31", "2013-02-01")
    window = (date(2013, 1, 31), date(2013, 2, 1))
    log: list[str] = []
    stored = "select * from features.five_minute_bars order by instrument_id, start_at"
    assert store_five_minute_bars(stocks, *window, log.append) == 2 * 2 * 78
    assert len(log) == 2
    assert stocks.read(stored).equals(stocks.read(ROLLED, 5, *window))
    opens = sessions_between("XNYS", *window)[0].open_at + timedelta(minutes=4)
    load("2013-01-31", spoil=at_minute(opens, high=1e6))
    store_five_minute_bars(stocks, window[0], window[0], log.append)
    assert stocks.read(stored).equals(stocks.read(ROLLED, 5, *window))
    assert stocks.read("select count(*) from features.five_minute_bars where high = 1e6").item() == 2
