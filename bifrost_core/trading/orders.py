"""Orders and their state machine: FIX 4.4's words, one transition table, no I/O.

`TABLE` says what every event does to every status; what it leaves out is impossible and blocks the symbol.
No cell refuses a fill: what the broker says was executed counts, in any status. Where an order is in several states at
once, `PRECEDENCE` says which is shown (FIX 4.4, volume 4, order state change matrices). One thing deviates: an order
that is filled while its cancel is pending is FILLED, not PENDING_CANCEL, since nothing is left to cancel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

from bifrost_core.trading.costs import TICK
from bifrost_core.trading.terms import Contingency, Side, Terms

ZERO = Decimal(0)


class OrdStatus(StrEnum):
    """FIX tag 39; two are ours. UNKNOWN: sent, and nothing proves what became of it. HELD: durable, and not to be sent
    before another order of its group has done what it waits for.
    """

    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    DONE_FOR_DAY = "done_for_day"
    SUSPENDED = "suspended"
    HELD = "held"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL

    @property
    def is_at_broker(self) -> bool:
        """Whether the broker has the order and it may still trade."""
        return self in AT_BROKER


class ExecType(StrEnum):
    """FIX tag 150; a trade is PARTIAL_FILL or FILL by our own cumulative quantity. The last three are ours."""

    NEW = "new"
    REJECTED = "rejected"
    PARTIAL_FILL = "partial_fill"
    FILL = "fill"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    CANCEL_REJECTED = "cancel_rejected"
    EXPIRED = "expired"
    DONE_FOR_DAY = "done_for_day"
    SUSPENDED = "suspended"
    TRADE_CORRECT = "trade_correct"
    TRADE_CANCEL = "trade_cancel"
    NO_ANSWER = "no_answer"
    ABSENT = "absent"
    RELEASED = "released"


class BlockCode(StrEnum):
    """Why a symbol takes no new order. Only SEND_UNPROVEN and RECONCILIATION_BREAK clear themselves. Never renamed."""

    SEND_UNPROVEN = "SEND_UNPROVEN"
    IMPOSSIBLE_TRANSITION = "IMPOSSIBLE_TRANSITION"
    OVERFILL = "OVERFILL"
    FILL_AFTER_TERMINAL = "FILL_AFTER_TERMINAL"
    RECONCILIATION_BREAK = "RECONCILIATION_BREAK"


A, N, P, F, X, C, R, E, U, D, S, H = OrdStatus
TERMINAL = frozenset({F, C, R, E})
AT_BROKER = frozenset({N, P, X, D, S})
PRECEDENCE = {X: 11, D: 9, F: 7, S: 5, C: 4, E: 4, P: 3, N: 2, R: 2, A: 2}
CORRECTIONS = frozenset({ExecType.TRADE_CORRECT, ExecType.TRADE_CANCEL})
_: None = None  # impossible: block the symbol, change nothing
# fmt: off
ROWS: dict[OrdStatus, tuple[OrdStatus | None, ...]] = {
    #   NEW REJ PRT FIL PCX CXD CXR EXP DFD SUS COR BST NOA ABS REL
    A: (N,  R,  P,  F,  A,  C,  A,  E,  D,  S,  P,  N,  U,  _,  _),  # PCX: wanted, and asked for once it is known
    U: (N,  R,  P,  F,  U,  C,  U,  E,  D,  S,  P,  N,  U,  A,  _),  # ABSENT: the broker proved that it lacks the id
    N: (N,  R,  P,  F,  X,  C,  N,  E,  D,  S,  P,  N,  N,  _,  _),  # a late timeout never regresses
    P: (P,  _,  P,  F,  X,  C,  P,  E,  D,  S,  P,  P,  P,  _,  _),
    D: (N,  R,  P,  F,  X,  C,  D,  E,  D,  S,  D,  D,  D,  _,  _),
    S: (N,  R,  P,  F,  X,  C,  S,  E,  D,  S,  S,  S,  S,  _,  _),
    X: (X,  R,  X,  F,  X,  C,  N,  E,  X,  X,  X,  X,  X,  _,  _),  # CXR: what it was is derived, not remembered
    F: (F,  _,  F,  F,  F,  _,  F,  _,  F,  F,  F,  F,  F,  F,  F),
    C: (C,  _,  C,  F,  C,  C,  C,  C,  C,  C,  C,  C,  C,  C,  C),  # a late partial fill counts; it stays canceled
    E: (E,  _,  E,  F,  E,  E,  E,  E,  E,  E,  E,  E,  E,  E,  E),
    R: (R,  R,  R,  F,  R,  _,  R,  _,  R,  R,  R,  R,  R,  R,  R),
    H: (_,  _,  P,  F,  H,  C,  H,  E,  H,  H,  _,  _,  H,  H,  A),
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

    @property
    def is_held(self) -> bool:
        """Whether it waits for another order before it is sent."""
        return self.contingency is not None and bool(self.contingency.after)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing that happened to an order. `event_at` is market time; quantities unsigned; commission in USD.

    `exec_ref_id` (tag 19) names the execution that a TRADE_CORRECT or TRADE_CANCEL is about. `order_qty` is how many
    shares a RELEASED order is sent for.
    """

    kind: ExecType
    event_at: datetime
    exec_id: str = ""
    last_qty: Decimal = ZERO
    last_px: Decimal = ZERO
    commission: Decimal = ZERO
    broker_order_id: str = ""
    text: str = ""
    exec_ref_id: str = ""
    order_qty: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Execution:
    """Shares traded at a price in USD, with the commission on them."""

    qty: Decimal
    price: Decimal
    commission: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """A ticket and the fold of its events.

    `executions` are those that stand, by id; `gone` are the ids of those busted or corrected, and of the busts.
    """

    ticket: Ticket
    status: OrdStatus = OrdStatus.PENDING_NEW
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    broker_order_id: str = ""
    executions: Mapping[str, Execution] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    released_qty: Decimal | None = None
    is_cancel_wanted: bool = False

    @property
    def order_qty(self) -> Decimal:
        """Shares that the broker is asked for: the ticket's, or fewer if that is what it was released for."""
        return self.ticket.order_qty if self.released_qty is None else self.released_qty

    @property
    def leaves_qty(self) -> Decimal:
        """Shares that may still be executed: none once the order is terminal."""
        return ZERO if self.status.is_terminal else max(self.order_qty - self.cum_qty, ZERO)

    @property
    def avg_px(self) -> Decimal | None:
        """Average execution price to six decimals; None before the first fill."""
        return (self.cum_value / self.cum_qty).quantize(TICK, ROUND_HALF_UP) if self.cum_qty else None

    @property
    def reserved_value(self) -> Decimal:
        """USD of exposure that this order may still add, at its highest price.

        A held replacement reserves nothing: the order that it replaces does until it has ended.
        """
        if not self.ticket.increases_exposure or self._replaces_another:
            return ZERO
        return self.leaves_qty * self.ticket.terms.highest_price(self.ticket.reference_price)

    @property
    def is_unknown(self) -> bool:
        """Whether the broker has not said yet what became of it."""
        return self.status is OrdStatus.UNKNOWN

    @property
    def is_unreleased(self) -> bool:
        """Whether it waits for another order, or ended before that one let it go: it was never sent."""
        return self.ticket.is_held and self.released_qty is None

    @property
    def _replaces_another(self) -> bool:
        after = self.ticket.contingency
        return self.status is OrdStatus.HELD and after is not None and after.replaces


