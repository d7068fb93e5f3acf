"""Limits on the book as a whole and on each name, applied by scaling, never by choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

import polars as pl

from bifrost_core.settings import Settings

WEIGHT = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class PortfolioLimits:
    """Bounds on weights, as fractions of equity: per name, their absolute sum, and their absolute net."""

    max_weight: float
    max_gross: float
    max_net: float

    @classmethod
    def of(cls, settings: Settings) -> PortfolioLimits:
        return cls(settings.max_weight, settings.max_gross, settings.max_net)

    def breaches(self, weights: list[Decimal]) -> list[str]:
        """What `weights` of one session break, exactly; empty when all limits hold."""
        bounds = {
            "max_weight": (max(map(abs, weights), default=Decimal(0)), self.max_weight),
            "max_gross": (sum(map(abs, weights), Decimal(0)), self.max_gross),
            "max_net": (abs(sum(weights, Decimal(0))), self.max_net),
        }
        return [f"{name} {limit} < {value}" for name, (value, limit) in bounds.items() if value > Decimal(repr(limit))]


def limited(weights: pl.DataFrame, limits: PortfolioLimits) -> pl.DataFrame:
    """`weights` (session, ..., weight) with each session's weights brought within `limits`.

    First each name is cut to its limit, then the session is scaled down as a whole until its gross and its net hold.
    Nothing is scaled up, no sign changes, and every row stays.
    """
    cut = weights.with_columns(pl.col("weight").clip(-limits.max_weight, limits.max_weight))
    gross = pl.col("weight").abs().sum().over("session")
    net = pl.col("weight").sum().over("session").abs()
    scale = pl.min_horizontal(pl.lit(1.0), _at_most(limits.max_gross, gross), _at_most(limits.max_net, net))
    return cut.with_columns(weight=pl.col("weight") * scale)


def exact(weights: Mapping[str, float], limits: PortfolioLimits) -> dict[str, Decimal]:
    """One session's limited weights by symbol as decimals of 8 places, within `limits` to the last digit.

    Each is cut toward zero. Cutting longs and shorts apart may move the net beyond its limit by a few units of the
    last place; the largest weight on that side then gives them up.
    """
    cut = {symbol: Decimal(repr(float(w))).quantize(WEIGHT, ROUND_DOWN) + 0 for symbol, w in weights.items()}
    net = sum(cut.values(), Decimal(0))
    excess = (abs(net) - Decimal(repr(limits.max_net))).quantize(WEIGHT, ROUND_UP)
    if excess > 0:
        side = 1 if net > 0 else -1
        largest = max(sorted(cut), key=lambda symbol: side * cut[symbol])
        cut[largest] -= side * excess
    return cut


def _at_most(limit: float, value: pl.Expr) -> pl.Expr:
    return pl.when(value > limit).then(limit / value).otherwise(1.0)
