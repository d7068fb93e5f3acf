"""Takes target batches: validates, plans, decides and commits. The doorbell only rings; the table is the truth."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bifrost_core.settings import Settings
from bifrost_core.trading.risk import RiskCode, SessionHours
from bifrost_core.trading.schedules import Algo, Schedule
from bifrost_core.trading.targets import TargetBatch
from execution_daemon.core.desk import work
from execution_daemon.core.inputs import Market
from execution_daemon.core.intake import Choice, choose
from execution_daemon.core.worked import VWAP_SLICES, Pace, schedules_of
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.committer import Committer
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.shell.market import Look, MarketReader
from execution_daemon.shell.slicer import Slicer
from execution_daemon.shell.store import Undecided

log = logging.getLogger("bifrost.daemon.intake")


class Intake:
    """Used by inbox jobs only. Takes nothing before `may_send`, the first clean reconciliation.

    `closed_at` is when a session ended that was not reconciled since; who does takes it back.
    """

    def __init__(
        self,
        keeper: Bookkeeper,
        reader: MarketReader,
        committer: Committer,
        slicer: Slicer,
        may_send: asyncio.Event,
        settings: Settings,
    ) -> None:
        self.keeper = keeper
        self.store = keeper.store
        self.reader = reader
        self.committer = committer
        self.slicer = slicer
        self.execution: str = settings.execution
        self.participation = Decimal(str(settings.participation))
        self._may_send = may_send
        self.closed_at: datetime | None = None
        self._session: SessionHours | None = None
        self._worked: TargetBatch | None = None

    async def tick(self) -> datetime:
        """Look at the clock and the table; returns market time. Takes nothing while `closed_at` stands."""
        now = await self.keeper.clock.read()
        before, self._session = self._session, await self.store.session_from(now)
        if before is not None and now >= before.close_at:
            self.closed_at = before.close_at
        if self._may_send.is_set() and self.closed_at is None:
            await self._take(now)
            if self._session is not None and self.keeper.book.parents:
                await self.slicer.work(now, self._session)
        return now

    async def _take(self, now: datetime) -> None:
        undecided = await self.store.undecided_batches()
        if not undecided:
            return
        ahead = self._look_ahead(undecided, now)
        try:
            choice = await self._choose(undecided, now)
            for batch, refusal in choice.refused:
                log.error("batch %s quarantined: %s: %s", batch.batch_id, refusal.code, refusal.detail)
                await self.store.decide_batch(batch.batch_id, "quarantined", now, refusal.code, refusal.detail)
                self.keeper.metrics.batches["quarantined"] += 1
            if choice.work is not None:
                await self._work(choice.work, ahead.get(choice.work.batch_id))
        finally:
            for look in ahead.values():
                look.cancel()
            await asyncio.gather(*ahead.values(), return_exceptions=True)

    def _look_ahead(self, undecided: Sequence[Undecided], now: datetime) -> dict[UUID, asyncio.Task[Look]]:
        """The broker takes longest to answer: asked about the newest batch that is due, before that is read whole."""
        due = [one for one in undecided if one.batch.valid_from <= now][-1:]
        session = self._session
        return {one.batch.batch_id: asyncio.create_task(self._look(one.symbols, session)) for one in due if session}

    async def _look(self, symbols: frozenset[str], session: SessionHours) -> Look:
        return await self.reader.look(self.keeper.book.symbols | symbols, session)

    async def _choose(self, undecided: Sequence[Undecided], now: datetime) -> Choice:
        batches, known, last, limits = await asyncio.gather(
            self.store.with_targets([one.batch for one in undecided]),
            self.store.known_symbols(),
            self.store.last_batch(self._worked),
            self.store.limits(),
        )
        released = {one.batch.batch_id for one in undecided if one.is_released}
        return choose(batches, now, known, last, limits, released)

    async def _work(self, batch: TargetBatch, look: asyncio.Task[Look] | None) -> None:
        if self._session is None:
            log.error(
                "batch %s waits: reference.sessions has no session of %s to trade it in", batch.batch_id, self.store.mic
            )
            return
        market, controls = await (look or self._look(frozenset(t.symbol for t in batch.targets), self._session))
        if market.now >= batch.valid_until:
            return  # it ended while the broker was asked: the next tick refuses it
        await self.store.decide_batch(batch.batch_id, "accepted", market.now)
        self.keeper.reached(FailPoint.BATCH_ACCEPTED)
        backlog, schedules = self.keeper.to_send.qsize(), await self._schedules(batch, market)
        decided = work(self.keeper.book, batch, market, controls, schedules=schedules, backlog=backlog)
        self.keeper.accepted.add(batch.batch_id)
        self._worked = batch
        reasons = await self.committer.commit(decided, market.now)
        sent = sum(code == RiskCode.ACCEPTED for code in reasons.values())
        log.info("batch %s: %d orders, %d denied", batch.batch_id, sent, len(reasons) - sent)
        await self.keeper.settle()

    async def _schedules(self, batch: TargetBatch, market: Market) -> Mapping[str, Schedule]:
        """How each symbol of the batch is worked; none where all are traded at once."""
        if self.execution == "market":
            return {}
        symbols = [target.symbol for target in batch.targets]
        is_vwap = self.execution == Algo.VWAP
        session = market.session.session
        profiles = await self.store.volume_profiles(symbols, session, VWAP_SLICES) if is_vwap else {}
        found = schedules_of(self.execution, market, symbols, Pace(self.participation, profiles, batch.valid_until))
        if others := sorted(symbol for symbol, schedule in found.items() if schedule.algo != self.execution):
            log.warning("batch %s: no volume is known to work %s by %s: twap", batch.batch_id, others, self.execution)
        return found
