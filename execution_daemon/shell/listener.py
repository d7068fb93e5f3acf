"""Hears what the broker's stream tells, and leaves to the ledger what the stream may have told out of order."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial

from bifrost_core.trading.orders import ExecType, OrderEvent
from execution_daemon.brokers.port import Broker, Connected, ExecKind, ExecutionReport
from execution_daemon.core.book import Reported
from execution_daemon.core.reports import event_of
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.inbox import Inbox
from execution_daemon.shell.reconciler import Reconciler

log = logging.getLogger("bifrost.daemon.listener")
ENDS = frozenset({ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED})


class Listener:
    """`to_compare` is set when there is cause to reconcile; `has_heard_a_stranger` where that is an order not ours."""

    def __init__(self, broker: Broker, keeper: Bookkeeper, reconciler: Reconciler, inbox: Inbox) -> None:
        self.to_compare = asyncio.Event()
        self.has_heard_a_stranger = False
        self._broker = broker
        self._keeper = keeper
        self._reconciler = reconciler
        self._inbox = inbox
        self._connected_at = -math.inf
        self._left_at: dict[str, float] = {}

    async def run(self) -> None:
        """Listen for ever; each report is a job of the inbox."""
        async for heard in self._broker.events():
            if isinstance(heard, Connected):
                self._connected_at = asyncio.get_running_loop().time()
                self.to_compare.set()
            else:
                await self._inbox.put(partial(self._hear, heard))

    async def _hear(self, report: ExecutionReport) -> None:
        event = event_of(report)
        if self._is_overtaking(report, event):  # the ledger tells what is lacking, and this, in their order
            self._left_at[report.client_order_id] = asyncio.get_running_loop().time()
            self.to_compare.set()
        elif not await self._keeper.hear(Reported(report.client_order_id, event)):
            log.error("the broker reports %s of %s, which is not ours", report.kind, report.client_order_id)
            self.has_heard_a_stranger = True
            self.to_compare.set()

    def _is_overtaking(self, report: ExecutionReport, event: OrderEvent) -> bool:
        """Whether something before it was not heard: fills before an end, or a bust before what would fill the order.

        Told by the broker's sum, where it gives one; of an end, by the stream's having been cut as well. What follows
        on a report that was left to the ledger is left to it too.
        """
        key, caught_up_at = report.client_order_id, self._reconciler.caught_up_at
        self._left_at = {left: at for left, at in self._left_at.items() if caught_up_at <= at}
        if key in self._left_at:
            return True
        known = self._keeper.book.orders.get(key)
        if event.kind in ENDS:
            is_short = known is not None and known.cum_qty < report.cum_qty
            return is_short or caught_up_at <= self._connected_at
        if known is None or report.kind is not ExecKind.TRADE or event.exec_id in known.executions:
            return False
        return 0 < report.cum_qty < known.order_qty <= known.cum_qty + report.last_qty
