"""Sends committed orders, looks up those without an answer, and cancels. What it learns goes to the inbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from functools import partial

from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.orders import BlockCode, ExecType, Order, OrderEvent, OrdStatus
from bifrost_core.trading.throttle import Throttle
from execution_daemon.brokers.port import (
    Broker,
    BrokerOrder,
    BrokerOrderState,
    BrokerRefused,
    BrokerStatus,
    BrokerUnclear,
    ExecutionReport,
)
from execution_daemon.core.book import ProvenAbsent, Reported
from execution_daemon.core.contingencies import allowed
from execution_daemon.core.reconcile import ACCOUNT
from execution_daemon.core.reports import answer_event, event_of, known_event, state_event
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.shell.inbox import Inbox

log = logging.getLogger("bifrost.daemon.sender")
SENDERS, LOOKERS, CANCELERS = 4, 4, 4
SETTLE_SECONDS = 1.0  # a request whose answer did not come may still be on its way to the broker: absent is asked twice
FRESH_SECONDS, LOOKS_MAX = 0.2, 3  # an older answer to whether an order may leave is asked for again
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # the last one for ever after


def order_of(order: Order) -> BrokerOrder:
    """An order in the broker's words."""
    ticket = order.ticket
    return BrokerOrder(
        client_order_id=ticket.client_order_id,
        symbol=ticket.symbol,
        side=ticket.side,
        qty=order.order_qty,
        terms=ticket.terms,
    )


