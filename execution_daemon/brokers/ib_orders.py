"""What this process knows of orders at TWS, over all connections: what it sent, what it heard, what it has reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from execution_daemon.brokers import ib_codes as codes
from execution_daemon.brokers import ib_wire as wire
from execution_daemon.brokers.ib_wire import Status
from execution_daemon.brokers.port import (
    BrokerOrder,
    BrokerOrderState,
    BrokerStatus,
    ExecKind,
    ExecutionReport,
    Side,
)

KEPT = timedelta(days=2)  # an order that ended is remembered for so long
FOREIGN_ID = 0  # the order id of an order that another client sent: this one cannot cancel it


@dataclass(slots=True)
class Known:
    """One order. `sent` is None for one that this process did not send; `refusal` is what ended it: code and text."""

    name: str
    symbol: str
    side: Side
    tif: str
    at: datetime
    sent: BrokerOrder | None = None
    order_id: int = FOREIGN_ID
    perm_id: int = 0
    is_seen: bool = False  # TWS has shown that it has the order
    is_new_told: bool = False
    is_executed: bool = False
    is_cancel_asked: bool = False
    end: BrokerStatus | None = None
    text: str = ""
    refusal: tuple[int, str] | None = None
    doubt: tuple[int, str] | None = None  # the code and text of the last refusal, believed or not
    updated_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.updated_at = self.at

    def report(self, kind: ExecKind, at: datetime, text: str = "") -> ExecutionReport:
        """A report about the order that is no execution."""
        return ExecutionReport(
            kind=kind,
            client_order_id=self.name,
            broker_order_id=str(self.perm_id or ""),
            symbol=self.symbol,
            side=self.side,
            at=at,
            text=text or self.text,
        )


class KnownOrders:
    """Orders by our id, by TWS's order id and by permId. Every `on_` method returns the reports that it is worth."""

    def __init__(self) -> None:
        self.by_name: dict[str, Known] = {}
        self._by_order_id: dict[int, Known] = {}
        self._by_perm_id: dict[int, Known] = {}

    def sending(self, order: BrokerOrder, order_id: int, tif: str, at: datetime) -> Known:
        """Remember an order that is about to be sent. A former try that TWS never had is forgotten."""
        known = Known(order.client_order_id, order.symbol, order.side, tif, at, order, order_id)
        self.by_name[known.name] = self._by_order_id[order_id] = known
        return known

    def learn(self, state: BrokerOrderState, order_id: int) -> None:
        """An order that TWS's lists show: the reader of the lists has its reports from there, so none is told again."""
        known = self.by_name.get(state.client_order_id)
        if known is None:
            tif = state.terms.time_in_force.value.upper()
            known = Known(state.client_order_id, state.symbol, state.side, tif, state.submitted_at)
            self.by_name[known.name] = known
        self._identify(known, order_id or known.order_id, int(state.broker_order_id or 0))
        known.is_seen = known.is_new_told = True
        if not state.status.is_open:
            known.end, known.updated_at = state.status, state.updated_at

    def _identify(self, known: Known, order_id: int, perm_id: int) -> None:
        known.order_id, known.perm_id = order_id, perm_id or known.perm_id
        if order_id != FOREIGN_ID:
            self._by_order_id[order_id] = known
        if known.perm_id:
            self._by_perm_id[known.perm_id] = known

    def forget(self, now: datetime) -> None:
        """Let go of what ended long ago."""
        old = [k for k in self.by_name.values() if k.end is not None and k.updated_at < now - KEPT]
        for known in old:
            self.by_name.pop(known.name, None)
            self._by_order_id.pop(known.order_id, None)
            self._by_perm_id.pop(known.perm_id, None)

    def by_order_id(self, order_id: int) -> Known | None:
        """The order that this client sent under this id."""
        return self._by_order_id.get(order_id)

    def name_of(self, order: Any) -> str:
        """Our id of an order or execution; another order that carries the same reference goes by its permId."""
        known = self.by_name.get(order.orderRef)
        is_other = known is not None and known.perm_id and order.permId and known.perm_id != order.permId
        return f"ib-{order.permId}" if is_other else wire.name_of(order)

    def on_order(self, order_id: int, order: Any, status: str, at: datetime) -> Iterable[ExecutionReport]:
        """An openOrder message. ValueError where TWS took the order under another reference than ours."""
        known = self._by_order_id.get(order_id) or self.by_name.get(self.name_of(order))
        if known is None:
            return ()
        if order_id != FOREIGN_ID and order.orderRef != known.name:
            raise ValueError(f"TWS has {known.name} under the reference {order.orderRef}")
        self._identify(known, known.order_id, order.permId)
        return self._on_word(known, status, at)

    def on_status(self, order_id: int, perm_id: int, status: Status, at: datetime) -> Iterable[ExecutionReport]:
        """An orderStatus message."""
        known = self._by_order_id.get(order_id) or self._by_perm_id.get(perm_id)
        if known is None:
            return ()
        self._identify(known, known.order_id, perm_id)
        return self._on_word(known, status.status, at)

    def on_execution(self, name: str, perm_id: int, at: datetime) -> Iterable[ExecutionReport]:
        """An order that is executed is at work, whether or not TWS has said so."""
        known = self.by_name.get(name)
        if known is None:
            return ()
        known.is_executed = True
        self._identify(known, known.order_id, perm_id)
        return self._on_word(known, "Filled", at)

    def _on_word(self, known: Known, word: str, at: datetime) -> Iterable[ExecutionReport]:
        known.is_seen = True
        if known.end is not None or word not in wire.STATUSES:
            return ()
        if word == "Inactive" and known.doubt is not None:
            return self.refused(known, at)
        status = wire.STATUSES[word]
        if status in {BrokerStatus.NEW, BrokerStatus.FILLED}:
            return self._told_new(known, at)
        if status is BrokerStatus.CANCELED:
            return self._ended(known, wire.ended_as(known.tif, known.text, known.is_cancel_asked), at)
        return ()

    def _told_new(self, known: Known, at: datetime) -> Iterable[ExecutionReport]:
        if known.is_new_told:
            return ()
        known.is_new_told, known.updated_at = True, at
        return (known.report(ExecKind.NEW, at),)

    def _ended(self, known: Known, status: BrokerStatus, at: datetime) -> Iterable[ExecutionReport]:
        known.end, known.updated_at = status, at
        return (known.report(wire.kind_of(status), at),)

    def on_error(self, order_id: int, code: int, text: str, at: datetime) -> Iterable[ExecutionReport]:
        """A numbered message about an order: a refusal ends one that TWS has not shown, the rest is kept as text."""
        known = self._by_order_id.get(order_id)
        if known is None or known.end is not None:
            return ()
        known.text = text
        if code not in codes.REFUSALS:
            return ()
        known.doubt = (code, text)
        return () if known.is_new_told else self.refused(known, at)

    def refused(self, known: Known, at: datetime) -> Iterable[ExecutionReport]:
        """What was in doubt is not at work. Nothing for an order that has ended or was executed since."""
        if known.end is not None or known.is_executed:
            return ()
        known.refusal = known.doubt
        return self._ended(known, BrokerStatus.REJECTED, at)
