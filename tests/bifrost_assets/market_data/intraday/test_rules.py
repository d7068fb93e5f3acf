from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from bifrost_assets.market_data.intraday.rules import in_schema, sift
from bifrost_core.calendar import session_of, sessions_between
from bifrost_core.errors import ProviderError
from tests.bifrost_assets.market_data.intraday.generated import minutes_of

DAY = session_of("XNYS", date(2013, 2, 15))
HALF_DAY = session_of("XNYS", date(2012, 11, 23))
BAR = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 1000.0}


def minutes(session=DAY) -> pl.DataFrame:
    return minutes_of(BAR, session).select(pl.lit("IBM").alias("symbol"), pl.all())


def changed(**values: object) -> pl.DataFrame:
    """A day's minutes with the eleventh one changed."""
    rows = minutes()
    cells = [
        pl.when(pl.int_range(pl.len()) == 10).then(pl.lit(v, dtype=rows.schema[k])).otherwise(pl.col(k)).alias(k)
        for k, v in values.items()
    ]
    return rows.with_columns(cells)


def test_every_minute_of_a_clean_day_is_kept() -> None:
    """A rule that is too strict loses good data."""
    sifted = sift(minutes(), [DAY])
    assert (sifted.good.height, sifted.bad.height) == (390, 0)
    assert sifted.good["session"].unique().to_list() == [DAY.session]


BROKEN = {
    "the time is missing": {"start_at": None},
    "a price or the volume is missing": {"close": None},
    "a price or the volume is not a finite number": {"high": math.inf},
    "a price is not positive": {"low": 0.0},
    "the volume is negative": {"volume": -1.0},
    "low and high do not bound open and close": {"high": 9.5},
    "the time is not the start of a minute": {"start_at": DAY.open_at + timedelta(minutes=10, seconds=30)},
    "the minute is before the sessions asked for": {"start_at": DAY.open_at - timedelta(minutes=1)},
    "the minute is outside the regular hours of the sessions asked for": {"start_at": DAY.close_at},
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_minute_is_held_with_its_reason_and_the_others_kept(reason: str) -> None:
    """One bad minute would poison every bar above it, or cost the whole day."""
    sifted = sift(changed(**BROKEN[reason]), [DAY])
    assert sifted.bad["reason"].to_list() == [reason]
    assert sifted.good.height == 389


def test_nan_is_no_price() -> None:
    """NaN compares as larger than everything, and slips through bounds."""
    assert sift(changed(close=math.nan), [DAY]).bad.height == 1


def test_the_last_minute_of_a_half_day_is_before_its_early_close() -> None:
    """Minutes after 13:00 would be taken for regular hours."""
    whole = minutes_of(BAR, HALF_DAY).select(pl.lit("IBM").alias("symbol"), pl.all())
    late = whole.with_columns(pl.col("start_at") + timedelta(hours=3, minutes=30))
    sifted = sift(pl.concat([whole, late]), [HALF_DAY])
    assert (sifted.good.height, sifted.bad.height) == (210, 210)


def test_hours_move_with_the_clocks() -> None:
    """The first and last hour would be lost in the weeks around a change of the clocks."""
    before, after = sessions_between("XNYS", date(2012, 11, 2), date(2012, 11, 5))
    assert (before.open_at.hour, after.open_at.hour) == (13, 14)
    both = pl.concat([minutes(before), minutes(after)])
    sifted = sift(both, [before, after])
    assert sifted.bad.is_empty()
    assert sifted.good["session"].value_counts()["count"].to_list() == [390, 390]


def test_a_minute_in_the_night_between_two_sessions_is_held() -> None:
    """It would be counted to the session before."""
    days = sessions_between("XNYS", date(2013, 2, 14), date(2013, 2, 15))
    night = datetime(2013, 2, 15, 3, tzinfo=DAY.open_at.tzinfo)
    sifted = sift(changed(start_at=night), days)
    assert "outside the regular hours" in sifted.bad["reason"].item()


def test_one_of_equal_minutes_stays_and_of_different_ones_none() -> None:
    """The first or the last of them would win by chance."""
    rows = minutes()
    again = rows.filter(pl.int_range(pl.len()) == 5)
    other = rows.filter(pl.int_range(pl.len()) == 7).with_columns(volume=pl.lit(7.0))
    sifted = sift(pl.concat([rows, again, other]), [DAY])
    assert sifted.good.height == 389
    assert sorted(sifted.bad["reason"]) == ["the minute has different bars"] * 2 + ["the minute has the same bar twice"]


def test_a_provider_that_changed_its_format_is_an_error() -> None:
    """A column of text would be an error deep in the load."""
    with pytest.raises(ProviderError, match="no column volume"):
        in_schema(minutes().drop("volume"))
    with pytest.raises(ProviderError, match="not numbers and times"):
        in_schema(minutes().with_columns(open=pl.lit("ten")))