class Later:
    """Puts what could not be done into its queue again, each time after a longer pause: others do not wait for it."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()

    def again(self, queue: asyncio.Queue[str], key: str) -> None:
        """Try it again in a while."""
        seconds = RETRY_SECONDS[min(self._attempts[key], len(RETRY_SECONDS) - 1)]
        self._attempts[key] += 1
        asyncio.get_running_loop().call_later(seconds, queue.put_nowait, key)

    def forget(self, key: str) -> None:
        """It was done."""
        self._attempts.pop(key, None)


class Sender:
    """Sends nothing until `may_send` is set: the first clean reconciliation."""

    def __init__(self, broker: Broker, keeper: Bookkeeper, inbox: Inbox, timeout_seconds: float) -> None:
        self.broker = broker
        self.keeper = keeper
        self.inbox = inbox
        self.timeout_seconds = timeout_seconds
        self.may_send = asyncio.Event()
        self._sends, self._looks, self._cancels = Later(), Later(), Later()
        self._absent: dict[str, float] = {}  # since when, by the event loop's clock
        self._settled_at: dict[str, float] = {}  # of what a predecessor sent
        self.throttle = Throttle(per_second=50.0, burst=100.0, reserve=20.0)  # until the limits are read

    def heed(self, limits: Limits) -> None:
        """Send no faster than the limits say; where one is missing or lets nothing through, what was in force stays."""
        rate, burst, reserve = (
            limits.value(code) for code in (LimitCode.MESSAGE_RATE, LimitCode.MESSAGE_BURST, LimitCode.CANCEL_RESERVE)
        )
        if not rate or not burst or burst < 1 or reserve is None:
            return
        now, old = (float(rate), float(burst), float(reserve)), self.throttle
        if now != (old.per_second, old.burst, old.reserve):  # a new one is full, so the old one is kept while it can be
            self.throttle = Throttle(*now)

    async def run(self) -> None:
        """Work the queues for ever; orders leave in the order in which they were committed."""
        settled_at = asyncio.get_running_loop().time() + self.timeout_seconds + SETTLE_SECONDS
        inherited = (order for order in self.keeper.book.open_orders() if order.is_unknown)
        self._settled_at = {order.ticket.client_order_id: settled_at for order in inherited}
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send_all())
            for _ in range(LOOKERS):
                group.create_task(self._look_up_all())
            for _ in range(CANCELERS):
                group.create_task(self._cancel_all())

    async def _send_all(self) -> None:
        await self.may_send.wait()
        while True:
            await self.send(await self.keeper.to_send.get())

    async def _look_up_all(self) -> None:
        while True:
            await self.look_up(await self.keeper.to_look_up.get())

    async def _cancel_all(self) -> None:
        while True:
            await self.cancel(await self.keeper.to_cancel.get())

    async def _wait_for_capacity(self, is_cancel: bool = False) -> None:
        loop = asyncio.get_running_loop()
        while seconds := self.throttle.take(loop.time(), is_cancel):
            await asyncio.sleep(seconds)

    async def send(self, key: str) -> None:
        """Send one order once; silence becomes NO_ANSWER, and only the broker's refusal a rejection."""
        if self._unsent(key) is None:
            self._sends.forget(key)
            return
        self.keeper.reached(FailPoint.INTENT_COMMITTED)
        await self._wait_for_capacity()  # before the last look at what stands against it
        objection = await self._last_look(key)
        order = self._unsent(key)
        if order is None:
            return
        if not objection and order.leaves_qty > allowed(self.keeper.book, order):
            self._sends.again(self.keeper.to_send, key)  # it is being replaced by a smaller one
            return
        self._sends.forget(key)
        if objection:
            event = OrderEvent(ExecType.CANCELED, self.keeper.clock.now(), text=f"not sent: {objection}")
        else:
            self.keeper.reached(FailPoint.BEFORE_SEND)
            event = await self._ask_broker(order)
            self.keeper.reached(FailPoint.ORDER_SENT)
        await self.inbox.put(partial(self._hear, Reported(key, event)))

    def _unsent(self, key: str) -> Order | None:
        """The order as it is now; None where a report overtook the resend: there is nothing to ask for any more."""
        order = self.keeper.book.orders.get(key)
        return order if order is not None and order.status is OrdStatus.PENDING_NEW else None

    async def _hear(self, reported: Reported) -> None:
        """The order may have ended and been let go of in the meantime: it is read again then."""
        await self.keeper.hear(reported)

    async def _last_look(self, key: str) -> str:
        """The objection as it stands now: asked again where the process was stopped before it heard the answer."""
        loop, objection = asyncio.get_running_loop(), ""
        for _ in range(LOOKS_MAX):
            asked = loop.time()
            objection = await self._objection(key)
            if objection or loop.time() - asked < FRESH_SECONDS:
                break
        return objection

    async def _objection(self, key: str) -> str:
        """Why an order that was committed must not leave any more; empty if it may. The book is looked at last."""
        if await self.keeper.store.is_order_killed(key):
            return "a kill switch was engaged since"
        order, blocked = self._unsent(key), self.keeper.book.blocked
        if order is None or order.is_cancel_wanted:
            return "its cancel was asked"
        if self.keeper.clock.now() >= order.ticket.valid_until:
            return "its target is no longer valid"
        causes = [blocked[symbol].code for symbol in (order.ticket.symbol, ACCOUNT) if symbol in blocked]
        grave = [code for code in causes if code is not BlockCode.SEND_UNPROVEN]  # that may be this very order
        return f"{order.ticket.symbol} is blocked: {grave[0]}" if grave else ""

    async def _ask_broker(self, order: Order) -> OrderEvent:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return answer_event(await self._submit(order))
        except BrokerRefused as refusal:
            return answer_event(refusal.report)
        except (TimeoutError, OSError, BrokerUnclear) as error:
            return OrderEvent(ExecType.NO_ANSWER, self.keeper.clock.now(), text=str(error) or type(error).__name__)
        finally:
            self.keeper.metrics.broker_answer.observe(time.perf_counter() - began)

    async def _submit(self, order: Order) -> ExecutionReport:
        """Send it; the failpoint lies between the first byte and the answer."""
        answer = asyncio.ensure_future(self.broker.submit(order_of(order)))
        try:
            await asyncio.sleep(0)
            self.keeper.reached(FailPoint.DURING_SEND)
            return await answer
        finally:
            answer.cancel()

    async def look_up(self, key: str) -> None:
        """Ask what became of an unknown order; without an answer it is asked again in a while, after the others."""
        order = self.keeper.book.orders.get(key)
        if order is None or not order.is_unknown:
            self._forget_looks(key)
            return
        try:
            state = await self._find(key)
            if state is not None:
                self._absent.pop(key, None)
            elif not self._is_settled(key):
                return
            await self._conclude(key, state)
            self._forget_looks(key)
        except (TimeoutError, OSError, BrokerUnclear) as error:
            log.warning("order %s is unknown and the broker does not answer: %s", key, error)
            self._looks.again(self.keeper.to_look_up, key)

    def _is_settled(self, key: str) -> bool:
        """Whether an absent order was absent before, long enough ago; otherwise it is looked up again then.

        What a predecessor sent may be on its way for as long as it would have waited for the answer.
        """
        loop = asyncio.get_running_loop()
        first = self._absent.setdefault(key, loop.time())
        seconds = max(first + SETTLE_SECONDS, self._settled_at.get(key, 0.0)) - loop.time()
        if seconds > 0:
            loop.call_later(seconds, self.keeper.to_look_up.put_nowait, key)
        return seconds <= 0

    def _forget_looks(self, key: str) -> None:
        self._looks.forget(key)
        self._absent.pop(key, None)

    async def _find(self, key: str) -> BrokerOrderState | None:
        async with asyncio.timeout(self.timeout_seconds):
            return await self.broker.find(key)

    async def _conclude(self, key: str, state: BrokerOrderState | None) -> None:
        if state is None:
            await self.keeper.clock.read()  # what is decided on an absence depends on the time
            await self.inbox.put(partial(self._prove_absent, key))
            return
        async with asyncio.timeout(self.timeout_seconds):
            fills = await self.broker.fills(state.submitted_at)
        await self.inbox.put(partial(self._found, state, [f for f in fills if f.client_order_id == key]))

    async def _prove_absent(self, key: str) -> None:
        order = self.keeper.book.orders.get(key)
        if order is None or not order.is_unknown:
            return  # something else has answered since
        may_resend = not await self.keeper.store.is_order_killed(key)
        await self.keeper.apply(ProvenAbsent(key, self.keeper.clock.now(), may_resend))

    async def cancel(self, key: str) -> None:
        """Ask the broker to cancel what is open: a cancel may be asked twice. Without an answer it is, in a while."""
        order = self.keeper.book.orders.get(key)
        if order is None or order.status.is_terminal:
            self._cancels.forget(key)
            return
        await self._wait_for_capacity(is_cancel=True)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await self.broker.cancel(key)
            self._cancels.forget(key)
        except BrokerRefused as refusal:
            await self._cancel_refused(key, refusal)
        except (TimeoutError, OSError, BrokerUnclear) as error:
            log.warning("the cancel of %s was not answered: %s", key, error)
            self._cancels.again(self.keeper.to_cancel, key)

    async def _cancel_refused(self, key: str, refusal: BrokerRefused) -> None:
        """It may have ended: what it has become is asked for, and only an order that still works goes on."""
        try:
            state = await self._find(key)
            if state is not None and not state.status.is_open:
                await self._conclude(key, state)
                return
            if state is not None and state.status is BrokerStatus.PENDING_CANCEL:
                return  # it is being canceled already: its end is reported
        except (TimeoutError, OSError, BrokerUnclear):
            self._cancels.again(self.keeper.to_cancel, key)
            return
        event = OrderEvent(ExecType.CANCEL_REJECTED, self.keeper.clock.now(), text=refusal.report.text)
        await self.inbox.put(partial(self._hear, Reported(key, event)))

    async def _found(self, state: BrokerOrderState, fills: list[ExecutionReport]) -> None:
        """The broker has it: say so, then its fills, then what it has become."""
        key = state.client_order_id
        events = [known_event(state), *(event_of(f) for f in fills), state_event(state, state.updated_at)]
        for event in events:
            await self.keeper.hear(Reported(key, event))
