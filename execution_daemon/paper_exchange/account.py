"""The account's arithmetic: positions, cash, equity and buying power. Pure; money in USD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from bifrost_core.trading.costs import TICK, to_cent
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side


@dataclass(frozen=True, slots=True)
class Margin:
    """Regulation T as Alpaca applies it: gross exposure up to `multiplier` times equity.

    Orders without a limit are valued at the last trade plus `market_buffer`.
    """

    multiplier: Decimal = Decimal("2")
    market_buffer: Decimal = Decimal("0.03")


@dataclass(frozen=True, slots=True)
class Position:
    """Signed shares and their average cost a share."""

    symbol: str
    qty: Decimal
    avg_cost: Decimal


@dataclass(frozen=True, slots=True)
class Commitment:
    """What an open order may still do: `leaves` shares of `symbol` at `price` a share."""

    symbol: str
    side: Side
    leaves: Decimal
    price: Decimal


def after_fill(position: Position, side: Side, qty: Decimal, price: Decimal) -> Position:
    """The position after `qty` shares at `price`: average cost moves when it grows, restarts when it crosses zero."""
    change = qty * side.sign
    total = position.qty + change
    if total == 0:
        return Position(position.symbol, ZERO, ZERO)
    if position.qty * change >= 0:  # opened or enlarged
        cost = (position.qty * position.avg_cost + change * price) / total
        return Position(position.symbol, total, cost.quantize(TICK, ROUND_HALF_UP))
    return Position(position.symbol, total, position.avg_cost if position.qty * total > 0 else price)


def cash_change(side: Side, qty: Decimal, price: Decimal, commission: Decimal) -> Decimal:
    """What an execution adds to cash: exact, not rounded."""
    return -side.sign * qty * price - commission


def after_split(position: Position, factor: Fraction, price: Decimal) -> tuple[Position, Decimal]:
    """The position in new shares, whole, and the cash paid in lieu of the fraction at `price` a new share.

    `factor` multiplies prices from before the split: 1/2 for two-for-one.
    """
    exact = Fraction(position.qty) / factor
    whole = Decimal(int(exact))  # toward zero
    rest = exact - int(exact)
    lieu = to_cent(Decimal(rest.numerator) / Decimal(rest.denominator) * price)
    cost = position.avg_cost * factor.numerator / factor.denominator
    return Position(position.symbol, whole, cost.quantize(TICK, ROUND_HALF_UP)), lieu


def equity(cash: Decimal, positions: Iterable[Position], marks: Mapping[str, Decimal]) -> Decimal:
    """Cash plus positions at `marks`; a position nobody has a price for counts at its cost."""
    return cash + sum((p.qty * marks.get(p.symbol, p.avg_cost) for p in positions), ZERO)


def buying_power(
    cash: Decimal,
    positions: Iterable[Position],
    marks: Mapping[str, Decimal],
    commitments: Iterable[Commitment],
    margin: Margin,
) -> Decimal:
    """What may still be opened: `multiplier` x equity, less gross exposure, less what open orders may add to it."""
    held = tuple(positions)
    gross = sum((abs(p.qty) * marks.get(p.symbol, p.avg_cost) for p in held), ZERO)
    return margin.multiplier * equity(cash, held, marks) - gross - opening_value(held, commitments)


def opening_value(positions: Iterable[Position], commitments: Iterable[Commitment]) -> Decimal:
    """USD of exposure that the orders may add. Shares that only reduce a position add none; each share reduces once."""
    reducible = {p.symbol: p.qty for p in positions}
    value = ZERO
    for order in commitments:
        held = reducible.get(order.symbol, ZERO)
        closable = min(abs(held), order.leaves) if held * order.side.sign < 0 else ZERO
        reducible[order.symbol] = held + order.side.sign * closable
        value += (order.leaves - closable) * order.price
    return value
