"""Compares the book with the broker's ledger: at start, after reconnects and closes, periodically, and when asked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bifrost_core.trading.orders import BlockCode
from execution_daemon.brokers.port import Broker, BrokerOrderState, BrokerUnclear, ExecutionReport, NotListed
from execution_daemon.core.book import Adjusted, Breaks
from execution_daemon.core.reconcile import ACCOUNT, Break, Snapshot, catch_up, compare, halted
from execution_daemon.shell.bookkeeper import UNANSWERED, Bookkeeper
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.shell.inbox import Inbox

log = logging.getLogger("bifrost.daemon.reconciler")
OVERLAP = timedelta(days=1)  # looked at again although it was clean: a broker may correct the day before
ATTEMPTS = 3
RECENT_SECONDS = 2.0  # what changed so lately is compared next time: the broker's lists may lag behind its reports
LOOKS_MAX = 20
SETTLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Reading:
    """The broker's ledger since `since`, and when it was begun to be read, by the event loop's clock."""

    began: float
    since: datetime | None
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome of one comparison, as stored. `is_whole` says that nothing was left out as too recent."""

    reconciliation_id: int
    is_clean: bool
    breaks: tuple[Break, ...]
    orders_checked: int
    fills_checked: int
    event_at: datetime
    is_whole: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "reconciliation_id": self.reconciliation_id,
            "is_clean": self.is_clean,
            "breaks": [one.as_json() for one in self.breaks],
            "orders_checked": self.orders_checked,
            "fills_checked": self.fills_checked,
            "event_at": self.event_at.isoformat(),
        }


