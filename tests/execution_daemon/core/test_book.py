"""The core against a faulty broker: whatever is lost, repeated or late, the book ends as the broker's ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bifrost_core.trading.costs import to_cent
from bifrost_core.trading.orders import Block, BlockCode, ExecType, Order, OrderEvent, OrdStatus, Query, Send, Unblock
from bifrost_core.trading.positions import Holdings
from bifrost_core.trading.terms import MARKET_DAY, Side
from execution_daemon.brokers.port import BrokerOrder, BrokerRefused, BrokerUnclear
from execution_daemon.brokers.simulated import Fault, SimulatedBroker
from execution_daemon.core.book import (
    Book,
    Breaks,
    Committed,
    Input,
    ProvenAbsent,
    Record,
    Reported,
    Restarted,
    handle,
    prune,
)
from execution_daemon.core.rebuild import rebuild
from execution_daemon.core.reconcile import OurFill, Snapshot, catch_up, compare
from execution_daemon.core.reports import answer_event, event_of
from tests.execution_daemon.core.conftest import CLOSE, NOW, ticket

CASH = Decimal(1_000_000)
PRICES = {"AAPL": Decimal(50), "IBM": Decimal(20)}
ASKED = {Fault.REFUSED_READ, Fault.STALE_READ, Fault.DISCONNECT}  # the machine's own questions are answered truly
FAULTS = [fault for fault in Fault if fault not in ASKED]


def now_result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


class DaemonVsExchange(RuleBasedStateMachine):
    """The core, a list as its store, and the simulated broker with its faults; crashes in between."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = SimulatedBroker(PRICES, CASH, at=NOW)
        self.broker.open_market()
        self.stream = self._connect()
        self.tickets: list[Any] = []
        self.stored: list[tuple[str, OrderEvent]] = []
        self.todo: list[Send | Query] = []
        self.sent: list[str] = []
        self.book = Book("paper", Holdings(CASH))

    def _connect(self) -> asyncio.Queue[Any]:
        stream = self.broker.events()
        now_result(stream.__anext__())
        self._open_stream = stream
        return self.broker._listeners[-1].inbox

    def _apply(self, given: Input) -> None:
        self.book, effects = handle(self.book, given)
        for effect in effects:
            if isinstance(effect, Record):
                self.stored.append((effect.order.ticket.client_order_id, effect.event))
            elif isinstance(effect, Send | Query):
                self.todo.append(effect)

    def _send(self, key: str) -> None:
        t = self.book.orders[key].ticket
        self.sent.append(key)
        order = BrokerOrder(key, t.symbol, Side(t.side), t.order_qty, MARKET_DAY)
        try:
            event = answer_event(now_result(self.broker.submit(order)))
        except BrokerRefused as refusal:
            event = answer_event(refusal.report)
        except BrokerUnclear:
            event = OrderEvent(ExecType.NO_ANSWER, NOW)
        self._apply(Reported(key, event))

    def _look_up(self, key: str) -> None:
        if self.book.orders[key].status is not OrdStatus.UNKNOWN:
            return
        if now_result(self.broker.find(key)) is None:
            self._apply(ProvenAbsent(key, NOW))
        else:
            self._catch_up()

    def stored_inputs(self) -> list[Input]:
        return [Reported(key, event) for key, event in self.stored]

    def _snapshot(self) -> Snapshot:
        account = now_result(self.broker.account())
        positions = now_result(self.broker.positions())
        return Snapshot(NOW, now_result(self.broker.orders()), now_result(self.broker.fills()), positions, account.cash)

    def _catch_up(self) -> None:
        for reported in catch_up(self.book, self._snapshot()):
            self._apply(reported)

    @rule(symbol=st.sampled_from(sorted(PRICES)), side=st.sampled_from(["buy", "sell"]), qty=st.integers(1, 300))
    def decide(self, symbol: str, side: str, qty: int) -> None:
        new = ticket(f"order-{len(self.tickets)}", symbol, side, qty, str(PRICES[symbol]))
        self.tickets.append(new)
        self._apply(Committed((new,)))

    @rule(fault=st.sampled_from(FAULTS))
    def plan_fault(self, fault: Fault) -> None:
        self.broker.plan(fault)

    @precondition(lambda self: self.todo)
    @rule()
    def work_one(self) -> None:
        effect = self.todo.pop(0)
        self._send(effect.client_order_id) if isinstance(effect, Send) else self._look_up(effect.client_order_id)

    @rule(data=st.data())
    def execute(self, data: st.DataObject) -> None:
        working = list(now_result(self.broker.open_orders()))
        if working:
            order = data.draw(st.sampled_from(working))
            self.broker.execute(
                order.client_order_id, Decimal(data.draw(st.integers(1, int(order.qty - order.cum_qty))))
            )

    @rule()
    def listen(self) -> None:
        while not self.stream.empty():
            report = self.stream.get_nowait()
            event = event_of(report)
            if event is not None:
                self._apply(Reported(report.client_order_id, event))

    @rule()
    def crash_and_restart(self) -> None:
        rebuilt = rebuild("paper", CASH, self.tickets, self.stored_inputs())
        assert rebuilt.holdings == self.book.holdings
        self.todo.clear()
        self.broker.disconnect()
        self.stream.get_nowait()
        self.book = Book("paper", rebuilt.holdings, rebuilt.orders, self.book.blocked)
        self._apply(Restarted(NOW))

    @rule()
    def heal_and_converge(self) -> None:
        self.broker.heal()
        self.listen()
        for _tick in range(1000):
            if not self.todo:
                break
            self.work_one()
        self.listen()
        self._catch_up()
        ours = {e.exec_id: OurFill(e.exec_id, k, self.book.orders[k].ticket.symbol, e.last_qty, e.last_px, e.commission)
                for k, e in self.stored if e.last_qty}  # fmt: skip
        assert compare(self.book, ours, self._snapshot()) == ()

    @invariant()
    def each_order_is_accepted_once(self) -> None:
        assert len(self.broker.accepted) == len(set(self.broker.accepted))

    @invariant()
    def the_book_is_the_fold_of_what_is_stored(self) -> None:
        assert rebuild("paper", CASH, self.tickets, self.stored_inputs()).orders == self.book.orders

    @invariant()
    def an_unknown_order_blocks_its_symbol(self) -> None:
        unknown = {o.ticket.symbol for o in self.book.open_orders() if o.status is OrdStatus.UNKNOWN}
        assert unknown <= self.book.blocked.keys()

    @invariant()
    def cash_is_what_the_fills_say(self) -> None:
        sides = {t.client_order_id: t.side.sign for t in self.tickets}
        spent = sum(sides[k] * e.last_qty * e.last_px + e.commission for k, e in self.stored)
        assert self.book.holdings.cash == CASH - spent


