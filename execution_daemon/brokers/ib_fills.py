"""Executions with their commissions, which TWS sends apart.

A fill is told once, complete. If its commission has not come after `patience_seconds`, the fill matters more: it is
told with a commission of zero and says so, and the commission follows as a correction of its own when it comes, unless
the fill was corrected or busted in the meantime. Told again, by whichever process, it is told in the same steps.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers.ib_wire import number
from execution_daemon.brokers.port import ExecKind, ExecutionReport

KEPT = 10_000
COMMISSION = "/commission"
WITHOUT = "TWS has not said the commission yet"


class Fills:
    """Remembers, over all connections, the fills that were told without their commission."""

    def __init__(self, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._incomplete: OrderedDict[str, ExecutionReport] = OrderedDict()
        self._recalled: frozenset[str] = frozenset()
        self._arrived = asyncio.Event()

    def recall(self, told: Mapping[str, Decimal]) -> None:
        """Commissions by execution, as they stand in the book: what a process before this one had told."""
        late = (exec_id.removesuffix(COMMISSION) for exec_id in told if exec_id.endswith(COMMISSION))
        self._recalled = frozenset((*late, *(exec_id for exec_id, commission in told.items() if commission == 0)))

    def arrived(self) -> None:
        """A commission has come: whoever waits looks again."""
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def wait(self, exec_ids: Iterable[str], known: Mapping[str, Decimal], seconds: float) -> None:
        """Until all commissions are known, or time is up; nobody waits a second time for the same one."""
        waiting = set(exec_ids) - self._incomplete.keys()
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                while waiting - known.keys():
                    await self._arrived.wait()
        except TimeoutError:
            return

    def complete(self, report: ExecutionReport, known: Mapping[str, Decimal]) -> ExecutionReport:
        """The execution with its commission; marked, and without, where that was not known when it was told."""
        chained = self._chained(report, known)
        if report.kind is ExecKind.TRADE_CANCEL:
            return chained
        was_told_without = report.exec_id in self._incomplete or report.exec_id in self._recalled
        if was_told_without or report.exec_id not in known:
            self._incomplete[report.exec_id] = report
            if len(self._incomplete) > KEPT:
                self._incomplete.popitem(last=False)
            return replace(chained, text=WITHOUT)
        return replace(chained, commission=number(known[report.exec_id]))

    def _chained(self, report: ExecutionReport, known: Mapping[str, Decimal]) -> ExecutionReport:
        """A correction is about what stands: the correction that brought the commission, if there was one."""
        if self.late(report.exec_ref_id, known) is not None:
            return replace(report, exec_ref_id=_commission_id(report.exec_ref_id))
        self._incomplete.pop(report.exec_ref_id, None)  # its commission would correct what does not stand any more
        return report

    def late(self, exec_id: str, known: Mapping[str, Decimal]) -> ExecutionReport | None:
        """The correction that brings the commission of a fill that was told without; None if there is none to bring."""
        told, commission = self._incomplete.get(exec_id), number(known.get(exec_id, ZERO))
        if told is None or not commission:
            return None
        return replace(
            told,
            kind=ExecKind.TRADE_CORRECT,
            exec_id=_commission_id(exec_id),
            exec_ref_id=exec_id,
            commission=commission,
        )

    def with_commissions(
        self, reports: Iterable[ExecutionReport], known: Mapping[str, Decimal]
    ) -> tuple[ExecutionReport, ...]:
        """A list of executions as the stream has told it, or would."""
        told: list[ExecutionReport] = []
        for report in reports:
            told.append(self.complete(report, known))
            if (correction := self.late(report.exec_id, known)) is not None:
                told.append(correction)
        return tuple(told)


def _commission_id(exec_id: str) -> str:
    return f"{exec_id}{COMMISSION}"
