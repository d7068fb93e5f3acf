"""Our orders in TWS's words, and TWS's answers in ours. Numbers are Decimals, read from the text of the message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_async import Contract, Order

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers.port import (
    BrokerOrder,
    BrokerOrderState,
    BrokerStatus,
    ExecKind,
    ExecutionReport,
    OrdType,
    Side,
    Terms,
    TimeInForce,
)

ID_LENGTH_MAX = 48
UNSET = Decimal("1e300")  # TWS writes the largest double where a number is not set
TYPES = {
    OrdType.MARKET: "MKT",
    OrdType.LIMIT: "LMT",
    OrdType.STOP: "STP",
    OrdType.STOP_LIMIT: "STP LMT",
    OrdType.TRAILING_STOP: "TRAIL",
    OrdType.TRAILING_STOP_LIMIT: "TRAIL LIMIT",
    OrdType.MARKET_IF_TOUCHED: "MIT",
    OrdType.LIMIT_IF_TOUCHED: "LIT",
}
CLOSING = {OrdType.MARKET: "MOC", OrdType.LIMIT: "LOC"}
_ORD_TYPES = {name: kind for table in (TYPES, CLOSING) for kind, name in table.items()}
STATUSES = {
    "ApiPending": BrokerStatus.PENDING_NEW,
    "PendingSubmit": BrokerStatus.PENDING_NEW,
    "PreSubmitted": BrokerStatus.NEW,
    "Submitted": BrokerStatus.NEW,
    "Inactive": BrokerStatus.PENDING_NEW,  # not working, and TWS may activate it: only an error code ends it
    "PendingCancel": BrokerStatus.PENDING_CANCEL,
    "ApiCancelled": BrokerStatus.CANCELED,
    "Cancelled": BrokerStatus.CANCELED,
    "Filled": BrokerStatus.FILLED,
}
KINDS = {
    BrokerStatus.PENDING_NEW: ExecKind.PENDING_NEW,
    BrokerStatus.PENDING_CANCEL: ExecKind.PENDING_CANCEL,
    BrokerStatus.CANCELED: ExecKind.CANCELED,
    BrokerStatus.EXPIRED: ExecKind.EXPIRED,
    BrokerStatus.REJECTED: ExecKind.REJECTED,
}


@dataclass(frozen=True, slots=True)
class Status:
    """TWS's orderStatus message, less what is not used."""

    status: str
    filled: Decimal
    avg_px: Decimal


def stock(symbol: str) -> Any:
    """The contract to look up: a US stock, routed by SMART. TWS writes a share class after a space (BRK B)."""
    return Contract(secType="STK", symbol=symbol.replace(".", " "), exchange="SMART", currency="USD")


def symbol_of(contract: Any) -> str:
    """Our symbol."""
    return str(contract.symbol).replace(" ", ".")


def objection(order: BrokerOrder) -> str:
    """Why the order cannot be said to TWS; empty if it can."""
    if not 0 < len(order.client_order_id) <= ID_LENGTH_MAX:
        return f"the id must have 1 to {ID_LENGTH_MAX} characters"
    if not order.qty.is_finite() or order.qty <= 0:
        return f"the quantity is {order.qty}"
    if order.terms.post_only:
        return "TWS takes no post-only order for stocks routed by SMART"
    return order.terms.objection()


def order_request(order: BrokerOrder, account: str) -> Any:
    """The order for placeOrder: regular hours only, `orderRef` is our id."""
    terms = order.terms
    is_closing = terms.time_in_force is TimeInForce.CLS
    request = Order(
        action="BUY" if order.side is Side.BUY else "SELL",
        totalQuantity=order.qty,  # the client writes str() of it, so that a Decimal arrives exactly
        orderType=(CLOSING if is_closing else TYPES)[terms.order_type],
        tif="DAY" if is_closing else terms.time_in_force.value.upper(),
        orderRef=order.client_order_id,
        account=account,
        outsideRth=False,
    )
    _set(request, "lmtPrice", terms.limit_price)
    _set(request, "auxPrice", terms.stop_price or terms.trail_offset)
    _set(request, "lmtPriceOffset", terms.limit_offset)
    return request


def _set(request: Any, name: str, value: Decimal | None) -> None:
    if value is not None:
        setattr(request, name, value)


