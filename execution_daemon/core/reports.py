"""What a broker says, in the order state machine's words."""

from __future__ import annotations

from datetime import datetime

from bifrost_core.provenance import content_hash
from bifrost_core.trading.costs import TICK
from bifrost_core.trading.orders import ZERO, ExecType, OrderEvent
from execution_daemon.brokers.port import BrokerOrderState, BrokerStatus, ExecKind, ExecutionReport

_KINDS = {
    ExecKind.PENDING_NEW: ExecType.NEW,  # the broker has it, which is all that NEW has to prove
    ExecKind.NEW: ExecType.NEW,
    ExecKind.TRADE: ExecType.PARTIAL_FILL,
    ExecKind.PENDING_CANCEL: ExecType.PENDING_CANCEL,
    ExecKind.CANCELED: ExecType.CANCELED,
    ExecKind.EXPIRED: ExecType.EXPIRED,
    ExecKind.REJECTED: ExecType.REJECTED,
    ExecKind.DONE_FOR_DAY: ExecType.DONE_FOR_DAY,
    ExecKind.TRADE_CORRECT: ExecType.TRADE_CORRECT,
    ExecKind.TRADE_CANCEL: ExecType.TRADE_CANCEL,
}

_STATES = {
    BrokerStatus.PENDING_NEW: ExecType.NEW,
    BrokerStatus.NEW: ExecType.NEW,
    BrokerStatus.PARTIALLY_FILLED: ExecType.NEW,  # the fills themselves say how much
    BrokerStatus.FILLED: ExecType.NEW,
    BrokerStatus.PENDING_CANCEL: ExecType.PENDING_CANCEL,
    BrokerStatus.CANCELED: ExecType.CANCELED,
    BrokerStatus.EXPIRED: ExecType.EXPIRED,
    BrokerStatus.REJECTED: ExecType.REJECTED,
}


def event_of(report: ExecutionReport) -> OrderEvent:
    """The event a report stands for.

    Prices and commissions are kept to six decimals, as the warehouse stores them: a fold of what is stored is then what
    was in memory.
    """
    is_bust = report.kind is ExecKind.TRADE_CANCEL
    return OrderEvent(
        kind=_KINDS[report.kind],
        event_at=report.at,
        exec_id=(report.exec_id or _execution_id(report)) if report.last_qty or is_bust else "",
        last_qty=ZERO if is_bust else report.last_qty,
        last_px=report.last_px.quantize(TICK),
        commission=report.commission.quantize(TICK),
        broker_order_id=report.broker_order_id,
        text=report.text,
        exec_ref_id=report.exec_ref_id,
    )


def answer_event(report: ExecutionReport) -> OrderEvent:
    """What the answer to a submission proves: the broker has the order, or it ended. Fills come by themselves."""
    kind = _KINDS.get(report.kind, ExecType.NEW)
    if kind is ExecType.PARTIAL_FILL:
        kind = ExecType.NEW
    return OrderEvent(kind, report.at, broker_order_id=report.broker_order_id, text=report.text)


def _execution_id(report: ExecutionReport) -> str:
    """For a trade without an id: a hash of what it says, so that hearing it twice counts it once."""
    return content_hash([report.client_order_id, report.cum_qty, report.last_qty, report.last_px])[:32]


def state_event(state: BrokerOrderState, at: datetime) -> OrderEvent:
    """The status the broker has an order in, as an event without a quantity: apply it after the order's fills."""
    kind = ExecType.CANCELED if was_taken_back(state) else _STATES[state.status]
    return OrderEvent(kind, at, broker_order_id=state.broker_order_id)


def was_taken_back(state: BrokerOrderState) -> bool:
    """Whether the order was filled, and executions were busted since: it has ended, and is not worked again."""
    return state.status is BrokerStatus.FILLED and state.cum_qty < state.qty


def known_event(state: BrokerOrderState) -> OrderEvent:
    """That the broker has the order, whatever became of it: apply it before the order's fills."""
    return OrderEvent(ExecType.NEW, state.submitted_at, broker_order_id=state.broker_order_id)
