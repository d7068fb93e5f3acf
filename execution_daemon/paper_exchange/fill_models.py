"""How good fills are: what a resting limit order gets, and what taking shares costs. Pure.

`touch` gives a resting order everything once its limit is reached; the others are more careful:

- `queue`: only shares that traded at the limit or beyond it, after those that were in the queue before the order, fill
  it (after C. Moallemi and K. Yuan, "A Model for Queue Position Valuation in a Limit Order Book", 2016: a queue moves
  by trades, and the value of an order is its place in it). Bars do not tell volume by price, so it is spread evenly
  over the bar's range.
- `chance`: a limit that was traded through is filled; one that was only touched, with `fill_probability`.
- `square_root`: taking Q shares of V costs on average 2/3 Y sigma sqrt(Q/V) (B. Toth et al., "Anomalous price impact
  and the critical nature of liquidity in financial markets", Physical Review X 1, 021006, 2011: the impact of Q grows
  as Y sigma sqrt(Q/V) with Y about 1; 2/3 is the mean of a square root on the way there). Sigma of the bar is
  M. Parkinson's ln(H/L) / sqrt(4 ln 2) ("The Extreme Value Method for Estimating the Variance of the Rate of Return",
  1980).
- `chance` as slippage: one cent more with `slip_probability`.

Chance is a hash of the seed, the order and the moment: the same run gives the same fills, also after a crash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum

from bifrost_core.trading.costs import CENT, TICK
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side
from execution_daemon.paper_exchange.tape import Bar

FOUR_LN_2 = 4 * Decimal(2).ln()
MEAN_OF_ROOT = Decimal(2) / 3


class LimitFills(StrEnum):
    """What fills a resting limit order."""

    TOUCH = "touch"
    QUEUE = "queue"
    CHANCE = "chance"


class Slippage(StrEnum):
    """What an order that takes shares pays beyond the print."""

    NONE = "none"
    SQUARE_ROOT = "square_root"
    CHANCE = "chance"


@dataclass(frozen=True, slots=True)
class FillModel:
    """One choice for resting orders, one for those that take, and their parameters.

    `queue_fraction`: the part of a bar's volume that waits at a limit before an order that joins it. `impact`: Y.
    """

    limit_fills: LimitFills = LimitFills.TOUCH
    slippage: Slippage = Slippage.NONE
    queue_fraction: Decimal = Decimal("0.01")
    impact: Decimal = Decimal(1)
    fill_probability: Decimal = Decimal("0.5")
    slip_probability: Decimal = Decimal("0.5")
    seed: int = 0

    def objection(self) -> str:
        """What makes no sense in it, in one line; empty if it can be used."""
        for name in ("queue_fraction", "fill_probability", "slip_probability"):
            if not 0 <= getattr(self, name) <= 1:
                return f"{name} must be from 0 to 1"
        return "" if self.impact.is_finite() and self.impact >= 0 else "impact must be >= 0"


TOUCH = FillModel()


@dataclass(frozen=True, slots=True)
class Resting:
    """What a resting order may get of a bar: `shares` (None: no bound) and the queue left before it."""

    shares: Decimal | None
    ahead: Decimal | None


def resting(model: FillModel, side: Side, limit: Decimal, bar: Bar, ahead: Decimal | None, draw: str) -> Resting:
    """What the bar gives an order that waited at `limit`; `draw` names the order and the moment."""
    match model.limit_fills:
        case LimitFills.TOUCH:
            return Resting(None, ahead)
        case LimitFills.CHANCE:
            is_through = bar.low < limit if side is Side.BUY else bar.high > limit
            filled = is_through or chance(model.seed, draw) < model.fill_probability
            return Resting(None if filled else ZERO, ahead)
        case LimitFills.QUEUE:
            before = _floor(bar.volume * model.queue_fraction) if ahead is None else ahead
            return from_queue(before, traded_at(side, limit, bar))


def from_queue(ahead: Decimal, traded: Decimal) -> Resting:
    """What `traded` shares at the limit leave for an order behind `ahead` others, and how many stay before it."""
    return Resting(max(traded - ahead, ZERO), max(ahead - traded, ZERO))


def traded_at(side: Side, limit: Decimal, bar: Bar) -> Decimal:
    """Shares of the bar that traded at `limit` or beyond it, if volume is spread evenly over its range; whole."""
    if bar.high == bar.low:
        is_there = limit >= bar.low if side is Side.BUY else limit <= bar.high
        return bar.volume if is_there else ZERO
    reach = limit - bar.low if side is Side.BUY else bar.high - limit
    share = min(max(reach / (bar.high - bar.low), ZERO), Decimal(1))
    return _floor(bar.volume * share)


def taken_at(model: FillModel, side: Side, price: Decimal, qty: Decimal, bar: Bar, draw: str) -> Decimal:
    """The price a share of `qty` taken at a print of `price`: never better, never outside the bar."""
    match model.slippage:
        case Slippage.NONE:
            return price
        case Slippage.CHANCE:
            slip = CENT if chance(model.seed, f"slip:{draw}") < model.slip_probability else ZERO
        case Slippage.SQUARE_ROOT:
            slip = price * model.impact * mean_impact(qty, bar)
    paid = (price + side.sign * slip).quantize(TICK, ROUND_HALF_UP)
    return min(max(paid, bar.low), bar.high) if slip else price


def mean_impact(qty: Decimal, bar: Bar) -> Decimal:
    """The mean relative cost of taking `qty` shares of the bar, for Y = 1."""
    if bar.volume <= 0 or bar.low <= 0:
        return ZERO
    sigma = (bar.high / bar.low).ln() / FOUR_LN_2.sqrt()
    return MEAN_OF_ROOT * sigma * (qty / bar.volume).sqrt()


def chance(seed: int, name: str) -> Decimal:
    """A number from 0 to 1 that looks random and is always the same for the same seed and name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return Decimal(int.from_bytes(digest[:8])) / Decimal(2**64)


def _floor(shares: Decimal) -> Decimal:
    return shares.to_integral_value(ROUND_FLOOR)