DaemonVsExchange.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDaemonVsExchange = DaemonVsExchange.TestCase


def unknown_book() -> Book:
    return Book("paper", orders={"id": Order(ticket(), OrdStatus.UNKNOWN)})


def kinds(effects: Any) -> list[str]:
    return [type(e).__name__ for e in effects]


def test_absent_and_valid_is_sent_again():
    """The order was never there: the same id may go once more."""
    book, effects = handle(unknown_book(), ProvenAbsent("id", CLOSE - timedelta(seconds=1)))
    assert book.orders["id"].status is OrdStatus.PENDING_NEW
    assert kinds(effects) == ["Record", "Send"]


def test_absent_and_too_late_or_stopped_ends_unsent():
    """Yesterday's target, or one that a kill switch stopped since, must not be sent by the repair."""
    for given in (ProvenAbsent("id", CLOSE), ProvenAbsent("id", NOW, may_resend=False)):
        book, effects = handle(unknown_book(), given)
        assert book.orders["id"].status is OrdStatus.CANCELED
        assert kinds(effects) == ["Record"]


def test_a_restart_asks_about_everything_unanswered():
    """A committed order may or may not have been sent: only the broker knows."""
    orders = {k: Order(ticket(k, s), status) for k, s, status in (("a", "AAPL", OrdStatus.PENDING_NEW),
              ("b", "IBM", OrdStatus.UNKNOWN), ("c", "MSFT", OrdStatus.NEW))}  # fmt: skip
    book, effects = handle(Book("paper", orders=orders), Restarted(NOW))
    assert [e.client_order_id for e in effects if isinstance(e, Query)] == ["a", "b"]
    assert not any(isinstance(e, Send) for e in effects)
    assert book.orders["a"].status is OrdStatus.UNKNOWN


def test_a_symbol_is_free_only_when_no_order_of_it_is_unknown():
    """Two unproven orders, one answer."""
    orders = {k: Order(ticket(k)) for k in ("a", "b")}
    book = Book("paper", orders=orders)
    for key in ("a", "b"):
        book, _ = handle(book, Reported(key, OrderEvent(ExecType.NO_ANSWER, NOW)))
    book, _ = handle(book, Reported("a", OrderEvent(ExecType.NEW, NOW)))
    assert "AAPL" in book.blocked
    book, _ = handle(book, Reported("b", OrderEvent(ExecType.NEW, NOW)))
    assert book.blocked == {}


def test_breaks_heal_but_graver_causes_do_not():
    """A reconciliation that is clean again says nothing about an overfill."""
    book, effects = handle(Book("paper"), Breaks({"AAPL": "x", "*": "y"}))
    assert set(book.blocked) == {"AAPL", "*"}
    assert all(isinstance(e, Block) for e in effects)
    over = OrderEvent(ExecType.FILL, NOW, "x1", Decimal(101), Decimal(50))
    book, _ = handle(Book("paper", orders={"id": Order(ticket())}, blocked=book.blocked), Reported("id", over))
    book, effects = handle(book, Breaks({}))
    assert [e for e in effects if isinstance(e, Unblock)] == [Unblock("*", BlockCode.RECONCILIATION_BREAK)]
    assert book.blocked["AAPL"].code is BlockCode.OVERFILL


def test_what_changes_nothing_is_not_recorded():
    """Every repeated acknowledgement would be an order event, and the audit trail unreadable."""
    book = Book("paper", orders={"id": Order(ticket(), OrdStatus.NEW)})
    assert handle(book, Reported("id", OrderEvent(ExecType.NEW, NOW))) == (book, ())


def test_pruning_keeps_what_can_still_change():
    """A pruned open order would be forgotten."""
    orders = {s: Order(ticket(s), s) for s in OrdStatus}
    assert set(prune(Book("paper", orders=orders)).orders) == {s for s in OrdStatus if not s.is_terminal}


def test_cash_breaks_are_to_the_cent():
    """Half a cent is rounding, a cent is money."""
    book = Book("paper", Holdings(Decimal("100.004")))
    for theirs, count in (("100.00", 0), ("100.01", 1), ("99.99", 1)):
        found = compare(book, {}, Snapshot(NOW, (), (), (), Decimal(theirs)))
        assert [b.kind for b in found] == ["cash"] * count
        assert all(b.symbol == "*" for b in found)
    assert to_cent(book.holdings.cash) == Decimal("100.00")
