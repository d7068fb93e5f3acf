"""Orders and their state machine: FIX 4.4's words, one transition table, no I/O.

`TABLE` says what every event does to every status; what it leaves out is impossible and blocks the symbol.
No cell refuses a fill: what the broker says was executed counts, in any status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

from bifrost_core.trading.costs import TICK
from bifrost_core.trading.terms import Contingency, Side, Terms

ZERO = Decimal(0)


class OrdStatus(StrEnum):
    """FIX tag 39; only UNKNOWN is ours: sent, and nothing proves what became of it."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


class ExecType(StrEnum):
    """FIX tag 150; a trade is PARTIAL_FILL or FILL by our own cumulative quantity; the last two are ours."""

    NEW = "new"
    REJECTED = "rejected"
    PARTIAL_FILL = "partial_fill"
    FILL = "fill"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    CANCEL_REJECTED = "cancel_rejected"
    EXPIRED = "expired"
    NO_ANSWER = "no_answer"
    ABSENT = "absent"


class BlockCode(StrEnum):
    """Why a symbol takes no new order. Only SEND_UNPROVEN and RECONCILIATION_BREAK clear themselves. Never renamed."""

    SEND_UNPROVEN = "SEND_UNPROVEN"
    IMPOSSIBLE_TRANSITION = "IMPOSSIBLE_TRANSITION"
    OVERFILL = "OVERFILL"
    FILL_AFTER_TERMINAL = "FILL_AFTER_TERMINAL"
    RECONCILIATION_BREAK = "RECONCILIATION_BREAK"