def terms_of(order: Any) -> Terms:
    """The terms of an order that TWS has. Raises KeyError or ValueError for an order that is none of ours."""
    order_type = _ORD_TYPES[order.orderType]
    is_trailing = order_type in {OrdType.TRAILING_STOP, OrdType.TRAILING_STOP_LIMIT}
    is_limited = order_type in {OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.LIMIT_IF_TOUCHED}
    is_closing = order.orderType in CLOSING.values()
    aux = _price(order.auxPrice)
    return Terms(
        order_type=order_type,
        time_in_force=TimeInForce.CLS if is_closing else TimeInForce(order.tif.lower()),
        limit_price=_price(order.lmtPrice) if is_limited else None,
        stop_price=None if is_trailing else aux,
        trail_offset=aux if is_trailing else None,
        limit_offset=_price(order.lmtPriceOffset) if order_type is OrdType.TRAILING_STOP_LIMIT else None,
    )


def _price(value: Any) -> Decimal | None:
    number = Decimal(value) if value else ZERO
    return number if ZERO < number < UNSET else None


def name_of(order: Any) -> str:
    """Our id of an order or an execution; an order made by hand in TWS has none, and is named by its permId."""
    return str(order.orderRef) or f"ib-{order.permId}"


def order_state(contract: Any, order: Any, now: Status, times: tuple[datetime, datetime], text: str) -> BrokerOrderState:
    """An order as TWS lists it; `text` is a completed order's status in words."""
    status = STATUSES[now.status]
    if status is BrokerStatus.CANCELED and "expired" in text.lower():
        status = BrokerStatus.EXPIRED
    if now.status == "Inactive" and text:
        status = BrokerStatus.REJECTED
    if status is BrokerStatus.NEW and now.filled:
        status = BrokerStatus.PARTIALLY_FILLED
    return BrokerOrderState(
        client_order_id=name_of(order),
        broker_order_id=str(order.permId),
        symbol=symbol_of(contract),
        side=_side(order.action),
        qty=Decimal(order.totalQuantity) or now.filled,  # TWS lists a filled order with nothing left to do
        terms=terms_of(order),
        status=status,
        cum_qty=now.filled,
        avg_px=now.avg_px or None,
        submitted_at=times[0],
        updated_at=times[1],
    )


def report_of(state: BrokerOrderState) -> ExecutionReport:
    """What an order's state says, without an execution."""
    return ExecutionReport(
        kind=KINDS.get(state.status, ExecKind.NEW),
        client_order_id=state.client_order_id,
        broker_order_id=state.broker_order_id,
        symbol=state.symbol,
        side=state.side,
        at=state.updated_at,
        cum_qty=state.cum_qty,
    )


def execution(contract: Any, fill: Any, commission: Decimal) -> ExecutionReport:
    """An execution. Its id ends in a revision: 02 and later correct the one before it."""
    base, _, revision = fill.execId.rpartition(".")
    number = int(revision) if base and revision.isdigit() else 1
    is_correction = number > 1
    return ExecutionReport(
        kind=ExecKind.TRADE_CORRECT if is_correction else ExecKind.TRADE,
        client_order_id=name_of(fill),
        broker_order_id=str(fill.permId),
        symbol=symbol_of(contract),
        side=_side(fill.side),
        at=fill.time,
        exec_id=fill.execId,
        last_qty=Decimal(fill.shares),
        last_px=Decimal(fill.price),
        cum_qty=Decimal(fill.cumQty),
        commission=commission,
        exec_ref_id=f"{base}.{number - 1:0{len(revision)}d}" if is_correction else "",
    )


def _side(word: str) -> Side:
    return {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL, "BOT": Side.BUY, "SLD": Side.SELL}[word]


def average(fills: Iterable[ExecutionReport]) -> Status:
    """What the executions of one order come to, corrections in place of what they correct."""
    standing: Mapping[str, ExecutionReport] = {fill.exec_id.rpartition(".")[0] or fill.exec_id: fill for fill in fills}
    filled = sum((fill.last_qty for fill in standing.values()), ZERO)
    value = sum((fill.last_qty * fill.last_px for fill in standing.values()), ZERO)
    return Status("", filled, value / filled if filled else ZERO)
