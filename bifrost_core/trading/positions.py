"""Positions at average cost, realised profit and loss, and cash: all of them sums over fills.

Identities, which the tests and dbt hold: quantity = sum of signed fill quantities; cash = initial cash
+ sum of cash effects; cash change + cost of what is held = realised P&L - commissions (up to the rounding of
`avg_cost` to six decimals).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from bifrost_core.trading.costs import TICK
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution: unsigned shares at `price` USD, commission in USD."""

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    commission: Decimal = ZERO

    @property
    def signed_qty(self) -> Decimal:
        return self.qty * self.side.sign

    @property
    def cash_effect(self) -> Decimal:
        """Change of the cash balance: negative for a purchase, and less the commission."""
        return -self.signed_qty * self.price - self.commission


@dataclass(frozen=True, slots=True)
class Position:
    """Signed shares, their average cost (six decimals) and the P&L realised so far, before commissions."""

    quantity: Decimal = ZERO
    avg_cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO


FLAT = Position()


def apply(position: Position, fill: Fill) -> Position:
    """The position after `fill`: what adds is averaged, what reduces realises, what crosses zero starts anew."""
    before, change = position.quantity, fill.signed_qty
    after = before + change
    if before * change >= 0:
        cost = (position.avg_cost * abs(before) + fill.price * fill.qty) / abs(after) if after else ZERO
        return Position(after, _tick(cost), position.realized_pnl)
    closed = min(fill.qty, abs(before)) * (1 if before > 0 else -1)
    realized = position.realized_pnl + _tick(closed * (fill.price - position.avg_cost))
    if after == 0:
        return Position(ZERO, ZERO, realized)
    crossed = before * after < 0
    return Position(after, _tick(fill.price) if crossed else position.avg_cost, realized)


def _tick(value: Decimal) -> Decimal:
    return value.quantize(TICK, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Cash and positions of one account."""

    cash: Decimal = ZERO
    positions: Mapping[str, Position] = field(default_factory=dict)

    @property
    def symbols(self) -> frozenset[str]:
        """What is held, long or short."""
        return frozenset(symbol for symbol, position in self.positions.items() if position.quantity)

    def quantity(self, symbol: str) -> Decimal:
        return self.positions.get(symbol, FLAT).quantity

    def after(self, fill: Fill) -> Holdings:
        """These holdings with `fill` in them."""
        moved = apply(self.positions.get(fill.symbol, FLAT), fill)
        return Holdings(self.cash + fill.cash_effect, {**self.positions, fill.symbol: moved})

    def adjusted(self, symbol: str, qty_change: Decimal, cash_change: Decimal) -> Holdings:
        """These holdings after something that was no trade: shares that came or went keep the cost of the whole."""
        cash = self.cash + cash_change
        before = self.positions.get(symbol, FLAT)
        after = before.quantity + qty_change
        if not qty_change:
            return Holdings(cash, self.positions)
        cost = _tick(before.avg_cost * before.quantity / after) if after else ZERO
        moved = Position(after, abs(cost), before.realized_pnl)
        return Holdings(cash, {**self.positions, symbol: moved})

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal | None:
        """Cash and positions at `prices`; None where a held symbol has no finite price above zero."""
        total = self.cash
        for symbol, position in self.positions.items():
            if position.quantity == 0:
                continue
            price = prices.get(symbol)
            if price is None or not price.is_finite() or price <= 0:
                return None
            total += position.quantity * price
        return total


def hold(initial_cash: Decimal, fills: Iterable[Fill]) -> Holdings:
    """Holdings after all `fills`, in sequence."""
    holdings = Holdings(initial_cash)
    for fill in fills:
        holdings = holdings.after(fill)
    return holdings