def opened(ticket: Ticket) -> Order:
    """The order as its intent leaves it: held where it waits for another, else about to be sent."""
    return Order(ticket, OrdStatus.HELD if ticket.is_held else OrdStatus.PENDING_NEW)


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
    """Whether this execution, correction or bust is already in the order."""
    if event.kind in CORRECTIONS and event.exec_ref_id in order.gone:
        return True
    if event.kind is ExecType.TRADE_CORRECT and event.exec_id in order.gone:
        return False  # what it put in place was taken back before it was heard of; what it replaced still stands
    return bool(event.exec_id) and (event.exec_id in order.executions or event.exec_id in order.gone)


def kind_of(order: Order, event: OrderEvent) -> ExecType:
    """The event's kind; of a trade, whether it completes the order by our own cumulative quantity."""
    if event.kind in CORRECTIONS or not event.last_qty:
        return event.kind
    return ExecType.FILL if order.cum_qty + event.last_qty >= order.order_qty else ExecType.PARTIAL_FILL


def handle(order: Order, event: OrderEvent) -> tuple[Order, tuple[Effect, ...]]:
    """The order after `event`, and what must be done about it. A replayed execution changes nothing."""
    if is_replay(order, event):
        return order, ()
    kind = kind_of(order, event)
    status = TABLE.get((order.status, kind))
    if status is None:
        return order, (_impossible(order, kind),)
    executions, gone = _executions_after(order, event)
    after = replace(
        order,
        cum_qty=sum((one.qty for one in executions.values()), ZERO),
        cum_value=sum((one.qty * one.price for one in executions.values()), ZERO),
        broker_order_id=order.broker_order_id or event.broker_order_id,
        executions=executions,
        gone=gone,
        released_qty=event.order_qty if status is A and kind is ExecType.RELEASED else order.released_qty,
        is_cancel_wanted=_is_cancel_wanted(order, kind),
    )
    after = replace(after, status=_settled(after, status, kind))
    return after, tuple(_effects(order, event, kind, after))


