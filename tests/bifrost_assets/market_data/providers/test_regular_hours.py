"""Which minutes count, in both clock times of the year, on holidays and on half days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

from bifrost_assets.market_data.providers.base import MINUTE_SCHEMA
from bifrost_assets.market_data.providers.regular_hours import in_regular_hours


def kept(first: date, last: date) -> list[datetime]:
    """First and last regular minute of each day, of minutes all around the clock."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    count = ((last - first).days + 1) * 1440
    stamps = [start + timedelta(minutes=n) for n in range(count)]
    frame = pl.DataFrame({"start_at": stamps}).with_columns(
        pl.lit(1.0).alias(name) for name in MINUTE_SCHEMA if name != "start_at"
    )
    days = in_regular_hours(frame.cast(MINUTE_SCHEMA), "XNYS", first, last).group_by(  # type: ignore[arg-type]
        pl.col("start_at").dt.date(), maintain_order=True
    )
    return [at for _, day in days for at in (day["start_at"][0], day["start_at"][-1])]


def utc(month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(2013, month, day, hour, minute, tzinfo=UTC)


def test_clocks_go_forward_over_a_weekend() -> None:
    """The first hour of a week in March would be lost, and one after the close would come in."""
    expected = [utc(3, 8, 14, 30), utc(3, 8, 20, 59), utc(3, 11, 13, 30), utc(3, 11, 19, 59)]
    assert kept(date(2013, 3, 8), date(2013, 3, 11)) == expected


def test_clocks_go_back_over_a_weekend() -> None:
    """The same in November, the other way round."""
    expected = [utc(11, 1, 13, 30), utc(11, 1, 19, 59), utc(11, 4, 14, 30), utc(11, 4, 20, 59)]
    assert kept(date(2013, 11, 1), date(2013, 11, 4)) == expected


def test_a_holiday_and_a_half_day() -> None:
    """After-hours trades of the day after Thanksgiving would count, and quotes of Thanksgiving itself."""
    expected = [utc(11, 27, 14, 30), utc(11, 27, 20, 59), utc(11, 29, 14, 30), utc(11, 29, 17, 59)]
    assert kept(date(2013, 11, 27), date(2013, 11, 29)) == expected


def test_sessions_outside_the_window_are_left_out() -> None:
    """A vendor that answers with more than was asked for would have it stored."""
    frame = pl.DataFrame({name: [] for name in MINUTE_SCHEMA}, schema=MINUTE_SCHEMA)
    assert in_regular_hours(frame, "XNYS", date(2013, 3, 9), date(2013, 3, 10)).is_empty()
