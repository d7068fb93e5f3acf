"""A synchronised connection to TWS for one account: everything read once, then kept up by what TWS says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from execution_daemon.brokers import ib_codes as codes
from execution_daemon.brokers import ib_wire as wire
from execution_daemon.brokers.ib_fills import COMMISSION, Fills
from execution_daemon.brokers.ib_ledger import Ledger, Lists
from execution_daemon.brokers.ib_link import Link, TwsError
from execution_daemon.brokers.ib_orders import FOREIGN_ID, Known, KnownOrders
from execution_daemon.brokers.ib_wire import Status
from execution_daemon.brokers.port import BrokerStatus, BrokerUnclear, ExecKind, ExecutionReport

INBOX_REPORTS = 100_000
CORRECTIONS = {ExecKind.TRADE_CORRECT, ExecKind.TRADE_CANCEL}
EXECUTIONS = {ExecKind.TRADE, *CORRECTIONS}
Inbox = asyncio.Queue[ExecutionReport | None]
log = logging.getLogger("bifrost.brokers.ib")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where TWS listens and as whom we come; an empty account means the only one there is.

    An overseer cancels what other clients sent. TWS has one request for that, and it cancels everything.
    """

    host: str
    port: int
    client_id: int
    account: str = ""
    is_overseer: bool = False


class WrongAccount(BrokerUnclear):
    """The settings name no account, or another than TWS has: no retry mends that."""


