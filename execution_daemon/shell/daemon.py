"""The daemon: one leader for one account, put together from its parts and run until something stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from bifrost_core.errors import BrokerError
from bifrost_core.settings import Settings
from bifrost_core.trading.orders import BlockCode, ExecType, OrderEvent, OrdStatus, Unblock
from execution_daemon.brokers.port import Broker, BrokerUnclear, NotListed
from execution_daemon.core.book import Book, Reported, Restarted
from execution_daemon.errors import NotReady
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.clock import Host, MarketClock, this_host
from execution_daemon.shell.commands import Commands
from execution_daemon.shell.committer import Committer
from execution_daemon.shell.failpoints import FailPoint, Reached, none_set
from execution_daemon.shell.inbox import Inbox
from execution_daemon.shell.intake import Intake
from execution_daemon.shell.listener import Listener
from execution_daemon.shell.market import MarketReader
from execution_daemon.shell.metrics import Metrics
from execution_daemon.shell.postgres import Gateway, PostgresGateway
from execution_daemon.shell.reconciler import Reconciler, Reconciliation
from execution_daemon.shell.sender import Sender
from execution_daemon.shell.slicer import Slicer
from execution_daemon.shell.store import Store

log = logging.getLogger("bifrost.daemon")
T = TypeVar("T")
RETRY_SECONDS = 0.2
BACKOFFS_MAX = 10  # a wait is doubled so often; the longest is `reconcile_seconds`
BEAT_SECONDS = 2.0
RECALLED = timedelta(days=2)  # a broker that tells of a fill in steps does so within its day


class Daemon:
    """Make it with a broker, then `run()`. The API calls `wake`, `reconcile`, `kill`, `unblock` and `state`."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        reached: Reached = none_set,
        gateway: Gateway | None = None,
        host: Host | None = None,
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.gateway: Gateway = gateway or PostgresGateway(settings)
        self.host = host or this_host()
        self.metrics = Metrics()
        self.clock = MarketClock(broker, settings.clock, self.host)
        self.inbox = Inbox()
        self._reached = reached
        self._parts: _Parts | None = None
        self._store: Store | None = None

    async def run(self) -> None:
        """Lead, load, reconcile, trade. Ends only by an error or by being cancelled.

        Only who was told to stop lets the lease go: to the dead-man switch that is a clean stop, which an error is not.
        Nobody waits for the lease because of it: the lock of a connection that is gone is free at once.
        """
        store = Store(await self.gateway.statements(), self.settings, self.host.name)
        store.broker = self.broker.name
        self._store = store
        try:
            await self._lead(store)
            await self._start(store)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await store.release_lease()
            raise
        finally:
            await store.close()

    async def _lead(self, store: Store) -> None:
        """Wait for the lease; a leader that died is followed at once, one that lives is waited for."""
        told = False
        while not await store.acquire_lease(self.settings.lease_seconds):
            if not told:
                log.warning("standing by: %s leads account %s", await store.lease_holder(), store.account)
            told = True
            await asyncio.sleep(self.settings.lease_seconds / 3)
        log.info("leading account %s in epoch %d", store.account, store.epoch)

    async def _start(self, store: Store) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_lease(store), name="lease")
            now = await self._insist("tell the time", self.clock.read)
            if not await store.has_account():
                opened_at, cash = await self._insist("show the account", self._balance)
                await store.open_account(cash, opened_at)
            parts = _Parts(self.broker, store, self.clock, self.metrics, self.inbox, self.settings, self._reached)
            await parts.keeper.load()
            self._parts = parts
            told = await store.fills_since(now - RECALLED)
            self.broker.recall({exec_id: fill.commission for exec_id, fill in told.items()})
            await parts.keeper.apply(Restarted(now))
            for job in (
                self.inbox.run,
                parts.sender.run,
                parts.listener.run,
                self._reconciliations,
                self._doorbell,
                self._beats,
            ):
                group.create_task(job(), name=job.__name__)

    async def _balance(self) -> tuple[datetime, Decimal]:
        """Cash, and a time of the broker's from which on nothing that it books is in it yet."""
        at = await self.broker.market_time()
        account = await self.broker.account()
        if await self.broker.adjustments(at):
            raise BrokerUnclear("the ledger moved while it was read", "It is read again by itself")
        return at, account.cash

    async def _insist(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the broker answers; said once."""
        told = False
        while True:
            try:
                return await ask()
            except BrokerError as error:
                if not told:
                    log.warning("waiting for the broker to %s: %s", what, error)
                told = True
                await asyncio.sleep(RETRY_SECONDS)

    @property
    def parts(self) -> _Parts:
        """What exists once the account is led and loaded. Raises NotReady before."""
        if self._parts is None:
            raise NotReady("the daemon is starting", "Wait until GET /ready answers 200")
        return self._parts

    # ------------------------------------------------------------------------------------------------- jobs

    async def _keep_lease(self, store: Store) -> None:
        while True:
            await asyncio.sleep(self.settings.lease_seconds / 3)
            self._reached(FailPoint.LEASE_RENEWAL)
            await store.renew_lease(self.settings.lease_seconds)

    async def _reconciliations(self) -> None:
        """The first one as soon as the broker answers, then one every `reconcile_seconds` and when there is cause."""
        failures, listener = 0, self.parts.listener
        while True:
            listener.to_compare.clear()  # what is heard from here on, the next look is for
            in_full, listener.has_heard_a_stranger = listener.has_heard_a_stranger or not self.is_ready, False
            try:
                found = await self._reconcile(is_routine=not in_full)
            except BrokerError as error:
                log.warning("cannot reconcile: %s", error)
                listener.has_heard_a_stranger |= in_full
                failures = min(failures + 1, BACKOFFS_MAX)
                await asyncio.sleep(min(RETRY_SECONDS * 2**failures, self.settings.reconcile_seconds))
                continue
            failures = 0
            await asyncio.sleep(RETRY_SECONDS)
            is_due = found.is_whole and self.is_ready
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.reconcile_seconds if is_due else RETRY_SECONDS * 5):
                    await listener.to_compare.wait()

    async def _reconcile(self, is_routine: bool = False) -> Reconciliation:
        began = asyncio.get_running_loop().time()
        found = await self.parts.reconciler.reconcile(is_routine)
        self.metrics.reconcile.observe(asyncio.get_running_loop().time() - began)
        self.parts.sender.heed(await self.parts.store.limits())
        if found.is_clean and not self.is_ready:
            self.parts.sender.may_send.set()
            log.info("ready: the book and the broker's ledger agree at %s", found.event_at)
            await self.inbox.ask(self._tick)
        return found

    async def _doorbell(self) -> None:
        """Tick whenever the bell rings, and every `poll_seconds` in case it was not heard."""
        bell = await self.gateway.bell()
        try:
            told = ""
            while True:
                try:
                    await self._look_at_the_table()
                    told = ""
                except BrokerError as error:
                    if str(error) != told:
                        log.error("batches wait: %s", error)
                    told = str(error)
                await bell.wait(self.settings.poll_seconds)
        finally:
            await bell.close()

    async def _look_at_the_table(self) -> datetime:
        """A close that has passed is reconciled before anything is taken."""
        at, intake = await self.inbox.ask(self._tick), self.parts.intake
        if (closed_at := intake.closed_at) is not None:
            await self.reconcile()
            if intake.closed_at == closed_at:  # no later one meanwhile
                intake.closed_at = None
            at = await self.inbox.ask(self._tick)
        return at

    async def _tick(self) -> datetime:
        at = await self.parts.intake.tick()
        await self.parts.commands.settle_groups()
        return at

    async def _beats(self) -> None:
        while True:
            detail = {"epoch": self.parts.store.epoch, "open_orders": len(list(self.parts.keeper.book.open_orders()))}
            await self.parts.store.beat(self.condition, detail, self.clock.last)
            await asyncio.sleep(BEAT_SECONDS)

    # -------------------------------------------------------------------------------------------------- API

    @property
    def is_ready(self) -> bool:
        """Whether the book and the broker's ledger have been found to agree, and orders are taken."""
        return self._parts is not None and self._parts.sender.may_send.is_set()

    @property
    def condition(self) -> str:
        """starting, reconciling, ready or halted."""
        if self._parts is None:
            return "starting"
        if self._parts.reconciler.is_halted:
            return "halted"
        if not self.is_ready:
            is_busy = self._parts.reconciler.is_busy
            return "halted" if self._parts.keeper.book.blocked and not is_busy else "reconciling"
        return "ready"

    async def wake(self) -> datetime:
        """Read the clock again and look at the table now; returns market time once that is done."""
        return await self._look_at_the_table() if self._parts else await self.clock.read()

    async def reconcile(self) -> Reconciliation:
        """Reconcile now and return the outcome. Raises BrokerError where the broker is silent or trades on."""
        found = await self._reconcile()
        if not found.is_whole:
            raise BrokerUnclear(
                "not all of it could be compared: it was just traded", "It is looked at again by itself"
            )
        return found

    async def halt(self, scope: str, key: str, reason: str, actor: str) -> None:
        """Engage a kill switch: read in the transaction of every intent from now on. Needs no lease and no broker."""
        if self._store is None:
            raise BrokerError(
                "the warehouse is not connected yet", "Run `bifrost db start`; no order is sent without it"
            )
        at = self.clock.now() if self.clock.last else self.host.now()
        await self._store.set_kill_switch(scope, key, True, reason, actor, at)
        self._reached(FailPoint.KILL_COMMITTED)
        log.warning("kill switch %s %s engaged by %s: %s", scope, key, actor, reason)

    @property
    def commands(self) -> Commands:
        """What people may have it do. Raises BrokerError before the account is led and loaded."""
        return self.parts.commands

    async def unblock(self, symbol: str, actor: str) -> bool:
        """A person says that the cause of a block is dealt with; False where the symbol is not blocked."""

        async def work() -> bool:
            keeper = self.parts.keeper
            cause = keeper.book.blocked.get(symbol)
            if cause is None:
                return False
            if unknown := keeper.book.unknown().get(symbol):
                what = f"order {unknown.ticket.client_order_id} in {symbol} is unknown"
                raise BrokerError(what, "It is looked up until the broker proves what became of it")
            await keeper.store.unblock(Unblock(symbol, BlockCode(cause.code)), self.clock.now(), actor)
            rest = {s: c for s, c in keeper.book.blocked.items() if s != symbol}
            keeper.book = replace(keeper.book, blocked=rest)
            return True

        return await self.inbox.ask(work)

    async def conclude(self, client_order_id: str, reason: str, actor: str) -> None:
        """A person says that an unknown order has ended: where the broker is asked, and lists it no more.

        Raises BrokerError where it is not unknown, or the broker does know.
        """

        self._require_unknown(client_order_id)
        with contextlib.suppress(NotListed):
            await self.broker.find(client_order_id)
            raise BrokerError(f"the broker knows of order {client_order_id}", "It is looked up: wait a moment")

        async def work() -> None:
            self._require_unknown(client_order_id)
            why = f"ended by {actor}, for the broker lists it no more: {reason}"
            event = OrderEvent(ExecType.CANCELED, self.clock.now(), text=why)
            await self.parts.keeper.apply(Reported(client_order_id, event))

        await self.inbox.ask(work)

    def _require_unknown(self, client_order_id: str) -> None:
        order = self.parts.keeper.book.orders.get(client_order_id)
        if order is None or not order.is_unknown:
            raise BrokerError(f"order {client_order_id} is not unknown", "The broker says what becomes of it")

    async def state(self) -> dict[str, Any]:
        """What the control plane shows."""
        base: dict[str, Any] = {
            "account": self.settings.account,
            "state": self.condition,
            "market_time": _iso(self.clock.last),
        }
        if self._parts is None:
            switches = await self._store.kill_switches() if self._store else []
            return {**base, "epoch": 0, "open_orders": 0, "unknown_orders": 0, "pending_batches": 0,
                    "last_reconciliation": None, "kill_switches": switches, "blocked_symbols": []}  # fmt: skip
        store, book = self._parts.store, self._parts.keeper.book
        return {
            **base,
            "epoch": store.epoch,
            **self._order_counts(book),
            "pending_batches": await store.pending_batches(),
            "last_reconciliation": await store.last_reconciliation(),
            "kill_switches": await store.kill_switches(),
            "blocked_symbols": [
                {"symbol": symbol, "reason_code": cause.code, "detail": cause.detail}
                for symbol, cause in sorted(book.blocked.items())
            ],
        }

    def _order_counts(self, book: Book) -> dict[str, int]:
        statuses = [order.status for order in book.open_orders()]
        return {"open_orders": len(statuses), "unknown_orders": statuses.count(OrdStatus.UNKNOWN)}


class _Parts:
    """What works on the loaded book, wired together."""

    def __init__(
        self,
        broker: Broker,
        store: Store,
        clock: MarketClock,
        metrics: Metrics,
        inbox: Inbox,
        settings: Settings,
        reached: Reached,
    ) -> None:
        self.store = store
        self.keeper = Bookkeeper(store, clock, metrics, reached)
        self.reconciler = Reconciler(broker, self.keeper, inbox)
        self.sender = Sender(broker, self.keeper, inbox, settings.send_timeout_seconds)
        reader, committer = MarketReader(broker, store, clock), Committer(self.keeper)
        slicer = Slicer(self.keeper, reader, committer)
        self.listener = Listener(broker, self.keeper, self.reconciler, inbox)
        may_send = self.sender.may_send
        self.intake = Intake(self.keeper, reader, committer, slicer, may_send, settings)
        self.commands = Commands(self.keeper, reader, committer, slicer, inbox, may_send, settings)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