class Reconciler:
    """Asks the broker beside the inbox, and compares in it: nobody waits behind the broker's answers.

    Raises BrokerUnclear where the broker does not answer; then nothing is recorded.
    """

    def __init__(self, broker: Broker, keeper: Bookkeeper, inbox: Inbox) -> None:
        self.broker = broker
        self.keeper = keeper
        self.inbox = inbox
        self.caught_up_at = -math.inf  # by the event loop's clock: what the broker had booked then, the book has
        self._turn = asyncio.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether one is on its way."""
        return self._turn.locked()

    async def reconcile(self, is_routine: bool = False) -> Reconciliation:
        """Apply what was missed, compare, record, and block or free symbols. A broker in motion is looked at again.

        What the book learned while the broker was asked is not compared: the ledger that was read may be older. A
        routine one, while trading goes on, leaves out what was touched in the last seconds too. Where nothing else
        differs it proves nothing, and raises BrokerUnclear. One at a time, and never from inside a job of the inbox.
        """
        async with self._turn:
            attempt = 1
            while (found := await self._attempt(is_routine, attempt == ATTEMPTS)) is None:
                await asyncio.sleep(SETTLE_SECONDS * attempt)
                attempt += 1
        return found

    async def _attempt(self, is_routine: bool, is_last: bool) -> Reconciliation | None:
        reading = await self._read()
        return await self.inbox.ask(partial(self._compare, reading, is_routine, is_last))

    async def _read(self) -> Reading:
        began = asyncio.get_running_loop().time()
        at = await self.keeper.clock.read()  # a moment before what is read: later, a leap of the clock may lie between
        since = await self._since()
        return Reading(began, since, await self._snapshot(since, at))

    async def _compare(self, reading: Reading, is_routine: bool, is_last: bool) -> Reconciliation | None:
        """The outcome; None where it is to be looked at again."""
        overtaken = self._touched_since(reading.began)
        await self._apply_missed(reading)
        self.caught_up_at = reading.began
        self.keeper.reached(FailPoint.MID_RECONCILE)
        breaks = compare(self.keeper.book, await self.keeper.store.fills_since(reading.since), reading.snapshot)
        if breaks and not is_last:
            return None
        recent = self._touched_since(reading.began - RECENT_SECONDS) if is_routine else overtaken
        settled = self._settled(breaks, recent)
        if breaks and not settled:
            raise BrokerUnclear(f"{breaks[0].symbol} differs, and was just traded", "It is looked at again by itself")
        return await self._conclude(reading.snapshot, settled, len(settled) == len(breaks))

    def _touched_since(self, at: float) -> set[str]:
        """Symbols that changed since then, by the event loop's clock; with any of them, the account."""
        touched = {symbol for symbol, touched_at in self.keeper.touched.items() if touched_at >= at}
        return touched | {ACCOUNT} if touched else touched

    def _settled(self, breaks: tuple[Break, ...], recent: set[str]) -> tuple[Break, ...]:
        """Breaks about what is not recent; and those that stand already."""
        known = {s for s, why in self.keeper.book.blocked.items() if why.code is BlockCode.RECONCILIATION_BREAK}
        return tuple(b for b in breaks if b.symbol not in recent or b.symbol in known)

    async def _since(self) -> datetime | None:
        """What is compared begins there: before, all was clean, or the broker does not list it any more."""
        clean = await self.keeper.store.last_clean_reconciliation()
        begins = (clean - OVERLAP if clean else None, await self.broker.lists_from())
        return max((at for at in begins if at is not None), default=None)

    async def _snapshot(self, since: datetime | None, at: datetime) -> Snapshot:
        """The ledger at one moment: read again until no fill came in between."""
        fills = await self.broker.fills(since)
        for _ in range(LOOKS_MAX):
            orders = await self._orders(since)
            positions = await self.broker.positions()
            account = await self.broker.account()
            adjustments = await self.broker.adjustments(since)
            again = await self.broker.fills(since)
            if [f.exec_id for f in again] == [f.exec_id for f in fills]:
                return Snapshot(at, orders, fills, positions, account.cash, account.equity, adjustments)
            fills = again
        raise BrokerUnclear(
            f"fills came in during each of {LOOKS_MAX} looks at the ledger", "It is tried again by itself"
        )

    async def _orders(self, since: datetime | None) -> tuple[BrokerOrderState, ...]:
        """Orders since then, open ones of any age, and those that only our book has as open."""
        found = {o.client_order_id: o for o in (*await self.broker.orders(since), *await self.broker.open_orders())}
        for key, order in self.keeper.book.orders.items():
            if key in found or order.status in UNANSWERED or order.status.is_terminal:
                continue
            with contextlib.suppress(NotListed):  # missing, then: a break of this order, and of no other
                if state := await self.broker.find(key):
                    found[key] = state
        return tuple(found.values())

    async def _apply_missed(self, reading: Reading) -> None:
        snapshot, since = reading.snapshot, reading.since
        stored = await self.keeper.store.fills_since(since)
        for key in sorted(self._to_adopt(snapshot, stored.keys())):
            await self.keeper.adopt(key)
        for reported in catch_up(self.keeper.book, snapshot):
            await self.keeper.apply(reported)
        opened_at, known = await self.keeper.store.opened_at(), await self.keeper.store.adjustments_since(since)
        for entry in snapshot.adjustments:
            if entry.at >= opened_at and entry.adjustment_id not in known:  # at that time nothing was in the balance
                await self.keeper.apply(Adjusted(entry))

    def _to_adopt(self, snapshot: Snapshot, stored: Any) -> set[str]:
        news: list[ExecutionReport] = [fill for fill in snapshot.fills if fill.exec_id not in stored]
        return {f.client_order_id for f in news} | {o.client_order_id for o in snapshot.orders if o.status.is_open}

    async def _conclude(self, snapshot: Snapshot, breaks: tuple[Break, ...], is_whole: bool) -> Reconciliation:
        number = await self.keeper.store.record_reconciliation(
            breaks, len(snapshot.orders), len(snapshot.fills), snapshot.at
        )
        await self.keeper.apply(Breaks(halted(breaks)))
        await self.keeper.store.record_equity(snapshot.equity, snapshot.at)
        self.keeper.metrics.reconciliations["broken" if breaks else "clean"] += 1
        if breaks:
            log.error("reconciliation %d found %d breaks, first: %s", number, len(breaks), breaks[0])
        else:
            self.keeper.forget_ended()
        checked = len(snapshot.orders), len(snapshot.fills)
        return Reconciliation(number, not breaks, breaks, *checked, snapshot.at, is_whole)

    @property
    def is_halted(self) -> bool:
        """Whether a break that is about the whole account stands."""
        return ACCOUNT in self.keeper.book.blocked
