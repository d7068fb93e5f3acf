"""The book from its events alone, and what a stored projection has that the events do not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from bifrost_core.trading.orders import ZERO, Ticket, opened
from bifrost_core.trading.positions import FLAT, Holdings
from execution_daemon.core.book import Book, Input, handle


def rebuild(account: str, initial_cash: Decimal, tickets: Iterable[Ticket], happened: Iterable[Input]) -> Book:
    """The book after all that `happened` to `tickets` and to the account, in the sequence in which it was recorded."""
    book = Book(account, Holdings(initial_cash), {ticket.client_order_id: opened(ticket) for ticket in tickets})
    for given in happened:
        book, _effects = handle(book, given)
    return replace(book, adjustments=frozenset())


def reserved(book: Book) -> Decimal:
    """USD of exposure that open orders may still add."""
    return sum((order.reserved_value for order in book.open_orders()), ZERO)


StoredOrder = tuple[str, Decimal, Decimal | None, Decimal]  # status, cum_qty, avg_px, reserved_value


def differences(
    stored_orders: Mapping[str, StoredOrder], stored: Holdings, stored_reserved: Decimal, rebuilt: Book
) -> tuple[str, ...]:
    """Every way in which the stored projections differ from what the events give; empty when they agree."""
    given = {key: (str(o.status), o.cum_qty, o.avg_px, o.reserved_value) for key, o in rebuilt.orders.items()}
    found = [
        *_unequal("order", stored_orders, given),
        *_unequal("position", _positions(stored), _positions(rebuilt.holdings)),
    ]
    if stored.cash != rebuilt.holdings.cash:
        found.append(f"cash is {stored.cash:f}, its events give {rebuilt.holdings.cash:f}")
    if stored_reserved != reserved(rebuilt):
        found.append(f"reserved is {stored_reserved:f}, its events give {reserved(rebuilt):f}")
    return tuple(found)


def _positions(holdings: Holdings) -> dict[str, object]:
    return {symbol: (p.quantity, p.avg_cost, p.realized_pnl) for symbol, p in holdings.positions.items() if p != FLAT}


def _unequal(what: str, stored: Mapping[str, object], rebuilt: Mapping[str, object]) -> list[str]:
    return [
        f"{what} {key} is {stored.get(key)}, its events give {rebuilt.get(key)}"
        for key in sorted(stored.keys() | rebuilt.keys())
        if stored.get(key) != rebuilt.get(key)
    ]
