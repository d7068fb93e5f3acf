"""Works parent orders: sends the slice that is due, and ends a parent of which nothing more can come."""

from __future__ import annotations

import logging
from datetime import datetime

from bifrost_core.trading.risk import SessionHours
from bifrost_core.trading.schedules import slice_at
from execution_daemon.core.book import ParentEnded
from execution_daemon.core.desk import is_over, next_slice
from execution_daemon.core.intents import Ask, decide_all, last_prices
from execution_daemon.core.parents import Parent
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.committer import Committer
from execution_daemon.shell.market import MarketReader

log = logging.getLogger("bifrost.daemon.slicer")


class Slicer:
    """Used by inbox jobs only. A slice that risk denied is asked about again when the next one is due."""

    def __init__(self, keeper: Bookkeeper, reader: MarketReader, committer: Committer) -> None:
        self._keeper = keeper
        self._reader = reader
        self._committer = committer
        self._tried: dict[str, int] = {}

    async def work(self, now: datetime, session: SessionHours) -> None:
        """End what is over, then send what is due at market time `now`."""
        for parent in list(self._working()):
            if is_over(self._keeper.book, parent, now):
                await self.end(parent, now, "its time is over, or all of it is executed")
        due = [parent for parent in self._working() if self._is_untried(parent, now)]
        if not due:
            return
        symbols = self._keeper.book.symbols
        market = await self._reader.market(symbols, session)
        asks: list[Ask] = [ask for parent in due if (ask := next_slice(self._keeper.book, parent, market))]
        for parent in due:
            self._tried[parent.parent_id] = slice_at(parent.schedule, parent.start_at, parent.end_at, market.now) or 0
        if asks:
            controls = await self._reader.controls(market, symbols)
            backlog = self._keeper.to_send.qsize()
            decided = decide_all(self._keeper.book, asks, market, controls, last_prices(market), backlog)
            await self._committer.commit(decided, market.now)

    def _working(self) -> list[Parent]:
        return [parent for parent in self._keeper.book.parents.values() if parent.is_working]

    def _is_untried(self, parent: Parent, now: datetime) -> bool:
        position = slice_at(parent.schedule, parent.start_at, parent.end_at, now)
        return position is not None and self._tried.get(parent.parent_id, -1) < position

    async def end(self, parent: Parent, now: datetime, why: str) -> None:
        """Send nothing more of `parent`."""
        await self._keeper.store.end_parent(parent.parent_id, why, now)
        await self._keeper.apply(ParentEnded(parent.parent_id))
        self._tried.pop(parent.parent_id, None)
        log.info("parent %s ended: %s", parent.parent_id, why)
