"""The truncation check finds what knows the future, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from bifrost_assets.causality import look_ahead, sampled
from tests.bifrost_assets.research import sample_bars

CLOSE = pl.col("close")
HISTORY = sample_bars().filter(pl.col("session") > date(2012, 6, 1)).select("instrument_id", "session", "close")
DAYS = HISTORY["session"].unique().sort().to_list()


def computing(expression: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def compute(history: pl.DataFrame) -> pl.DataFrame:
        return history.select("instrument_id", "session", value=expression.over("instrument_id"))

    return compute


PLANTED = {
    "tomorrow's close": CLOSE.shift(-1),
    "z-score over the whole sample": (CLOSE - CLOSE.mean()) / CLOSE.std(),
    "centered rolling mean": CLOSE.rolling_mean(5, center=True),
    "backward fill": pl.when(pl.int_range(pl.len()) % 7 == 0).then(CLOSE).fill_null(strategy="backward"),
    "rank in the whole history": CLOSE.rank(),
}
HONEST = {
    "lag": CLOSE.shift(1),
    "rolling z-score": (CLOSE - CLOSE.rolling_mean(21)) / CLOSE.rolling_std(21),
    "exponential mean": CLOSE.ewm_mean(alpha=0.1, adjust=False),
    "forward fill": pl.when(pl.int_range(pl.len()) % 7 == 0).then(CLOSE).forward_fill(),
    "mean of the past": CLOSE.cum_sum() / pl.int_range(1, pl.len() + 1),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_look_ahead_is_found(name: str) -> None:
    """A strategy that trades on tomorrow's prices passes as brilliant."""
    found = look_ahead(computing(PLANTED[name]), HISTORY, sampled(DAYS[:-1], 5))
    assert found.height > 0
    assert set(found["column"]) == {"value"}


@pytest.mark.parametrize("name", HONEST)
def test_honest_computations_pass(name: str) -> None:
    """A check that cries wolf is switched off."""
    assert look_ahead(computing(HONEST[name]), HISTORY, sampled(DAYS, 5)).is_empty()


def test_rows_that_only_the_future_makes_appear_are_found() -> None:
    """Dropping instruments that are delisted later is survivorship bias: the row itself depends on the future."""

    def survivors(history: pl.DataFrame) -> pl.DataFrame:
        alive = history.filter(pl.col("session") == history["session"].max())["close"] > 100
        kept = history.filter(pl.col("session") == history["session"].max())["instrument_id"].filter(alive)
        return history.filter(pl.col("instrument_id").is_in(kept.implode()))

    rising = HISTORY.with_columns(close=pl.col("close") * pl.when(pl.col("session") == DAYS[-1]).then(100).otherwise(1))
    found = look_ahead(survivors, rising, [DAYS[40]])
    assert "session" in set(found["column"])
    assert found["truncated"].null_count() > 0


def test_a_null_that_the_future_fills_is_found() -> None:
    """Comparing with plain `!=` would skip nulls, and a value that only the future supplies would pass."""
    found = look_ahead(computing(CLOSE.shift(-3)), HISTORY, [DAYS[10]])
    assert set(found["truncated"]) == {None}


def test_sampled_sessions_span_the_window() -> None:
    """Cutoffs in one corner of the window would leave the rest unproven."""
    chosen = sampled(DAYS, 5)
    assert (len(chosen), chosen[0], chosen[-1]) == (5, DAYS[0], DAYS[-1])
    assert sampled(DAYS[:3], 5) == DAYS[:3]
    assert sampled([], 5) == []
