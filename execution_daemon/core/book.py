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
    CORRECTIONS,
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
from bifrost_core.trading.risk import Alternatives, Exposure
from bifrost_core.trading.terms import Contingency, Side
from execution_daemon.brokers.port import Adjustment
from execution_daemon.core.parents import Parent


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
    """One account: its open orders, those that ended since the last clean reconciliation, parents, and holdings."""

    account: str
    holdings: Holdings = field(default_factory=Holdings)
    orders: Mapping[str, Order] = field(default_factory=dict)
    blocked: Mapping[str, Blocked] = field(default_factory=dict)
    parents: Mapping[str, Parent] = field(default_factory=dict)
    adjustments: frozenset[str] = frozenset()

    def open_orders(self) -> Iterator[Order]:
        """Orders that may still be executed; unknown and held ones count."""
        return (order for order in self.orders.values() if not order.status.is_terminal)

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols that are held, or that orders and parents may still trade."""
        working = {order.ticket.symbol for order in self.open_orders()}
        return self.holdings.symbols | working | {p.symbol for p in self.parents.values() if p.is_working}

    def unknown(self) -> dict[str, Order]:
        """By symbol, an order of which nothing proves what became of it."""
        return {order.ticket.symbol: order for order in self.open_orders() if order.is_unknown}

    def waiting_for(self, client_order_id: str) -> Iterator[Order]:
        """Held orders that wait for the order to do its part."""
        for order in self.open_orders():
            link = order.ticket.contingency
            if order.status is OrdStatus.HELD and link is not None and link.after == client_order_id:
                yield order

    def hangs_on(self, order: Order) -> Iterator[Contingency]:
        """What a held order waits for; where that was replaced unsent, what it waited for in turn: the last counts."""
        link = order.ticket.contingency
        while link is not None and link.after:
            yield link
            first = self.orders.get(link.after)
            link = first.ticket.contingency if first is not None and first.is_unreleased and link.replaces else None

    def children(self, parent_id: str) -> Iterator[Order]:
        """The slices of a parent order."""
        return (order for order in self.orders.values() if order.ticket.parent_id == parent_id)

    def remaining(self, parent: Parent) -> Decimal:
        """Shares of a parent that no slice has executed or is working on."""
        return parent.order_qty - sum((c.cum_qty + c.leaves_qty for c in self.children(parent.parent_id)), ZERO)

    def exposures(self) -> dict[str, Exposure]:
        """Held shares, and what working and unknown orders may still buy and sell, by symbol.

        Held orders that reduce do not count yet: what they would reduce is not there before the other order has ended.
        """
        known = {symbol: Exposure(position.quantity) for symbol, position in self.holdings.positions.items()}
        for order in self._counted():
            _add(known, order.ticket.symbol, order.ticket.side, order.leaves_qty)
        for parent in self.parents.values():
            if parent.is_working:
                _add(known, parent.symbol, parent.side, self.remaining(parent))
        return known

    def alternatives(self) -> dict[Alternatives, Decimal]:
        """Of the shares in `exposures`, those of orders that cancel one another."""
        found: dict[Alternatives, Decimal] = {}
        for order in self._counted():
            if key := alternatives_of(order.ticket):
                found[key] = found.get(key, ZERO) + order.leaves_qty
        return found

    def _counted(self) -> Iterator[Order]:
        return (o for o in self.open_orders() if o.status is not OrdStatus.HELD or o.reserved_value)


def alternatives_of(ticket: Ticket) -> Alternatives | None:
    """The orders that cancel one another of which this is one."""
    link = ticket.contingency
    return Alternatives(link.group_id, ticket.symbol, ticket.side) if link and link.is_oco else None


def _add(known: dict[str, Exposure], symbol: str, side: Side, qty: Decimal) -> None:
    known[symbol] = known.get(symbol, Exposure()).plus(side, qty)


@dataclass(frozen=True, slots=True)
class Committed:
    """Intents that are durable now: orders to send or to hold, and parents to work."""

    tickets: tuple[Ticket, ...]
    parents: tuple[Parent, ...] = ()


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
class CancelAsked:
    """Somebody wants an order canceled; what the broker does not have yet ends at once."""

    client_order_id: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The broker's ledger changed without a trade: a split, a dividend, a fee."""

    adjustment: Adjustment


@dataclass(frozen=True, slots=True)
class ParentEnded:
    """A parent order is done: nothing more of it is sent."""

    parent_id: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The daemon started with this book: what was not answered before will not be answered now."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Breaks:
    """What a reconciliation found: the symbols that differ, with the fact; '*' for the account as a whole."""

    symbols: Mapping[str, str]


Input = Committed | Reported | ProvenAbsent | CancelAsked | Adjusted | ParentEnded | Restarted | Breaks


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill as it is stored. A bust is booked as the opposite trade: `corrects` names the execution it takes back."""

    exec_id: str
    fill: Fill
    corrects: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Store the event with everything that follows from it, in one transaction."""

    order: Order
    event: OrderEvent
    kind: ExecType
    cum_qty_before: Decimal
    position_before: Position
    position: Position
    cash_effect: Decimal
    fills: tuple[Booked, ...]
    blocks: tuple[Block, ...]
    unblocks: tuple[Unblock, ...]


