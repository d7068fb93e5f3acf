"""Numbers that describe an equity curve. Rates are a year of 252 sessions; the risk-free rate is zero."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import pairwise

import polars as pl

YEAR = 252


def metrics_of(equity: pl.DataFrame, trades: pl.DataFrame) -> dict[str, float]:
    """Metrics of a backtest's `equity` (session, equity, exposure, cash) and `trades` (quantity, price, commission).

    cagr and volatility are yearly fractions, max_drawdown is negative or 0, turnover is one-sided trade value a year
    over mean equity, exposure the mean of gross value over equity, hit_rate the share of sessions with exposure that
    gained, worst_cash the lowest cash over equity. A number that the curve is too short for is left out.
    """
    curve = [float(v) for v in equity["equity"]]
    traded = _total(trades.select(pl.col("quantity").abs().cast(pl.Float64) * pl.col("price").cast(pl.Float64)))
    years = max(len(curve) - 1, 1) / YEAR
    found = {
        **curve_metrics(curve),
        "turnover": traded / 2 / years / (sum(curve) / len(curve)),
        "exposure": float(equity.select(pl.col("exposure").mean()).item()),
        "hit_rate": _hit_rate(equity),
        "worst_cash": float(equity.select((pl.col("cash") / pl.col("equity")).min()).item()),
        "trades": float(trades.height),
        "commission": float(trades["commission"].sum() or Decimal(0)),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def curve_metrics(curve: list[float]) -> dict[str, float]:
    """cagr, volatility, sharpe, sortino, max_drawdown, total_return of a curve of account values; NaN where undefined.

    Sharpe (1994): mean over standard deviation (n - 1) of session returns, times the root of 252. Sortino and
    Price (1994): the same mean over the root mean square of the negative returns, zeros counted. Drawdown: worst
    fall from the highest value before.
    """
    returns = [b / a - 1 for a, b in pairwise(curve)]
    grown = curve[-1] / curve[0]
    mean = sum(returns) / len(returns) if returns else math.nan
    variance = sum((r - mean) ** 2 for r in returns) / (len(returns) - 1) if len(returns) > 1 else math.nan
    downside = math.sqrt(sum(min(r, 0.0) ** 2 for r in returns) / len(returns)) if returns else math.nan
    deviation = math.sqrt(variance)
    return {
        "total_return": grown - 1,
        "cagr": grown ** (YEAR / len(returns)) - 1 if returns and grown > 0 else math.nan,
        "volatility": deviation * math.sqrt(YEAR),
        "sharpe": mean / deviation * math.sqrt(YEAR) if deviation else math.nan,
        "sortino": mean / downside * math.sqrt(YEAR) if downside else math.nan,
        "max_drawdown": max_drawdown(curve),
    }


def max_drawdown(curve: list[float]) -> float:
    """The worst value over the highest one before it, less 1: 0 for a curve that never falls."""
    worst, top = 0.0, curve[0]
    for value in curve:
        top = max(top, value)
        worst = min(worst, value / top - 1)
    return worst


def _hit_rate(equity: pl.DataFrame) -> float:
    held = equity.with_columns(
        gain=pl.col("equity") / pl.col("equity").shift(1) - 1, was_exposed=pl.col("exposure").shift(1) > 0
    ).filter("was_exposed")
    return float(held.select((pl.col("gain") > 0).mean()).item()) if held.height else math.nan


def _total(column: pl.DataFrame) -> float:
    return float(column.to_series().sum())
