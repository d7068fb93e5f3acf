"""Keeps the book: asks the core, commits what it says, and only then believes it and acts on it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

from bifrost_core.trading.orders import Block, OrdStatus, Query, Send, Unblock
from execution_daemon.core.book import (
    Amend,
    Book,
    Cancel,
    Effect,
    Input,
    Record,
    RecordAdjustment,
    Reported,
    prune,
)
from execution_daemon.core.step import handle
from execution_daemon.shell.clock import MarketClock
from execution_daemon.shell.failpoints import FailPoint, Reached
from execution_daemon.shell.metrics import Metrics
from execution_daemon.shell.store import Store

log = logging.getLogger("bifrost.daemon.book")
QUEUE_MAX = 100_000
UNANSWERED = {OrdStatus.PENDING_NEW, OrdStatus.UNKNOWN}


class Bookkeeper:
    """Used by inbox jobs only, one at a time. `to_send`, `to_look_up` and `to_cancel` are what the sender takes from.

    `on_amend` commits the replacement of an order and has the original canceled; `touched` is when, by the event loop's
    clock, each symbol last changed.
    """

    def __init__(self, store: Store, clock: MarketClock, metrics: Metrics, reached: Reached) -> None:
        self.store = store
        self.clock = clock
        self.metrics = metrics
        self.reached = reached
        self.book = Book(store.account)
        self.accepted: set[UUID] = set()
        self.to_send: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self.to_look_up: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self.to_cancel: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self.touched: dict[str, float] = {}
        self.on_amend: Callable[[Amend], Awaitable[object]] | None = None

    async def load(self) -> None:
        """The book as stored, and the batches of it that are not finished."""
        self.book = await self.store.load_book()
        self.accepted = set(await self.store.accepted_batches())

    async def apply(self, given: Input) -> None:
        """Handle `given`: commit its records, keep the new book, then do the rest. Stored executions change nothing."""
        began = time.perf_counter()
        book, effects = handle(self.book, given, self.clock.now())
        self.metrics.event_to_decision.observe(time.perf_counter() - began)
        for effect in effects:
            if isinstance(effect, Record) and not await self._commit(effect):
                return
            if isinstance(effect, RecordAdjustment) and not await self.store.record_adjustment(effect):
                return
        self.book = book
        for effect in effects:
            await self._carry_out(effect)
        await self.settle()

    async def _commit(self, record: Record) -> bool:
        self.reached(FailPoint.BEFORE_FILL if record.fills else FailPoint.BEFORE_EVENT)
        stored = await self.store.record(record)
        self.reached(FailPoint.FILL_RECORDED if record.fills else FailPoint.EVENT_RECORDED)
        self.touched[record.order.ticket.symbol] = asyncio.get_running_loop().time()
        if stored:
            self.metrics.events[record.kind] += 1
            for block in record.blocks:
                log.warning("%s blocked: %s: %s", block.symbol, block.code, block.detail)
        return stored

    async def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(key):
                self.to_send.put_nowait(key)
            case Query(key):
                self.to_look_up.put_nowait(key)
            case Cancel(key):
                self.to_cancel.put_nowait(key)
            case Amend():
                if self.on_amend is not None:
                    await self.on_amend(effect)
            case Block():
                log.warning("%s blocked: %s: %s", effect.symbol, effect.code, effect.detail)
                await self.store.block(effect, self.clock.now())
            case Unblock():
                await self.store.unblock(effect, self.clock.now())
            case Record() | RecordAdjustment():
                pass  # committed before

    async def hear(self, reported: Reported) -> bool:
        """Apply what was said of an order, of any age; False where the order is not ours."""
        if not await self.adopt(reported.client_order_id):
            return False
        await self.apply(reported)
        return True

    async def adopt(self, client_order_id: str) -> bool:
        """Have the order in the book, from the warehouse if it ended long ago; False where it is not ours."""
        if client_order_id in self.book.orders:
            return True
        order = await self.store.load_order(client_order_id)
        if order is None:
            return False
        self.book = replace(self.book, orders={**self.book.orders, client_order_id: order})
        return True

    async def settle(self) -> None:
        """Finish the accepted batches whose every order has been answered."""
        if not self.accepted:
            return
        waiting = {o.ticket.batch_id for o in self.book.open_orders() if o.status in UNANSWERED}
        for batch_id in sorted(self.accepted - waiting):
            await self.store.decide_batch(batch_id, "worked", self.clock.now())
            self.metrics.batches["worked"] += 1
            self.accepted.discard(batch_id)
            log.info("batch %s worked", batch_id)

    def forget_ended(self) -> None:
        """Let go of orders that ended; they are read again if anything is said of them."""
        self.book = prune(self.book)
