"""Takes target batches: validates, plans, decides and commits. The doorbell only rings; the table is the truth."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk import Quote, RiskCode
from bifrost_core.trading.targets import TargetBatch
from execution_daemon.brokers.port import Broker
from execution_daemon.core.book import Committed
from execution_daemon.core.desk import Market, Work, work
from execution_daemon.core.intake import Choice, choose
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.shell.reconciler import Reconciler
from execution_daemon.shell.store import SessionTimes

log = logging.getLogger("bifrost.daemon.intake")


class Intake:
    """Used by inbox jobs only. Takes nothing until `is_open`: the first clean reconciliation."""

    def __init__(self, broker: Broker, keeper: Bookkeeper, reconciler: Reconciler) -> None:
        self.broker = broker
        self.keeper = keeper
        self.store = keeper.store
        self.reconciler = reconciler
        self.is_open = False
        self._session: SessionTimes | None = None

    async def tick(self) -> datetime:
        """Look at the clock and the table; returns market time. A close that has passed is reconciled first."""
        now = await self.keeper.clock.read()
        before, self._session = self._session, await self.store.session_from(now)
        if before is not None and now >= before.close_at:
            await self.reconciler.reconcile()
        if self.is_open:
            await self._take(now)
        return now

    async def _take(self, now: datetime) -> None:
        undecided = await self.store.undecided_batches()
        if not undecided:
            return
        choice = await self._choose(undecided, now)
        for batch, refusal in choice.refused:
            log.error("batch %s quarantined: %s: %s", batch.batch_id, refusal.code, refusal.detail)
            await self.store.decide_batch(batch.batch_id, "quarantined", now, refusal.code, refusal.detail)
            self.keeper.metrics.batches["quarantined"] += 1
        if choice.work is not None:
            await self._work(choice.work)

    async def _choose(self, undecided: tuple[TargetBatch, ...], now: datetime) -> Choice:
        limit = (await self.store.limits()).value(LimitCode.MAX_GROSS_JUMP)
        return choose(
            undecided,
            now,
            await self.store.known_symbols(),
            await self.store.last_batch(),
            Decimal(0) if limit is None else limit,
        )

    async def _work(self, batch: TargetBatch) -> None:
        if self._session is None:
            log.error(
                "batch %s waits: reference.sessions has no session of %s to trade it in", batch.batch_id, self.store.mic
            )
            return
        market = await self._market(batch, self._session)
        controls = await self.store.controls(self._session.session)
        await self.store.decide_batch(batch.batch_id, "accepted", market.now)
        self.keeper.reached(FailPoint.BATCH_ACCEPTED)
        await self._commit(batch, work(self.keeper.book, batch, market, controls), market.now)

    async def _market(self, batch: TargetBatch, session: SessionTimes) -> Market:
        """Last trades of what is targeted or held; the clock is read after them, so that none is of the future."""
        held = (symbol for symbol, position in self.keeper.book.holdings.positions.items() if position.quantity)
        trades = await self.broker.last_trade(sorted({*held, *(t.symbol for t in batch.targets)}))
        now = await self.keeper.clock.read()
        return Market(now, session.open_at, {symbol: Quote(t.price, t.at) for symbol, t in trades.items()})

    async def _commit(self, batch: TargetBatch, decided: Work, at: datetime) -> None:
        began = time.perf_counter()
        reasons = await self.store.submit(decided, at) if decided.intents else {}
        self.keeper.metrics.intent_commit.observe(time.perf_counter() - began)
        self.keeper.metrics.decisions.update(reasons.values())
        tickets = tuple(
            intent.ticket for intent in decided.intents if reasons[intent.ticket.client_order_id] == RiskCode.ACCEPTED
        )
        log.info("batch %s: %d orders, %d denied", batch.batch_id, len(tickets), len(decided.intents) - len(tickets))
        self.keeper.accepted.add(batch.batch_id)
        await self.keeper.apply(Committed(tickets))
