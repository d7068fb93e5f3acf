"""Our book against the broker's ledger, as pure functions.

Invariants: what the broker executed is applied before anything is compared; a difference is a break with both sides
named, never a correction; an order without an answer is not compared, because it is being looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import filterfalse, pairwise

from bifrost_core.trading.costs import to_cent
from bifrost_core.trading.orders import CORRECTIONS, ZERO, Order, OrdStatus, is_replay
from execution_daemon.brokers.port import (
    Adjustment,
    BrokerOrderState,
    BrokerPosition,
    BrokerStatus,
    ExecKind,
    ExecutionReport,
)
from execution_daemon.core.book import Book, Reported
from execution_daemon.core.reports import event_of, known_event, state_event, was_taken_back

ACCOUNT = "*"  # the symbol of a break that is about the account as a whole


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The broker's ledger at market time `at`: orders, fills and adjustments since some time, the rest as it is now."""

    at: datetime
    orders: tuple[BrokerOrderState, ...]
    fills: tuple[ExecutionReport, ...]
    positions: tuple[BrokerPosition, ...]
    cash: Decimal
    equity: Decimal = ZERO
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, slots=True)
class OurFill:
    """A stored fill: exec_id is unique at the broker."""

    exec_id: str
    client_order_id: str
    symbol: str
    qty: Decimal
    price: Decimal
    commission: Decimal


@dataclass(frozen=True, slots=True)
class Break:
    """One difference; `symbol` is what it halts."""

    kind: str
    key: str
    symbol: str
    ours: str
    theirs: str

    def as_json(self) -> dict[str, str]:
        return {"kind": self.kind, "key": self.key, "symbol": self.symbol, "ours": self.ours, "theirs": self.theirs}


def catch_up(book: Book, snapshot: Snapshot) -> tuple[Reported, ...]:
    """What the broker says of our orders and we may not have heard: that it has them, their fills, their ends."""
    states = [state for state in snapshot.orders if state.client_order_id in book.orders]
    fills = [Reported(f.client_order_id, event_of(f)) for f in snapshot.fills if f.client_order_id in book.orders]
    heard = [
        Reported(s.client_order_id, known_event(s)) for s in states if _needs_proof(book.orders[s.client_order_id])
    ]
    heard += _in_turn(book, fills)
    ended = [s for s in states if not s.status.is_open and (s.status is not BrokerStatus.FILLED or was_taken_back(s))]
    heard += [
        Reported(s.client_order_id, state_event(s, s.updated_at))
        for s in ended
        if not book.orders[s.client_order_id].status.is_terminal
    ]
    return tuple(heard)


def _in_turn(book: Book, fills: Sequence[Reported]) -> list[Reported]:
    """The ledger's fills in its order; but where a later one of an order was heard before an earlier one, what was
    taken back of that order is told first, the newest first: else an execution that no longer stands could fill it.
    """
    heard: dict[str, list[bool]] = {}
    for one in fills:
        heard.setdefault(one.client_order_id, []).append(is_replay(book.orders[one.client_order_id], one.event))
    overtaken = {key for key, known in heard.items() if (False, True) in pairwise(known)}

    def is_first(one: Reported) -> bool:
        return one.client_order_id in overtaken and one.event.kind in CORRECTIONS

    return [*filter(is_first, reversed(fills)), *filterfalse(is_first, fills)]


def _needs_proof(order: Order) -> bool:
    return order.status in {OrdStatus.PENDING_NEW, OrdStatus.UNKNOWN}


def compare(book: Book, our_fills: Mapping[str, OurFill], snapshot: Snapshot) -> tuple[Break, ...]:
    """Every difference between the book and the ledger: orders, fills, positions, cash."""
    return (
        *_order_breaks(book, snapshot),
        *_fill_breaks(our_fills, snapshot),
        *_position_breaks(book, snapshot),
        *_cash_breaks(book, snapshot),
    )


def _order_breaks(book: Book, snapshot: Snapshot) -> Iterator[Break]:
    theirs = {state.client_order_id: state for state in snapshot.orders}
    for key, order in sorted(book.orders.items()):
        state = theirs.get(key)
        if _needs_proof(order):
            continue
        if state is None:
            if not order.status.is_terminal and order.status is not OrdStatus.HELD:
                yield Break("order_missing", key, order.ticket.symbol, order.status, "absent")
        elif order.status is OrdStatus.HELD:
            continue
        elif state.status.is_open is order.status.is_terminal:
            yield Break("order_status", key, order.ticket.symbol, order.status, state.status)
        elif state.cum_qty != order.cum_qty:
            yield Break("order_quantity", key, order.ticket.symbol, f"{order.cum_qty:f}", f"{state.cum_qty:f}")
    for key, state in sorted(theirs.items()):
        if key not in book.orders and state.status.is_open:
            yield Break("order_foreign", key, state.symbol, "absent", state.status)


def _fill_breaks(ours: Mapping[str, OurFill], snapshot: Snapshot) -> Iterator[Break]:
    theirs = {event.exec_id: (report, event) for report in _standing(snapshot) for event in (event_of(report),)}
    for exec_id, (report, event) in sorted(theirs.items()):
        fill = ours.get(exec_id)
        told = _amounts(event.last_qty, event.last_px, event.commission)
        if fill is None:
            yield Break("fill_missing", exec_id, report.symbol, "absent", told)
        elif (held := _amounts(fill.qty, fill.price, fill.commission)) != told:
            yield Break("fill_differs", exec_id, fill.symbol, held, told)
    for exec_id, fill in sorted(ours.items()):
        if exec_id not in theirs:
            held = _amounts(fill.qty, fill.price, fill.commission)
            yield Break("fill_foreign", exec_id, fill.symbol, held, "absent")


def _standing(snapshot: Snapshot) -> Iterable[ExecutionReport]:
    """Executions that were neither taken back nor corrected since; of a correction, what stands instead."""
    standing: dict[str, ExecutionReport] = {}
    for report in snapshot.fills:
        standing.pop(report.exec_ref_id, None)
        if report.kind is not ExecKind.TRADE_CANCEL:
            standing[event_of(report).exec_id] = report
    return standing.values()


def _amounts(qty: Decimal, price: Decimal, commission: Decimal) -> str:
    return f"{qty.normalize():f} at {price.normalize():f}, commission {commission.normalize():f}"


def _position_breaks(book: Book, snapshot: Snapshot) -> Iterator[Break]:
    ours = {symbol: position.quantity for symbol, position in book.holdings.positions.items()}
    theirs = {position.symbol: position.qty for position in snapshot.positions}
    for symbol in sorted(ours.keys() | theirs.keys()):
        held, told = ours.get(symbol, ZERO), theirs.get(symbol, ZERO)
        if held != told:
            yield Break("position", symbol, symbol, f"{held:f}", f"{told:f}")


def _cash_breaks(book: Book, snapshot: Snapshot) -> Iterator[Break]:
    ours, theirs = to_cent(book.holdings.cash), to_cent(snapshot.cash)
    if ours != theirs:
        yield Break("cash", book.account, ACCOUNT, f"{ours:f}", f"{theirs:f}")


def halted(breaks: tuple[Break, ...]) -> dict[str, str]:
    """The symbols that breaks halt, each with its first fact in one line."""
    facts: dict[str, str] = {}
    for found in breaks:
        facts.setdefault(found.symbol, f"{found.kind} {found.key}: ours {found.ours}, the broker's {found.theirs}")
    return facts
