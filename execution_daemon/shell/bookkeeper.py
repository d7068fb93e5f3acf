"""Keeps the book: asks the core, commits what it says, and only then believes it and acts on it."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from bifrost_core.trading.orders import Block, OrdStatus, Query, Send, Unblock
from execution_daemon.core.book import Book, Effect, Input, Record, Reported, handle, prune
from execution_daemon.shell.clock import MarketClock
from execution_daemon.shell.failpoints import FailPoint, Reached
from execution_daemon.shell.metrics import Metrics
from execution_daemon.shell.store import Store

log = logging.getLogger("bifrost.daemon.book")
QUEUE_MAX = 100_000
UNANSWERED = {OrdStatus.PENDING_NEW, OrdStatus.UNKNOWN}


class Bookkeeper:
    """Used by inbox jobs only, one at a time. `to_send` and `to_look_up` are what the sender takes from."""

    def __init__(self, store: Store, clock: MarketClock, metrics: Metrics, reached: Reached) -> None:
        self.store = store
        self.clock = clock
        self.metrics = metrics
        self.reached = reached
        self.book = Book(store.account)
        self.accepted: set[UUID] = set()
        self.to_send: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self.to_look_up: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)

    async def load(self) -> None:
        """The book as stored, and the batches of it that are not finished."""
        self.book = await self.store.load_book()
        self.accepted = set(await self.store.accepted_batches())

    async def apply(self, given: Input) -> None:
        """Handle `given`: commit its records, keep the new book, then do the rest. Stored executions change nothing."""
        book, effects = handle(self.book, given)
        for effect in effects:
            if isinstance(effect, Record) and not await self._commit(effect):
                return
        self.book = book
        for effect in effects:
            await self._carry_out(effect)
        await self.settle()

    async def _commit(self, record: Record) -> bool:
        stored = await self.store.record(record)
        self.reached(FailPoint.EVENT_RECORDED)
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
            case Block():
                log.warning("%s blocked: %s: %s", effect.symbol, effect.code, effect.detail)
                await self.store.block(effect, self.clock.now())
            case Unblock():
                await self.store.unblock(effect, self.clock.now())
            case Record():
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
        self.book = Book(
            self.book.account, self.book.holdings, {**self.book.orders, client_order_id: order}, self.book.blocked
        )
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
