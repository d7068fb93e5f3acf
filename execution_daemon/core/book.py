"""The daemon's state and the one function that changes it: handle(book, input) -> (book, effects).

The shell carries the effects out in their order. A `Record` is committed before anything after it is done, and the new
book is kept only once it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading import orders
from bifrost_core.trading.orders import (
    ZERO,
    Block,
    BlockCode,
    ExecType,
    Order,
    OrderEvent,
    OrdStatus,
    Query,
    Send,
    Ticket,
    Unblock,
)
from bifrost_core.trading.positions import FLAT, Fill, Holdings, Position
from bifrost_core.trading.risk import Exposure


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a symbol takes no new order."""

    code: BlockCode
    detail: str

    @property
    def clears_itself(self) -> bool:
        return self.code in {BlockCode.SEND_UNPROVEN, BlockCode.RECONCILIATION_BREAK}


@dataclass(frozen=True, slots=True)
class Book:
    """One account: its open orders, those that ended since the last clean reconciliation, and holdings."""

    account: str
    holdings: Holdings = field(default_factory=Holdings)
    orders: Mapping[str, Order] = field(default_factory=dict)
    blocked: Mapping[str, Blocked] = field(default_factory=dict)

    def open_orders(self) -> Iterator[Order]:
        """Orders that may still be executed; unknown ones count."""
        return (order for order in self.orders.values() if not order.status.is_terminal)

    def exposures(self) -> dict[str, Exposure]:
        """Held shares, and what working and unknown orders may still buy and sell, by symbol."""
        known = {symbol: Exposure(position.quantity) for symbol, position in self.holdings.positions.items()}
        for order in self.open_orders():
            before = known.get(order.ticket.symbol, Exposure())
            known[order.ticket.symbol] = before.plus(order.ticket.side, order.leaves_qty)
        return known


@dataclass(frozen=True, slots=True)
class Committed:
    """Intents that are durable now, and are to be sent."""

    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """Something the broker said about an order, or that it did not answer."""

    client_order_id: str
    event: OrderEvent


@dataclass(frozen=True, slots=True)
class ProvenAbsent:
    """The broker has proven that it does not have the order. `may_resend`: no kill switch stands against it."""

    client_order_id: str
    at: datetime
    may_resend: bool = True