A, N, P, F, X, C, R, E, U = OrdStatus
TERMINAL = frozenset({F, C, R, E})
_: None = None  # impossible: block the symbol, change nothing
# fmt: off
ROWS: dict[OrdStatus, tuple[OrdStatus | None, ...]] = {
    #   NEW REJ PRT FIL PCX CXD CXR EXP NOA ABS
    A: (N, R, P, F, X, C, A, E, U, _),
    U: (N, R, P, F, X, C, U, E, U, A),  # ABSENT: the broker proved that it lacks the id
    N: (N, R, P, F, X, C, N, E, N, _),  # a late timeout never regresses
    P: (P, _, P, F, X, C, P, E, P, _),
    X: (X, _, X, F, X, C, N, E, X, _),  # CANCEL_REJECTED restores by cum_qty: see _settled
    F: (F, _, F, F, F, _, F, _, F, F),
    C: (C, _, C, F, C, C, C, C, C, C),  # a late partial fill counts; the order stays canceled (FIX J.1.b)
    E: (E, _, E, F, E, E, E, E, E, E),
    R: (_, R, R, F, R, _, R, _, R, R),
}
# fmt: on
TABLE = {
    (status, kind): after
    for status, row in ROWS.items()
    for kind, after in zip(ExecType, row, strict=True)
    if after is not None
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is asked of the broker; never changes. Quantity in shares, price in USD, `valid_until` UTC.

    `parent_id` names the parent order that this one is a slice of; `strategies` is what a kill switch can name.
    """

    client_order_id: str
    account: str
    batch_id: UUID
    symbol: str
    side: Side
    order_qty: Decimal
    reference_price: Decimal
    terms: Terms
    valid_until: datetime
    increases_exposure: bool = True
    contingency: Contingency | None = None
    parent_id: str = ""
    strategies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing that happened to an order. `event_at` is market time; quantities unsigned; commission in USD."""

    kind: ExecType
    event_at: datetime
    exec_id: str = ""
    last_qty: Decimal = ZERO
    last_px: Decimal = ZERO
    commission: Decimal = ZERO
    broker_order_id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A ticket and the fold of its events."""

    ticket: Ticket
    status: OrdStatus = OrdStatus.PENDING_NEW
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    broker_order_id: str = ""
    exec_ids: frozenset[str] = frozenset()

    @property
    def leaves_qty(self) -> Decimal:
        """Shares that may still be executed: none once the order is terminal."""
        return ZERO if self.status.is_terminal else max(self.ticket.order_qty - self.cum_qty, ZERO)

    @property
    def avg_px(self) -> Decimal | None:
        """Average execution price to six decimals; None before the first fill."""
        return (self.cum_value / self.cum_qty).quantize(TICK, ROUND_HALF_UP) if self.cum_qty else None

    @property
    def reserved_value(self) -> Decimal:
        """USD of exposure that this order may still add, at its reference price."""
        return self.leaves_qty * self.ticket.reference_price if self.ticket.increases_exposure else ZERO


@dataclass(frozen=True, slots=True)
class Send:
    """Send the order, under its own id."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Query:
    """Ask the broker what became of the id."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Block:
    """Let the symbol take no new order."""

    symbol: str
    code: BlockCode
    detail: str


@dataclass(frozen=True, slots=True)
class Unblock:
    """The cause `code` is gone for this symbol."""

    symbol: str
    code: BlockCode


Effect = Send | Query | Block | Unblock


def is_replay(order: Order, event: OrderEvent) -> bool:
    """Whether this execution is already in the order."""
    return bool(event.exec_id) and event.exec_id in order.exec_ids


def kind_of(order: Order, event: OrderEvent) -> ExecType:
    """The event's kind; of a trade, whether it completes the order by our own cumulative quantity."""
    if not event.last_qty:
        return event.kind
    return ExecType.FILL if order.cum_qty + event.last_qty >= order.ticket.order_qty else ExecType.PARTIAL_FILL


def _settled(status: OrdStatus, cum_qty: Decimal) -> OrdStatus:
    """A working order that has fills is partially filled: what it was before is not remembered, but derived."""
    return OrdStatus.PARTIALLY_FILLED if status is OrdStatus.NEW and cum_qty else status


def handle(order: Order, event: OrderEvent) -> tuple[Order, tuple[Effect, ...]]:
    """The order after `event`, and what must be done about it. A replayed execution changes nothing."""
    if is_replay(order, event):
        return order, ()
    kind = kind_of(order, event)
    status = TABLE.get((order.status, kind))
    if status is None:
        return order, (_impossible(order, kind),)
    cum_qty = order.cum_qty + event.last_qty
    after = replace(
        order,
        status=_settled(status, cum_qty),
        cum_qty=cum_qty,
        cum_value=order.cum_value + event.last_qty * event.last_px,
        broker_order_id=order.broker_order_id or event.broker_order_id,
        exec_ids=order.exec_ids | {event.exec_id} if event.exec_id else order.exec_ids,
    )
    return after, tuple(_effects(order, event, kind, after))


def _impossible(order: Order, kind: ExecType) -> Block:
    detail = f"{kind} reported for {order.ticket.client_order_id}, which is {order.status}"
    return Block(order.ticket.symbol, BlockCode.IMPOSSIBLE_TRANSITION, detail)


def _effects(before: Order, event: OrderEvent, kind: ExecType, after: Order) -> Iterable[Effect]:
    ticket = after.ticket
    if after.cum_qty > ticket.order_qty:
        detail = f"{after.cum_qty} of {ticket.order_qty} filled on {ticket.client_order_id}"
        yield Block(ticket.symbol, BlockCode.OVERFILL, detail)
    if event.last_qty and before.status.is_terminal:
        detail = f"fill {event.exec_id} on {ticket.client_order_id}, which was {before.status}"
        yield Block(ticket.symbol, BlockCode.FILL_AFTER_TERMINAL, detail)
    if after.status is OrdStatus.UNKNOWN:
        detail = f"no answer for {ticket.client_order_id}: {event.text or 'the broker did not say what became of it'}"
        yield Block(ticket.symbol, BlockCode.SEND_UNPROVEN, detail)
        yield Query(ticket.client_order_id)
    elif before.status is OrdStatus.UNKNOWN:
        yield Unblock(ticket.symbol, BlockCode.SEND_UNPROVEN)
        if kind is ExecType.ABSENT:
            yield Send(ticket.client_order_id)


def fold(order: Order, events: Iterable[OrderEvent]) -> Order:
    """The order after all `events`, in sequence; effects are for live events only."""
    for event in events:
        order, _effects_of_the_past = handle(order, event)
    return order
