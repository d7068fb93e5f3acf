"""Limits hold for whatever strategies ask."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_assets.portfolio.combine import combined
from bifrost_assets.portfolio.limits import PortfolioLimits, exact, limited

DAY = date(2010, 6, 1)
WEIGHTS = st.lists(st.floats(-10, 10, allow_nan=False), min_size=1, max_size=12)
LIMITS = st.builds(PortfolioLimits, *(st.floats(0.01, 3).map(lambda x: round(x, 4)) for _ in range(3)))


def book(weights: list[float], day: date = DAY) -> pl.DataFrame:
    return pl.DataFrame({"session": day, "instrument_id": range(len(weights)), "weight": weights})


def decimals(weights: pl.Series, limits: PortfolioLimits) -> list[Decimal]:
    return list(exact({str(i): w for i, w in enumerate(weights)}, limits).values())


@given(WEIGHTS, LIMITS)
def test_limits_hold_to_the_last_digit(weights: list[float], limits: PortfolioLimits) -> None:
    """A gross of 1.00000001 is refused downstream, and the night's batch with it."""
    got = decimals(limited(book(weights), limits)["weight"], limits)
    assert limits.breaches(got) == []
    assert all(abs(float(d) - w) < 1e-6 for d, w in zip(got, limited(book(weights), limits)["weight"], strict=True))


@given(WEIGHTS, LIMITS)
def test_limiting_only_ever_shrinks(weights: list[float], limits: PortfolioLimits) -> None:
    """A limit that turns a long into a short, or scales a small book up, trades what nobody asked for."""
    for before, after in zip(weights, limited(book(weights), limits)["weight"], strict=True):
        assert abs(after) <= abs(before)
        assert before * after >= 0


@given(st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=5))
def test_a_book_within_limits_is_left_alone(weights: list[float]) -> None:
    """Needless scaling is turnover."""
    assert limited(book(weights), PortfolioLimits(0.1, 1.0, 1.0))["weight"].to_list() == pytest.approx(weights, abs=0)


def test_sessions_do_not_scale_each_other() -> None:
    """One wild session must not shrink the book of another."""
    other = date(2010, 6, 2)
    got = limited(pl.concat([book([5.0, 5.0]), book([0.1], other)]), PortfolioLimits(0.9, 1.0, 1.0))
    assert got.filter(pl.col("session") == other)["weight"].to_list() == [0.1]
    assert got.filter(pl.col("session") == DAY)["weight"].to_list() == pytest.approx([0.5, 0.5])


@given(WEIGHTS.filter(lambda w: max(map(abs, w)) > 1.5))
def test_a_breach_is_reported(weights: list[float]) -> None:
    """The check on stored batches is only worth something if it can fail."""
    asked = [Decimal(repr(w)) for w in weights]
    assert PortfolioLimits(1.0, 1_000.0, 1_000.0).breaches(asked)[0].startswith("max_weight")
    assert PortfolioLimits(10.0, 1.0, 1_000.0).breaches(asked)[0].startswith("max_gross")


def test_strategies_share_the_capital_equally_also_when_one_is_silent() -> None:
    """If a silent strategy's capital went to the others, adding a strategy would lever the rest."""
    signals = pl.DataFrame(
        {"session": DAY, "strategy": ["a", "a", "b"], "instrument_id": [1, 2, 1], "weight": [0.4, 0.2, -0.2]}
    )
    wide = PortfolioLimits(1.0, 1.0, 1.0)
    assert combined(signals, ("a", "b"), wide)["weight"].to_list() == pytest.approx([0.1, 0.1])
    assert combined(signals, ("a", "silent"), wide)["weight"].to_list() == pytest.approx([0.2, 0.1])
    assert combined(signals, ("a",), wide)["weight"].to_list() == pytest.approx([0.4, 0.2])
