"""TWS's three lists as one ledger: open orders, the day's completed orders, the day's executions.

They are read in this order: an order that ends while they are read is then in the second or the third. TWS does not say
when an order was submitted: where this process did not send it, the first trace that TWS has of it stands for that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers import ib_wire as wire
from execution_daemon.brokers.ib_orders import FOREIGN_ID, Known, KnownOrders
from execution_daemon.brokers.ib_wire import Status
from execution_daemon.brokers.port import BrokerOrderState, BrokerStatus, ExecutionReport, NotListed, Terms


@dataclass(frozen=True, slots=True)
class Lists:
    """What TWS answered for one account at market time `at`; executions without their commissions."""

    at: datetime
    open: tuple[tuple[Any, Any, Status], ...]
    completed: tuple[tuple[Any, Any, Any], ...]
    executions: tuple[tuple[Any, Any], ...]


class Ledger:
    """Orders and executions by our names."""

    def __init__(self, lists: Lists, known: KnownOrders) -> None:
        self._at = lists.at
        self._known = known
        self.executions = _executions(lists, known)
        self._by_name: dict[str, list[ExecutionReport]] = {}
        for report in self.executions:
            self._by_name.setdefault(report.client_order_id, []).append(report)
        self._open = {known.name_of(order): (contract, order, status) for contract, order, status in lists.open}
        self._completed = {known.name_of(order): (contract, order, end) for contract, order, end in lists.completed}

    def names(self) -> tuple[str, ...]:
        """Every order of which there is a trace."""
        traces = (*self._completed, *self._open, *self._by_name)
        return tuple(dict.fromkeys(traces))

    def order_id(self, name: str, client_id: int) -> int:
        """The id under which this client sent an open order; FOREIGN_ID if it did not."""
        if name not in self._open:
            return FOREIGN_ID
        order = self._open[name][1]
        return int(order.orderId) if order.clientId == client_id else FOREIGN_ID

    def states(self) -> tuple[BrokerOrderState, ...]:
        """Every order of which the lists tell all, oldest first."""
        found: list[BrokerOrderState] = []
        for name in self.names():
            with contextlib.suppress(NotListed):  # whoever asks for it by name is told
                if (state := self.state(name)) is not None:
                    found.append(state)
        return tuple(sorted(found, key=lambda s: (s.submitted_at, int(s.broker_order_id or 0))))

    def state(self, name: str) -> BrokerOrderState | None:
        """An order; None if there is no trace of it in any list."""
        if name in self._completed:
            return self._of_completed(name)
        if name in self._open:
            return self._of_open(name)
        return self._of_executions(name)

    def _of_open(self, name: str) -> BrokerOrderState:
        contract, order, now = self._open[name]
        status, known = wire.STATUSES[now.status], self._known.by_name.get(name)
        if status is BrokerStatus.CANCELED:
            status = (known and known.end) or wire.ended_as(order.tif, "", known is not None and known.is_cancel_asked)
        if now.status == "Inactive" and known is not None and known.refusal is not None:
            status = BrokerStatus.REJECTED
        executed, avg_px = _executed(self._executions_of(name))
        filled = max(wire.number(now.filled), executed)
        if status is BrokerStatus.NEW and filled:
            status = BrokerStatus.PARTIALLY_FILLED
        if known is not None and known.sent is not None and filled >= known.sent.qty:
            status = BrokerStatus.FILLED  # by an execution that came after the open orders were read
        if executed < filled:
            avg_px = wire.number(now.avg_px)  # of earlier days too
        return self._state(name, contract, order, status, filled, avg_px)

    def _of_completed(self, name: str) -> BrokerOrderState:
        contract, order, end = self._completed[name]
        known = self._known.by_name.get(name)
        status = wire.STATUSES[end.status]
        filled, avg_px = _executed(self._executions_of(name))
        filled = max(filled, wire.quantity(order.filledQuantity))
        if status is BrokerStatus.CANCELED:
            is_asked = known is not None and known.is_cancel_asked
            status = (known and known.end) or wire.ended_as(order.tif, end.completedStatus, is_asked)
        if end.status == "Inactive":
            status = BrokerStatus.REJECTED
        ended_at = wire.moment(end.completedTime)
        return self._state(name, contract, order, status, filled, avg_px, ended_at)

    def _of_executions(self, name: str) -> BrokerOrderState | None:
        """An order that has left the lists of orders, but traded: all that it asked for, or nobody can say."""
        reports = self._executions_of(name)
        if not reports:
            return None
        known = self._known.by_name.get(name)
        filled, avg_px = _executed(reports)
        if known is None or known.sent is None:
            return _left(reports, filled, avg_px)
        if filled < known.sent.qty and known.end is None:
            raise NotListed(f"TWS does not list {name} any more; executed: {filled} of {known.sent.qty}")
        end = known.end if known.end and filled < known.sent.qty else BrokerStatus.FILLED
        return BrokerOrderState(
            client_order_id=name,
            broker_order_id=reports[0].broker_order_id,
            symbol=known.symbol,
            side=known.side,
            qty=known.sent.qty,
            terms=known.sent.terms,
            status=end,
            cum_qty=filled,
            avg_px=avg_px,
            submitted_at=min(known.at, reports[0].at),
            updated_at=reports[-1].at,
        )

    def _state(
        self,
        name: str,
        contract: Any,
        order: Any,
        status: BrokerStatus,
        filled: Decimal,
        avg_px: Decimal | None,
        ended_at: datetime | None = None,
    ) -> BrokerOrderState:
        known, reports = self._known.by_name.get(name), self._executions_of(name)
        sent = known.sent if known else None
        times = [report.at for report in reports]
        return BrokerOrderState(
            client_order_id=name,
            broker_order_id=str(order.permId),
            symbol=wire.symbol_of(contract),
            side=wire.side_of(order.action),
            qty=sent.qty if sent else max(wire.quantity(order.totalQuantity), filled),
            terms=sent.terms if sent else wire.terms_of(order),
            status=status,
            cum_qty=filled,
            avg_px=avg_px,
            submitted_at=_submitted(known, times, ended_at or self._at),
            updated_at=_updated(known, times, ended_at) or self._at,
        )

    def _executions_of(self, name: str) -> tuple[ExecutionReport, ...]:
        return tuple(self._by_name.get(name, ()))


def _submitted(known: Known | None, executed: list[datetime], otherwise: datetime) -> datetime:
    first = [known.at] if known is not None else []
    return min([*first, *executed], default=otherwise)


def _updated(known: Known | None, executed: list[datetime], ended_at: datetime | None) -> datetime | None:
    told = [at for at in (known.updated_at if known is not None else None, ended_at) if at is not None]
    return max([*executed, *told], default=None)


def _left(reports: tuple[ExecutionReport, ...], filled: Decimal, avg_px: Decimal | None) -> BrokerOrderState:
    """An order that another process sent and that is known by its executions only."""
    first = reports[0]
    return BrokerOrderState(
        client_order_id=first.client_order_id,
        broker_order_id=first.broker_order_id,
        symbol=first.symbol,
        side=first.side,
        qty=filled,
        terms=Terms(),
        status=BrokerStatus.FILLED,
        cum_qty=filled,
        avg_px=avg_px,
        submitted_at=first.at,
        updated_at=reports[-1].at,
    )


def _executions(lists: Lists, known: KnownOrders) -> tuple[ExecutionReport, ...]:
    """Each execution once, oldest first, corrections after what they correct."""
    found: Mapping[str, ExecutionReport] = {
        fill.execId: wire.execution(contract, fill, known.name_of(fill)) for contract, fill in lists.executions
    }
    return tuple(sorted(found.values(), key=lambda r: (r.at, wire.revision(r.exec_id)[1], r.cum_qty)))


def standing(reports: tuple[ExecutionReport, ...]) -> Iterator[ExecutionReport]:
    """The last revision of each execution."""
    last: dict[str, ExecutionReport] = {}
    for report in reports:
        base, count = wire.revision(report.exec_id)
        if base not in last or count > wire.revision(last[base].exec_id)[1]:
            last[base] = report
    return iter(last.values())


def _executed(reports: tuple[ExecutionReport, ...]) -> tuple[Decimal, Decimal | None]:
    """Shares and average price of what stands."""
    fills = tuple(standing(reports))
    filled = sum((fill.last_qty for fill in fills), ZERO)
    value = sum((fill.last_qty * fill.last_px for fill in fills), ZERO)
    return filled, value / filled if filled else None
