from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from bifrost_assets.market_data.intraday.reconcile import disagreements, incomplete
from bifrost_core.settings import load_settings

SETTINGS = load_settings()
DAILY = {"daily_open": 10.0, "daily_high": 12.0, "daily_low": 9.0, "daily_close": 11.0, "daily_volume": 1000.0}
MINUTES = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 900.0}


def day(**values: float | None) -> pl.DataFrame:
    """One symbol's day on which both sides agree, with other values."""
    known = {"symbol": "IBM", "session": date(2013, 2, 15), "minutes": 390, "expected": 390}
    row = {**known, **MINUTES, **DAILY, **values}
    types = dict.fromkeys((*MINUTES, *DAILY), pl.Float64)
    return pl.DataFrame([row], schema_overrides=types)


def test_a_day_that_agrees_is_not_listed() -> None:
    """Auctions are in the day's volume only, and move its open and close a little."""
    assert disagreements(day(), SETTINGS).is_empty()
    assert disagreements(day(open=10.04, close=10.96, volume=600), SETTINGS).is_empty()


@pytest.mark.parametrize(
    ("field", "value"),
    [("open", 10.2), ("high", 11.8), ("low", 0.09), ("close", 1100.0), ("volume", 100.0), ("volume", 90_000.0)],
)
def test_what_differs_is_named_with_both_values(field: str, value: float) -> None:
    """A wrong symbol, scale or session would go unseen: minute by minute nothing is impossible."""
    found = disagreements(day(**{field: value}), SETTINGS)
    assert found.rows() == [("IBM", date(2013, 2, 15), field, value, DAILY[f"daily_{field}"])]


def test_one_side_alone_is_no_disagreement() -> None:
    """A daily bar that is not loaded yet would be called wrong."""
    assert disagreements(day(**dict.fromkeys(DAILY)), SETTINGS).is_empty()
    assert disagreements(day(**dict.fromkeys(MINUTES)), SETTINGS).is_empty()


def test_a_day_without_trade_agrees_with_one() -> None:
    """Nothing divided by nothing is not a number."""
    assert disagreements(day(volume=0, daily_volume=0), SETTINGS).is_empty()
    assert disagreements(day(volume=5, daily_volume=0), SETTINGS)["field"].to_list() == ["volume"]


def test_missing_minutes_count_where_there_was_trade() -> None:
    """A suspended stock has no minutes, and lacks none."""
    assert incomplete(day(minutes=371), SETTINGS).is_empty()
    assert incomplete(day(minutes=370), SETTINGS)["share"].to_list() == [0.9487]
    assert incomplete(day(minutes=0, daily_volume=0), SETTINGS).is_empty()
    assert incomplete(day(minutes=0), SETTINGS).height == 1
