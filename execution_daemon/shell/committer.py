"""Makes decided intents durable in one commit, and only then has them sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime

from bifrost_core.trading.risk import RiskCode
from execution_daemon.core.book import Committed
from execution_daemon.core.intents import Work
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.failpoints import FailPoint


class Committer:
    """Used by inbox jobs only."""

    def __init__(self, keeper: Bookkeeper) -> None:
        self._keeper = keeper

    async def commit(self, work: Work, at: datetime) -> Mapping[str, str]:
        """Commit all intents, denied ones too; returns the reason code of each by order id."""
        keeper = self._keeper
        keeper.reached(FailPoint.BEFORE_INTENT)
        began = time.perf_counter()
        reasons = await keeper.store.submit(work, at)
        if not reasons:
            return reasons
        keeper.metrics.intent_commit.observe(time.perf_counter() - began)
        keeper.metrics.decisions.update(reasons.values())
        accepted = [i for i in work.intents if reasons[i.ticket.client_order_id] == RiskCode.ACCEPTED]
        tickets = tuple(intent.ticket for intent in accepted if intent.parent is None)
        parents = tuple(intent.parent for intent in accepted if intent.parent is not None)
        await keeper.apply(Committed(tickets, parents))
        return reasons