@dataclass(frozen=True, slots=True)
class RecordAdjustment:
    """Store an adjustment with the position and cash that follow from it, in one transaction."""

    adjustment: Adjustment
    position_before: Position
    position: Position


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the broker to cancel the order."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Amend:
    """Replace what is left of the order by `qty` shares: another order of its group has executed the rest."""

    client_order_id: str
    qty: Decimal


Effect = Record | RecordAdjustment | Send | Query | Cancel | Amend | Block | Unblock
Step = tuple[Book, tuple[Effect, ...]]


def handle(book: Book, given: Input) -> Step:
    """The book after `given`, and what must be done about it, in order."""
    match given:
        case Committed(tickets, parents):
            return _committed(book, tickets, parents)
        case Reported(key, event):
            return reported(book, book.orders[key], event)
        case ProvenAbsent(key, at, may_resend):
            return _absent(book, book.orders[key], at, may_resend)
        case CancelAsked(key, at, text):
            return cancel_asked(book, book.orders[key], at, text)
        case Adjusted(adjustment):
            return _adjusted(book, adjustment)
        case ParentEnded(parent_id):
            ended = replace(book.parents[parent_id], is_working=False)
            return replace(book, parents={**book.parents, parent_id: ended}), ()
        case Restarted(at):
            return _restarted(book, at)
        case Breaks(symbols):
            return _broken(book, symbols)


def _committed(book: Book, tickets: Iterable[Ticket], parents: Iterable[Parent]) -> Step:
    new = {ticket.client_order_id: orders.opened(ticket) for ticket in tickets}
    working = {parent.parent_id: parent for parent in parents}
    book = replace(book, orders={**book.orders, **new}, parents={**book.parents, **working})
    return book, tuple(Send(key) for key, order in new.items() if order.status is OrdStatus.PENDING_NEW)


def reported(book: Book, order: Order, event: OrderEvent) -> Step:
    """One event of one order."""
    after, effects = orders.handle(order, event)
    if after == order:
        blocks = tuple(e for e in effects if isinstance(e, Block))
        return _with_blocks(book, blocks, ()), tuple(effects)
    changed = replace(book, orders={**book.orders, order.ticket.client_order_id: after})
    record = _record(book, changed, order, after, event, effects)
    holdings = _holdings_after(book.holdings, record.fills)
    changed = _with_blocks(replace(changed, holdings=holdings), record.blocks, record.unblocks)
    rest: tuple[Effect, ...] = tuple(e for e in effects if isinstance(e, Send | Query))
    if after.status is OrdStatus.PENDING_CANCEL and order.status in {OrdStatus.PENDING_NEW, OrdStatus.UNKNOWN}:
        rest = (*rest, Cancel(order.ticket.client_order_id))  # it was wanted before the broker was known to have it
    return changed, (record, *rest)


def _record(
    book: Book, changed: Book, before: Order, after: Order, event: OrderEvent, effects: Iterable[orders.Effect]
) -> Record:
    symbol = before.ticket.symbol
    fills = _booked(before, event)
    holdings = _holdings_after(book.holdings, fills)
    return Record(
        order=after,
        event=event,
        kind=orders.kind_of(before, event),
        cum_qty_before=before.cum_qty,
        position_before=book.holdings.positions.get(symbol, FLAT),
        position=holdings.positions.get(symbol, FLAT),
        cash_effect=holdings.cash - book.holdings.cash,
        fills=fills,
        blocks=tuple(e for e in effects if isinstance(e, Block)),
        unblocks=tuple(e for e in effects if isinstance(e, Unblock) and _is_resolved(changed, e)),
    )


def _booked(before: Order, event: OrderEvent) -> tuple[Booked, ...]:
    ticket = before.ticket
    found: list[Booked] = []
    gone = before.executions.get(event.exec_ref_id) if event.kind in CORRECTIONS else None
    if gone is not None:
        back = Fill(ticket.symbol, ticket.side.other, gone.qty, gone.price, -gone.commission)
        found.append(Booked(f"{event.exec_ref_id}:taken-back", back, event.exec_ref_id))
    if event.last_qty and event.exec_id not in before.gone:
        fill = Fill(ticket.symbol, ticket.side, event.last_qty, event.last_px, event.commission)
        found.append(Booked(event.exec_id, fill))
    return tuple(found)


def _holdings_after(holdings: Holdings, fills: Iterable[Booked]) -> Holdings:
    for booked in fills:
        holdings = holdings.after(booked.fill)
    return holdings


def _is_resolved(book: Book, unblock: Unblock) -> bool:
    """Whether no order of the symbol is unknown any more."""
    return unblock.symbol not in book.unknown()


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