class Session:
    """One connection's life. Make it with `Session.open`; after `link.closed` it is never used again."""

    def __init__(self, endpoint: Endpoint, orders: KnownOrders, fills: Fills, timeout_seconds: float) -> None:
        self.link = Link(self, timeout_seconds)
        self.account = endpoint.account
        self._endpoint = endpoint
        self._orders = orders
        self._fills = fills
        self._clock = (datetime.now(UTC), 0.0)
        self._inboxes: list[Inbox] = []
        self._outbox: asyncio.Queue[tuple[ExecutionReport, float]] = asyncio.Queue(INBOX_REPORTS)
        self._corrections: dict[str, ExecutionReport] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard: set[str] = set()

    async def open(self, heartbeat_seconds: float) -> None:
        """Connect, read everything, and stay. Raises BrokerUnclear; then the session is closed."""
        try:
            await self.link.connect(self._endpoint.host, self._endpoint.port, self._endpoint.client_id)
            self._choose_account()
            await self._tick()
            await self.link.bind_orders()
            await self._learn()
        except BaseException:
            self.link.drop("it could not be synchronised")
            raise
        self._spawn(self._beat(heartbeat_seconds))
        self._spawn(self._tell())

    async def close(self) -> None:
        """End the connection and what runs on it."""
        self.link.drop("the adapter was closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _choose_account(self) -> None:
        accounts = self.link.accounts
        if not self.account and len(accounts) == 1:
            self.account = accounts[0]
        if self.account not in accounts:
            asked = f"has no account {self.account}" if self.account else "has several accounts"
            raise WrongAccount(f"TWS {asked}", f"Set BIFROST_IB_ACCOUNT to one of {', '.join(sorted(accounts))}")

    async def _learn(self) -> None:
        ledger = await self.ledger()
        self._orders.forget(self.now())
        for state in wire.reading("orders", ledger.states):
            self._orders.learn(state, ledger.order_id(state.client_order_id, self._endpoint.client_id))
        for report in self._fills.with_commissions(ledger.executions, self.link.commissions):
            if report.kind in CORRECTIONS:
                self._corrections[report.exec_id] = report

    # -- time ---------------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        self._clock = (await self.link.current_time(), asyncio.get_running_loop().time())

    def now(self) -> datetime:
        """Market time in whole seconds, from TWS's last word and the time since."""
        told, at = self._clock
        return (told + timedelta(seconds=asyncio.get_running_loop().time() - at)).replace(microsecond=0)

    async def market_time(self) -> datetime:
        """TWS's clock."""
        await self._tick()
        return self._clock[0]

    async def _beat(self, seconds: float) -> None:
        """Ask the time for ever: a connection that is silent is dropped for the answer that does not come."""
        while not self.link.closed.is_set():
            await asyncio.sleep(seconds)
            try:
                await self._tick()
            except BrokerUnclear as error:
                log.info("heartbeat: %s", error)

    # -- the ledger ---------------------------------------------------------------------------------------------------

    async def ledger(self) -> Ledger:
        """All three lists. Raises BrokerUnclear unless TWS is connected to IBKR before and after they are read."""
        self.link.require_synchronized()
        working = await self.link.open_orders()
        completed = await self.link.completed_orders()
        executions = await self._executions()
        self.link.require_synchronized()
        ours = Lists(
            at=self.now(),
            open=tuple(row for row in working if row[1].account == self.account),
            completed=tuple(row for row in completed if row[1].account == self.account),
            executions=tuple(row for row in executions if row[1].acctNumber == self.account),
        )
        self.link.use_ids_above(max((int(order.orderId) for _, order, _ in working), default=0))
        return wire.reading("lists", lambda: Ledger(ours, self._orders))

    async def _executions(self) -> list[Any]:
        try:
            return await self.link.executions(self.account)
        except TwsError as error:
            raise BrokerUnclear(f"TWS does not list executions: {error}") from error

    async def executions(self) -> tuple[ExecutionReport, ...]:
        """The day's executions with their commissions, as the stream has told them or would."""
        ledger = await self.ledger()
        reports = ledger.executions
        waiting = [report.exec_id for report in reports if report.kind is not ExecKind.TRADE_CANCEL]
        await self._fills.wait(waiting, self.link.commissions, self._fills.patience_seconds)
        return self._fills.with_commissions(reports, self.link.commissions)

    async def is_working(self, name: str) -> bool:
        """Whether the open orders show the order at work. Raises BrokerUnclear."""
        self.link.require_synchronized()
        rows = await self.link.open_orders()
        found = (status.status for _, order, status in rows if order.orderRef == name)
        return any(wire.STATUSES.get(word) in {BrokerStatus.NEW, BrokerStatus.FILLED} for word in found)

    # -- reports ------------------------------------------------------------------------------------------------------

    def listen(self) -> Inbox:
        """What happens from now on, and None at the end; first the day's corrections, which may have been missed."""
        inbox: Inbox = asyncio.Queue(INBOX_REPORTS)
        for correction in self._corrections.values():
            inbox.put_nowait(correction)
        if self.link.closed.is_set():
            inbox.put_nowait(None)
        self._inboxes.append(inbox)
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """Nobody reads the inbox any more."""
        self._inboxes.remove(inbox)

    def _put(self, report: ExecutionReport) -> None:
        """Reports leave in the order in which they came: an execution that waits holds up what came after it."""
        deadline = asyncio.get_running_loop().time() + self._fills.patience_seconds
        try:
            self._outbox.put_nowait((report, deadline))
        except asyncio.QueueFull:
            self.link.drop(f"{INBOX_REPORTS} reports wait to be told")

    async def _tell(self) -> None:
        loop, known = asyncio.get_running_loop(), self.link.commissions
        while True:
            report, deadline = await self._outbox.get()
            if report.kind in EXECUTIONS and not report.exec_id.endswith(COMMISSION):
                if report.kind is not ExecKind.TRADE_CANCEL:
                    await self._fills.wait([report.exec_id], known, deadline - loop.time())
                if before := self._fills.late(report.exec_ref_id, known):
                    self._publish(before)  # what is corrected is told before its correction
                report = self._fills.complete(report, known)
            self._publish(report)

    def _publish(self, report: ExecutionReport) -> None:
        if report.kind in CORRECTIONS:
            if report.exec_id in self._corrections:
                return
            self._corrections[report.exec_id] = report
        for inbox in tuple(self._inboxes):
            try:
                inbox.put_nowait(report)
            except asyncio.QueueFull:
                self.link.drop("a listener does not keep up")

    # -- what the link hears ------------------------------------------------------------------------------------------

    def on_order(self, order: Any, status: str) -> None:
        """An open order, asked for or not."""
        if order.account == self.account:
            ours = order.orderId if order.clientId == self._endpoint.client_id else FOREIGN_ID
            for report in self._orders.on_order(ours, order, status, self.now()):
                self._put(report)
            self._answer(order.orderRef)

    def on_status(self, order_id: int, client_id: int, perm_id: int, status: Status) -> None:
        """What became of an order."""
        ours = order_id if client_id == self._endpoint.client_id else FOREIGN_ID
        for report in self._orders.on_status(ours, perm_id, status, self.now()):
            self._put(report)
        if known := self._orders.by_order_id(ours):
            self._answer(known.name)
            if known.end is not None or status.status == "PendingCancel":
                self._finish(("cancel", ours))

    def on_execution(self, contract: Any, fill: Any) -> None:
        """An execution, as it happens. One that was heard before is not told again."""
        if fill.acctNumber != self.account or fill.execId in self._heard:
            return
        self._heard.add(fill.execId)
        name = self._orders.name_of(fill)
        for report in self._orders.on_execution(name, fill.permId, self.now()):
            self._put(report)
        self._put(wire.execution(contract, fill, name))
        self._answer(name)

    def on_commission(self, exec_id: str) -> None:
        """A commission: completes an execution, or corrects one that was told without."""
        self._fills.arrived()
        correction = self._fills.late(exec_id, self.link.commissions)
        if correction is not None and correction.exec_id not in self._corrections:
            self._put(correction)

    def on_error(self, order_id: int, code: int, text: str) -> None:
        """A message about an order. A refusal of one that is still being sent is its answer, and no report.

        One of an order that was at work may be about the request to cancel it, or tell its end: the open orders say.
        """
        is_refusal = code in codes.REFUSALS
        reports = self._orders.on_error(order_id, code, text, self.now())
        known = self._orders.by_order_id(order_id)
        if is_refusal and known is not None and known.end is None:
            self._spawn(self._look_whether_it_works(known))
        if reports and self.link.asked(("order", order_id)):
            self._finish(("order", order_id))
        else:
            for report in reports:
                self._put(report)
        if (is_refusal or code in codes.CANCEL_REFUSALS) and (asked := self.link.asked(("cancel", order_id))):
            asked.fail(TwsError(code, text))

    async def _look_whether_it_works(self, known: Known) -> None:
        try:
            is_working = await self.is_working(known.name)
        except BrokerUnclear as error:
            log.warning("%s: %s, and the open orders do not say: %s", known.name, known.text, error)
            return
        for report in () if is_working else self._orders.refused(known, self.now()):
            self._put(report)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_end(self) -> None:
        """The connection has ended: so do its listeners' streams."""
        for inbox in self._inboxes:
            if inbox.full():
                inbox.get_nowait()
            inbox.put_nowait(None)
        for task in tuple(self._tasks):
            task.cancel()

    def _answer(self, name: str) -> None:
        """Whoever sent the order hears that TWS has taken it."""
        known = self._orders.by_name.get(name)
        if known is not None and (known.is_new_told or known.end is not None):
            self._finish(("order", known.order_id))

    def _finish(self, key: tuple[str, int]) -> None:
        if asked := self.link.asked(key):
            asked.finish()
