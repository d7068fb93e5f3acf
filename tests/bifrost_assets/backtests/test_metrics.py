"""Metrics against numbers worked out by hand."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_assets.backtests.metrics import curve_metrics, max_drawdown, metrics_of
from bifrost_assets.backtests.trials import buy_and_hold

CURVE = [100.0, 110.0, 99.0, 108.9]  # +10 %, -10 %, +10 %
DAYS = [date(2010, 1, 1) + timedelta(days=n) for n in range(4)]


def test_the_curve_metrics_are_their_formulas() -> None:
    """A Sharpe ratio with the wrong root of time promotes the wrong strategy."""
    got = curve_metrics(CURVE)
    mean, deviation = 0.1 / 3, math.sqrt((2 * (0.2 / 3) ** 2 + (0.4 / 3) ** 2) / 2)
    assert got["total_return"] == pytest.approx(0.089)
    assert got["cagr"] == pytest.approx(1.089**84 - 1)
    assert got["volatility"] == pytest.approx(deviation * math.sqrt(252))
    assert got["sharpe"] == pytest.approx(mean / deviation * math.sqrt(252))
    assert got["sortino"] == pytest.approx(mean / math.sqrt(0.01 / 3) * math.sqrt(252))
    assert got["max_drawdown"] == pytest.approx(-0.1)


def test_trading_metrics() -> None:
    """Turnover and exposure are what costs scale with."""
    equity = pl.DataFrame(
        {"session": DAYS, "equity": CURVE, "exposure": [0.0, 1.0, 0.5, 0.5], "cash": [100.0, -11, 50, 54]}
    )
    trades = pl.DataFrame(
        {
            "quantity": [Decimal(10), Decimal(-5)],
            "price": [Decimal(11), Decimal(10)],
            "commission": [Decimal(1), Decimal(2)],
        }
    )
    got = metrics_of(equity, trades)
    assert got["turnover"] == pytest.approx((110 + 50) / 2 / (3 / 252) / (sum(CURVE) / 4))
    assert got["exposure"] == pytest.approx(0.5)
    assert got["hit_rate"] == pytest.approx(1 / 2)  # held over two sessions, gained in one
    assert got["worst_cash"] == pytest.approx(-0.1)
    assert (got["trades"], got["commission"]) == (2, 3)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=20))
def test_drawdown_is_the_worst_pair(curve: list[float]) -> None:
    """The running form has to equal the definition over all pairs."""
    pairs = [later / earlier - 1 for i, earlier in enumerate(curve) for later in curve[i:]]
    assert max_drawdown(curve) == pytest.approx(min(0.0, *pairs))


@pytest.mark.parametrize("curve", [[100.0], [100.0, 100.0], [100.0, 100.0, 100.0]])
def test_a_curve_that_says_nothing_has_no_ratio(curve: list[float]) -> None:
    """NaN in the metrics is refused by JSON, and loses the whole backtest."""
    equity = pl.DataFrame(
        {"session": DAYS[: len(curve)], "equity": curve, "exposure": [0.0] * len(curve), "cash": curve}
    )
    none = pl.DataFrame({"quantity": [], "price": [], "commission": []}, schema=dict.fromkeys(
        ("quantity", "price", "commission"), pl.Decimal(20, 6)))  # fmt: skip
    got = metrics_of(equity, none)
    assert all(math.isfinite(value) for value in got.values())
    assert "sharpe" not in got


def test_buy_and_hold_starts_with_the_cash_and_earns_the_index() -> None:
    """A benchmark that gets its first day free, or late, is another benchmark."""
    index = pl.DataFrame({"session": DAYS[:2] + DAYS[3:], "total_return": [0.5, 0.1, -0.2]})
    held = buy_and_hold(pl.Series("session", DAYS), index, 1_000.0)
    assert held.to_list() == pytest.approx([1_000.0, 1_100.0, 1_100.0, 880.0])