def _absent(book: Book, order: Order, at: datetime, may_resend: bool) -> Step:
    """Send the same id again only if its target is still valid; otherwise it ends here, unsent."""
    reason = ""
    if order.is_cancel_wanted:
        reason = "its cancel was asked"
    elif not may_resend:
        reason = "a kill switch is engaged"
    elif at >= order.ticket.valid_until:
        reason = "its target is no longer valid"
    if reason:
        return reported(book, order, OrderEvent(ExecType.CANCELED, at, text=f"never reached the broker, and {reason}"))
    return reported(book, order, OrderEvent(ExecType.ABSENT, at, text="the broker does not have it"))


def cancel_asked(book: Book, order: Order, at: datetime, text: str) -> Step:
    """Cancel at once what was never sent, ask the broker about what it has, and remember it for what is unknown."""
    key = order.ticket.client_order_id
    if order.status is OrdStatus.HELD:
        return reported(book, order, OrderEvent(ExecType.CANCELED, at, text=f"never sent: {text}"))
    if order.status.is_terminal or order.is_cancel_wanted:
        return book, ()
    book, effects = reported(book, order, OrderEvent(ExecType.PENDING_CANCEL, at, text=text))
    return book, (*effects, Cancel(key)) if order.status.is_at_broker else effects


def _adjusted(book: Book, adjustment: Adjustment) -> Step:
    if adjustment.adjustment_id in book.adjustments:
        return book, ()
    symbol = adjustment.symbol
    holdings = book.holdings.adjusted(symbol, adjustment.qty_change, adjustment.cash_change)
    record = RecordAdjustment(
        adjustment, book.holdings.positions.get(symbol, FLAT), holdings.positions.get(symbol, FLAT)
    )
    known = book.adjustments | {adjustment.adjustment_id}
    return replace(book, holdings=holdings, adjustments=known), (record,)


def _restarted(book: Book, at: datetime) -> Step:
    effects: list[Effect] = []
    for order in tuple(book.open_orders()):
        key = order.ticket.client_order_id
        if order.status is OrdStatus.PENDING_NEW:
            silence = OrderEvent(ExecType.NO_ANSWER, at, text="the daemon stopped before the answer")
            book, more = reported(book, order, silence)
            effects += more
        elif order.is_unknown:
            effects.append(Query(key))
        elif order.status is OrdStatus.PENDING_CANCEL:
            effects.append(Cancel(key))
    return book, tuple(effects)


def _broken(book: Book, symbols: Mapping[str, str]) -> Step:
    code = BlockCode.RECONCILIATION_BREAK
    blocks = tuple(Block(symbol, code, detail) for symbol, detail in sorted(symbols.items()))
    healed = (s for s, cause in sorted(book.blocked.items()) if cause.code is code and s not in symbols)
    unblocks = tuple(Unblock(symbol, code) for symbol in healed)
    unknown = book.unknown()
    again = tuple(
        Block(u.symbol, BlockCode.SEND_UNPROVEN, f"order {unknown[u.symbol].ticket.client_order_id} is unknown")
        for u in unblocks
        if u.symbol in unknown
    )
    return _with_blocks(_with_blocks(book, blocks, unblocks), again, ()), (*blocks, *unblocks, *again)


def prune(book: Book) -> Book:
    """The book without what nothing more is expected of: terminal orders that no open order or parent depends on."""
    live = list(book.open_orders())
    needed = {link.after for order in live for link in book.hangs_on(order)}
    groups = {o.ticket.contingency.group_id for o in live if o.ticket.contingency}
    parents = {key: parent for key, parent in book.parents.items() if parent.is_working}

    def is_needed(key: str, order: Order) -> bool:
        ticket = order.ticket
        in_group = ticket.contingency is not None and ticket.contingency.group_id in groups
        return not order.status.is_terminal or key in needed or in_group or ticket.parent_id in parents

    kept = {key: order for key, order in book.orders.items() if is_needed(key, order)}
    return replace(book, orders=kept, parents=parents, adjustments=frozenset())


def signed_leaves(book: Book) -> dict[str, Decimal]:
    """Shares still to come from open orders and parents, signed, by symbol; of orders that cancel one another once."""
    pending: dict[str, Decimal] = {}
    largest: dict[Alternatives, Decimal] = {}
    for order in book.open_orders():
        if order.status is OrdStatus.HELD and not order.ticket.increases_exposure:
            continue  # an exit that may never be sent is no plan to be flat
        ticket = order.ticket
        if key := alternatives_of(ticket):
            largest[key] = max(largest.get(key, ZERO), order.leaves_qty)
        else:
            pending[ticket.symbol] = pending.get(ticket.symbol, ZERO) + order.leaves_qty * ticket.side.sign
    for one, qty in largest.items():
        pending[one.symbol] = pending.get(one.symbol, ZERO) + qty * one.side.sign
    for parent in book.parents.values():
        if parent.is_working:
            pending[parent.symbol] = pending.get(parent.symbol, ZERO) + book.remaining(parent) * parent.side.sign
    return pending
