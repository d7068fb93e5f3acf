"""What orders of one group owe each other, read from the state alone: asked after every change and after a restart.

Held orders are released or end once the order they wait for has done its part. Orders that cancel one another may do no
more than the largest of them was for, less what they have executed together: what exceeds it is amended down.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.orders import ZERO, ExecType, Order, OrderEvent, OrdStatus
from bifrost_core.trading.terms import Release
from execution_daemon.core.book import Amend, Book, CancelAsked, Reported

Due = Reported | CancelAsked | Amend


def all_due(book: Book, at: datetime) -> Iterator[Due]:
    """What the groups' state asks for at market time `at`; nothing when every group is settled."""
    for order in book.orders.values():
        if order.ticket.contingency is None or order.status.is_terminal:
            continue
        if order.status is OrdStatus.HELD:
            yield from _held(book, order, at)
        elif order.ticket.contingency.is_oco and not order.is_cancel_wanted:
            yield from _one_of_several(book, order, at)


def _held(book: Book, order: Order, at: datetime) -> Iterator[Due]:
    """Release it, end it, or let it wait."""
    link, key = order.ticket.contingency, order.ticket.client_order_id
    first = book.orders.get(link.after) if link else None
    if first is None:
        why = "never sent: the order it waits for was not accepted"
        yield Reported(key, OrderEvent(ExecType.CANCELED, at, text=why))
        return
    if link is None:
        return
    if not first.status.is_terminal:
        if link.release is Release.ENDED and not first.is_cancel_wanted:
            yield CancelAsked(link.after, at, f"replaced by {key}")
        return
    qty = min(_released(link.release, first, order), _allowed(book, order))
    if qty > 0:
        yield Reported(key, OrderEvent(ExecType.RELEASED, at, order_qty=qty, text=f"{link.after} is {first.status}"))
    else:
        why = f"never sent: {link.after}, which it waited for, is {first.status} with {first.cum_qty:f} executed"
        yield Reported(key, OrderEvent(ExecType.CANCELED, at, text=why))


def _released(release: Release | None, first: Order, order: Order) -> Decimal:
    qty = order.ticket.order_qty
    match release:
        case Release.EXECUTED:
            return min(qty, first.cum_qty)
        case Release.FILLED:
            return qty if first.status is OrdStatus.FILLED else ZERO
        case _:
            return min(qty, max(first.order_qty - first.cum_qty, ZERO))


def _one_of_several(book: Book, order: Order, at: datetime) -> Iterator[Due]:
    allowed, key = _allowed(book, order), order.ticket.client_order_id
    if order.leaves_qty <= allowed:
        return
    if allowed <= 0:
        yield CancelAsked(key, at, "another order of its group was executed")
    elif order.status.is_at_broker:  # else it is asked again once the broker has answered
        yield Amend(key, allowed)


def _allowed(book: Book, order: Order) -> Decimal:
    """Shares that a group of orders which cancel one another may still execute; without one, the order's own.

    Exits may do no more than what their entry has executed: a bust takes them back with it.
    """
    link = order.ticket.contingency
    if link is None or not link.is_oco:
        return order.leaves_qty
    group = [o for o in book.orders.values() if o.ticket.contingency and o.ticket.contingency.group_id == link.group_id]
    legs = [o for o in group if o.ticket.contingency and o.ticket.contingency.is_oco]
    most = max(o.order_qty for o in legs)
    entry = book.orders.get(link.after) if link.release is Release.EXECUTED else None
    if entry is not None and entry.status.is_terminal:
        most = min(most, entry.cum_qty)
    return max(most - sum((o.cum_qty for o in legs), ZERO), ZERO)
