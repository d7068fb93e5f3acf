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
    """Release it, end it, have the order end whose place it takes, or let it wait."""
    links, key = tuple(book.hangs_on(order)), order.ticket.client_order_id
    original = book.orders.get(links[0].after)
    if original is not None and links[0].replaces and not original.status.is_terminal:
        if not original.is_cancel_wanted:
            yield CancelAsked(links[0].after, at, f"replaced by {key}")
        return
    after, release = links[-1].after, links[-1].release
    first = book.orders.get(after)
    if first is None:
        why = "never sent: the order it waits for was not accepted"
        yield Reported(key, OrderEvent(ExecType.CANCELED, at, text=why))
        return
    if not first.status.is_terminal or _others_are_ending(book, order):
        return
    qty = min(_released(release, first, order), allowed(book, order))
    if qty > 0:
        yield Reported(key, OrderEvent(ExecType.RELEASED, at, order_qty=qty, text=f"{after} is {first.status}"))
    else:
        why = f"never sent: {after}, which it waited for, is {first.status} with {first.cum_qty:f} executed"
        yield Reported(key, OrderEvent(ExecType.CANCELED, at, text=why))


def _others_are_ending(book: Book, order: Order) -> bool:
    """Whether an order that cancels this one may be executed still, although its own cancel was asked."""
    legs = (one for one in _legs(book, order) if one is not order and one.status is not OrdStatus.HELD)
    return any(one.is_cancel_wanted and not one.status.is_terminal for one in legs)


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
    most, key = allowed(book, order), order.ticket.client_order_id
    if order.leaves_qty <= most:
        return
    if most <= 0:
        yield CancelAsked(key, at, "another order of its group was executed")
    elif not order.is_unknown:  # its symbol is blocked: it is asked again once the broker has answered
        yield Amend(key, most)


def allowed(book: Book, order: Order) -> Decimal:
    """Shares that a group of orders which cancel one another may still execute; without one, the order's own.

    Exits may do no more than what their entry has executed: a bust takes them back with it.
    """
    link = order.ticket.contingency
    if link is None or not link.is_oco:
        return order.leaves_qty
    legs = _legs(book, order)
    most = max(o.order_qty for o in legs)
    for awaited in tuple(book.hangs_on(order))[-1:]:
        entry = book.orders.get(awaited.after) if awaited.release is Release.EXECUTED else None
        if entry is not None and entry.status.is_terminal:
            most = min(most, entry.cum_qty)
    return max(most - sum((o.cum_qty for o in legs), ZERO), ZERO)


def _legs(book: Book, order: Order) -> list[Order]:
    """The orders that cancel one another of which this is one; none where it is not."""
    link = order.ticket.contingency
    if link is None or not link.is_oco:
        return []
    known = ((one, one.ticket.contingency) for one in book.orders.values())
    return [one for one, other in known if other and other.is_oco and other.group_id == link.group_id]
