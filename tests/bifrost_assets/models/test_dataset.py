"""Labels against their definition."""

from __future__ import annotations

import polars as pl
import pytest

from bifrost_assets.models.dataset import labels, training_frame
from tests.bifrost_assets.research import sample_bars

STOCKS = sample_bars().filter(pl.col("symbol") != "SPX").select("instrument_id", "session", "total_return")


def test_a_label_is_the_next_five_sessions_less_the_mean() -> None:
    """A label that includes today's return can be predicted perfectly, and traded never."""
    got = labels(STOCKS)
    day = sorted(got["session"].unique())[1_500]
    forward = {}
    for (instrument,), own in STOCKS.sort("session").partition_by("instrument_id", as_dict=True).items():
        days = own["session"].to_list()
        if day in days:
            at = days.index(day)
            grown = 1.0
            for r in own["total_return"].to_list()[at + 1 : at + 6]:
                grown *= 1 + r
            forward[instrument] = (grown - 1, days[at + 5])
    mean = sum(value for value, _ in forward.values()) / len(forward)
    rows = got.filter(pl.col("session") == day)
    assert rows.height == len(forward) >= 3
    for row in rows.iter_rows(named=True):
        value, end = forward[row["instrument_id"]]
        assert row["label"] == pytest.approx(value - mean, abs=1e-12)
        assert row["label_end"] >= end


def test_the_last_sessions_have_no_label_yet() -> None:
    """A label made of fewer sessions than it says is another quantity."""
    last = STOCKS["session"].unique().sort()[-5:]
    assert labels(STOCKS).filter(pl.col("session").is_in(last.implode())).is_empty()


def test_a_session_with_one_instrument_has_no_relative_return() -> None:
    """Alone, every instrument equals the mean: zeros that teach the model nothing moves."""
    assert labels(STOCKS.filter(pl.col("instrument_id") == 1)).is_empty()


def test_training_rows_need_both_features_and_label() -> None:
    """An inner join that multiplies rows would count some days twice."""
    features = STOCKS.select("instrument_id", "session", feature=pl.col("total_return"))
    frame = training_frame(features, STOCKS)
    assert frame.height == labels(STOCKS).height
    assert not frame.select("instrument_id", "session").is_duplicated().any()
