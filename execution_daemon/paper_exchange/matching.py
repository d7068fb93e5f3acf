"""The matching rules: from one symbol's orders and one session's bar to executions. Pure.

A daily bar tells four prices and a volume, so the rules use only what it proves:

- the opening auction prints at the bar's open;
- a limit order that rests from the open on is filled at its limit if the bar's range reached it;
- what comes after the open, and what the opening could not fill, trades at the close, because the close is the one
  price known to have been made after it.

Our orders together never take more than a given share of the bar's volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side


@dataclass(frozen=True, slots=True)
class Bar:
    """One session's prices in USD and its volume in shares, unadjusted."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class VolumeCap:
    """The largest share of a bar's volume that our orders may take: in the auction, and in the whole session."""

    auction: Decimal = Decimal("0.10")
    session: Decimal = Decimal("0.20")


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order in the book with `leaves` shares to trade; `is_late` if it came after the opening auction."""

    order_id: str
    side: Side
    leaves: Decimal
    limit_price: Decimal | None = None
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """`qty` shares of an order, traded at `price` USD."""

    order_id: str
    qty: Decimal
    price: Decimal


def opening_auction(orders: Sequence[WorkingOrder], bar: Bar, cap: VolumeCap) -> tuple[Execution, ...]:
    """Executions at the open. `orders` of one symbol, in time priority; market orders come before limit orders."""
    present = (order for order in orders if not order.is_late)
    return tuple(_allocate(present, lambda order: _at(order, bar.open), _shares(bar, cap.auction)))


def rest_of_session(orders: Sequence[WorkingOrder], bar: Bar, cap: VolumeCap, used: Decimal) -> tuple[Execution, ...]:
    """Executions between the open and the close, after `used` shares of the session's cap were taken."""
    available = max(_shares(bar, cap.session) - used, ZERO)
    return tuple(_allocate(orders, lambda order: _session_price(order, bar), available))


def _shares(bar: Bar, fraction: Decimal) -> Decimal:
    return (bar.volume * fraction).to_integral_value(ROUND_FLOOR)


def _at(order: WorkingOrder, price: Decimal) -> Decimal | None:
    """`price`, if the order accepts it."""
    if order.limit_price is None:
        return price
    accepts = price <= order.limit_price if order.side is Side.BUY else price >= order.limit_price
    return price if accepts else None


def _session_price(order: WorkingOrder, bar: Bar) -> Decimal | None:
    limit = order.limit_price
    if limit is None or order.is_late:
        return _at(order, bar.close)
    if _at(order, bar.open) is None:  # it rested away from the open: the range must have reached it
        reached = bar.low <= limit if order.side is Side.BUY else bar.high >= limit
        return limit if reached else None
    return _at(order, bar.close) or limit  # left over by the auction's cap: the close, or the limit on the way to it


def _allocate(
    orders: Iterable[WorkingOrder], price_of: Callable[[WorkingOrder], Decimal | None], available: Decimal
) -> Iterator[Execution]:
    for order in sorted(orders, key=lambda order: order.limit_price is not None):  # stable: time priority within
        price = price_of(order)
        qty = min(order.leaves, available)
        if price is not None and qty > 0:
            available -= qty
            yield Execution(order.order_id, qty, price)