def _executions_after(order: Order, event: OrderEvent) -> tuple[Mapping[str, Execution], frozenset[str]]:
    """Standing executions and the ids that are gone. A bust has an id of its own, which must not come twice either."""
    if event.kind in CORRECTIONS:
        gone = order.gone | {event.exec_ref_id}
        standing = {key: one for key, one in order.executions.items() if key != event.exec_ref_id}
        if event.kind is ExecType.TRADE_CANCEL:
            return standing, gone | ({event.exec_id} if event.exec_id else frozenset())
    else:
        gone, standing = order.gone, dict(order.executions)
    if event.last_qty and event.exec_id not in gone:
        standing[event.exec_id] = Execution(event.last_qty, event.last_px, event.commission)
    return standing, gone


def _is_cancel_wanted(order: Order, kind: ExecType) -> bool:
    return kind is ExecType.PENDING_CANCEL or (order.is_cancel_wanted and kind is not ExecType.CANCEL_REJECTED)


def _settled(after: Order, status: OrdStatus, kind: ExecType) -> OrdStatus:
    """The state that is shown, of all the order is in: the highest in FIX's precedence."""
    if kind in CORRECTIONS:
        if status is OrdStatus.FILLED and after.cum_qty < after.order_qty:
            return OrdStatus.CANCELED  # a busted order is not reinstated (FIX 4.4, matrix on trade cancel)
        if status in AT_BROKER and after.cum_qty >= after.order_qty:
            return OrdStatus.FILLED
        if status is OrdStatus.PARTIALLY_FILLED:
            status = OrdStatus.NEW
    if status not in AT_BROKER:
        return status
    states = [status]
    states += [OrdStatus.PARTIALLY_FILLED] if after.cum_qty else []
    states += [OrdStatus.PENDING_CANCEL] if after.is_cancel_wanted else []
    return max(states, key=PRECEDENCE.__getitem__)


def _impossible(order: Order, kind: ExecType) -> Block:
    detail = f"{kind} reported for {order.ticket.client_order_id}, which is {order.status}"
    return Block(order.ticket.symbol, BlockCode.IMPOSSIBLE_TRANSITION, detail)


def _effects(before: Order, event: OrderEvent, kind: ExecType, after: Order) -> Iterator[Effect]:
    ticket = after.ticket
    yield from _doubts(before, event, kind, after)
    if after.status is OrdStatus.UNKNOWN and kind is not ExecType.PENDING_CANCEL:
        detail = f"no answer for {ticket.client_order_id}: {event.text or 'the broker did not say what became of it'}"
        yield Block(ticket.symbol, BlockCode.SEND_UNPROVEN, detail)
        yield Query(ticket.client_order_id)
    elif before.status is OrdStatus.UNKNOWN and after.status is not OrdStatus.UNKNOWN:
        yield Unblock(ticket.symbol, BlockCode.SEND_UNPROVEN)
    if kind in {ExecType.ABSENT, ExecType.RELEASED} and after.status is OrdStatus.PENDING_NEW:
        yield Send(ticket.client_order_id)


def _doubts(before: Order, event: OrderEvent, kind: ExecType, after: Order) -> Iterator[Block]:
    """What an execution should not have been: it counts, and a person must look at it."""
    ticket = after.ticket
    if after.cum_qty > after.order_qty and after.cum_qty > before.cum_qty:
        detail = f"{after.cum_qty} of {after.order_qty} filled on {ticket.client_order_id}"
        yield Block(ticket.symbol, BlockCode.OVERFILL, detail)
    if event.last_qty and kind not in CORRECTIONS and before.status.is_terminal:
        detail = f"fill {event.exec_id} on {ticket.client_order_id}, which was {before.status}"
        yield Block(ticket.symbol, BlockCode.FILL_AFTER_TERMINAL, detail)
    if event.last_qty and before.status is OrdStatus.HELD:
        detail = f"fill {event.exec_id} on {ticket.client_order_id}, which was never sent"
        yield Block(ticket.symbol, BlockCode.IMPOSSIBLE_TRANSITION, detail)


def fold(order: Order, events: Iterable[OrderEvent]) -> Order:
    """The order after all `events`, in sequence; effects are for live events only."""
    for event in events:
        order, _effects_of_the_past = handle(order, event)
    return order