@dataclass(frozen=True, slots=True)
class Restarted:
    """The daemon started with this book: what was not answered before will not be answered now."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Breaks:
    """What a reconciliation found: the symbols that differ, with the fact; '*' for the account as a whole."""

    symbols: Mapping[str, str]


Input = Committed | Reported | ProvenAbsent | Restarted | Breaks


@dataclass(frozen=True, slots=True)
class Record:
    """Store the event with everything that follows from it, in one transaction."""

    order: Order
    event: OrderEvent
    kind: ExecType
    position_before: Position
    position: Position
    cash_effect: Decimal
    blocks: tuple[Block, ...]
    unblocks: tuple[Unblock, ...]


Effect = Record | Send | Query | Block | Unblock


def handle(book: Book, given: Input) -> tuple[Book, tuple[Effect, ...]]:
    """The book after `given`, and what must be done about it, in order."""
    match given:
        case Committed(tickets):
            new = {ticket.client_order_id: Order(ticket) for ticket in tickets}
            return replace(book, orders={**book.orders, **new}), tuple(Send(key) for key in new)
        case Reported(key, event):
            return _reported(book, book.orders[key], event)
        case ProvenAbsent(key, at, may_resend):
            return _absent(book, book.orders[key], at, may_resend)
        case Restarted(at):
            return _restarted(book, at)
        case Breaks(symbols):
            return _broken(book, symbols)


def _reported(book: Book, order: Order, event: OrderEvent) -> tuple[Book, tuple[Effect, ...]]:
    after, effects = orders.handle(order, event)
    if after == order:
        blocks = tuple(e for e in effects if isinstance(e, Block))
        return _with_blocks(book, blocks, ()), tuple(effects)
    changed = replace(book, orders={**book.orders, order.ticket.client_order_id: after})
    blocks = tuple(e for e in effects if isinstance(e, Block))
    unblocks = tuple(e for e in effects if isinstance(e, Unblock) and _is_resolved(changed, e))
    record = _record(book, order, after, event, blocks, unblocks)
    holdings = _holdings_after(book.holdings, after, event)
    changed = _with_blocks(replace(changed, holdings=holdings), blocks, unblocks)
    return changed, (record, *(e for e in effects if isinstance(e, Send | Query)))


def _record(
    book: Book,
    before: Order,
    after: Order,
    event: OrderEvent,
    blocks: tuple[Block, ...],
    unblocks: tuple[Unblock, ...],
) -> Record:
    symbol = before.ticket.symbol
    holdings = _holdings_after(book.holdings, after, event)
    return Record(
        order=after,
        event=event,
        kind=orders.kind_of(before, event),
        position_before=book.holdings.positions.get(symbol, FLAT),
        position=holdings.positions.get(symbol, FLAT),
        cash_effect=holdings.cash - book.holdings.cash,
        blocks=blocks,
        unblocks=unblocks,
    )


def _holdings_after(holdings: Holdings, order: Order, event: OrderEvent) -> Holdings:
    if not event.last_qty:
        return holdings
    ticket = order.ticket
    return holdings.after(Fill(ticket.symbol, ticket.side, event.last_qty, event.last_px, event.commission))


def _is_resolved(book: Book, unblock: Unblock) -> bool:
    """Whether no order of the symbol is unknown any more."""
    return not any(
        order.status is OrdStatus.UNKNOWN and order.ticket.symbol == unblock.symbol for order in book.open_orders()
    )


def _with_blocks(book: Book, blocks: Iterable[Block], unblocks: Iterable[Unblock]) -> Book:
    blocked = dict(book.blocked)
    for block in blocks:
        standing = blocked.get(block.symbol)
        if standing is None or (standing.clears_itself and block.code is not BlockCode.SEND_UNPROVEN):
            blocked[block.symbol] = Blocked(block.code, block.detail)
    for unblock in unblocks:
        standing = blocked.get(unblock.symbol)
        if standing is not None and standing.code is unblock.code:
            del blocked[unblock.symbol]
    return replace(book, blocked=blocked)


def _absent(book: Book, order: Order, at: datetime, may_resend: bool) -> tuple[Book, tuple[Effect, ...]]:
    """Send the same id again only if its target is still valid; otherwise it ends here, unsent."""
    if may_resend and at < order.ticket.valid_until:
        return _reported(book, order, OrderEvent(ExecType.ABSENT, at, text="the broker does not have it"))
    reason = "its target is no longer valid" if may_resend else "a kill switch is engaged"
    return _reported(book, order, OrderEvent(ExecType.CANCELED, at, text=f"never reached the broker, and {reason}"))


def _restarted(book: Book, at: datetime) -> tuple[Book, tuple[Effect, ...]]:
    effects: list[Effect] = []
    for order in tuple(book.open_orders()):
        if order.status is OrdStatus.PENDING_NEW:
            silence = OrderEvent(ExecType.NO_ANSWER, at, text="the daemon stopped before the answer")
            book, more = _reported(book, order, silence)
            effects += more
        elif order.status is OrdStatus.UNKNOWN:
            effects.append(Query(order.ticket.client_order_id))
    return book, tuple(effects)


def _broken(book: Book, symbols: Mapping[str, str]) -> tuple[Book, tuple[Effect, ...]]:
    code = BlockCode.RECONCILIATION_BREAK
    blocks = tuple(Block(symbol, code, detail) for symbol, detail in sorted(symbols.items()))
    healed = (s for s, cause in sorted(book.blocked.items()) if cause.code is code and s not in symbols)
    unblocks = tuple(Unblock(symbol, code) for symbol in healed)
    return _with_blocks(book, blocks, unblocks), (*blocks, *unblocks)


def prune(book: Book) -> Book:
    """The book without its terminal orders: after a clean reconciliation nothing more is expected of them."""
    return replace(book, orders={key: order for key, order in book.orders.items() if not order.status.is_terminal})


def signed_leaves(book: Book) -> dict[str, Decimal]:
    """Shares still to come from open orders, signed, by symbol."""
    pending: dict[str, Decimal] = {}
    for order in book.open_orders():
        ticket = order.ticket
        pending[ticket.symbol] = pending.get(ticket.symbol, ZERO) + order.leaves_qty * ticket.side.sign
    return pending
