"""An order as the matching rules see it, and what they make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from bifrost_core.trading.terms import MARKET_DAY, TRAILING, TRIGGERED, OrdType, Side, Terms, TimeInForce

IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
STOPS = frozenset({OrdType.STOP, OrdType.STOP_LIMIT}) | TRAILING


@dataclass(frozen=True, slots=True)
class Live:
    """What an order has become while it worked. Prices in USD.

    `is_triggered`: a stop or touched order is now a market or limit order. `high_water`: the best price that a trailing
    stop has seen (the lowest, for a purchase). `active_limit`: the limit of a triggered trailing stop limit.
    `queue_ahead`: the shares before it at its limit; None until it rests.
    """

    is_triggered: bool = False
    high_water: Decimal | None = None
    active_limit: Decimal | None = None
    queue_ahead: Decimal | None = None


NOT_YET = Live()


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order in the book with `leaves` shares to trade; `is_late` if it came after the first print of the bar.

    `trail_percent` of the high-water mark stands, where given, instead of the terms' `trail_offset`.
    """

    order_id: str
    side: Side
    leaves: Decimal
    terms: Terms = MARKET_DAY
    is_late: bool = False
    trail_percent: Decimal | None = None
    live: Live = field(default=NOT_YET)

    @property
    def is_conditional(self) -> bool:
        """Whether it waits for its trigger."""
        kind = self.terms.order_type
        return (kind in TRIGGERED or kind in TRAILING) and not self.live.is_triggered

    @property
    def is_immediate(self) -> bool:
        """Whether what is not executed at once is canceled."""
        return self.terms.time_in_force in IMMEDIATE

    @property
    def limit(self) -> Decimal | None:
        """The worst price it accepts once it is in the book; None takes any."""
        return self.terms.limit_price if self.live.active_limit is None else self.live.active_limit


@dataclass(frozen=True, slots=True)
class Execution:
    """`qty` shares of an order, traded at `price` USD."""

    order_id: str
    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one print or bar did: executions in the order they happened, orders that changed, and orders refused.

    `rejected`: post-only orders that would have taken shares. `decided`: the immediate orders that had their chance.
    """

    executions: tuple[Execution, ...] = ()
    live: tuple[tuple[str, Live], ...] = ()
    rejected: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()


def accepts(side: Side, limit: Decimal | None, price: Decimal) -> bool:
    """Whether an order with this limit trades at `price`."""
    return limit is None or side.sign * price <= side.sign * limit


def worse(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """The price that costs more."""
    return max(one, other) if side is Side.BUY else min(one, other)
