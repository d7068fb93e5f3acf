"""Our orders in TWS's words, and TWS's answers in ours. Numbers are Decimals, read from the text of the message."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from ib_async import Contract, Order

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers.port import (
    BrokerOrder,
    BrokerOrderState,
    BrokerStatus,
    BrokerUnclear,
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
_IN_DETAILS = {"STP LMT": "STPLMT", "TRAIL LIMIT": "TRAILLMT"}  # how a contract's list of order types spells them
_LIMITED = {OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.LIMIT_IF_TOUCHED}
_TRAILING = {OrdType.TRAILING_STOP, OrdType.TRAILING_STOP_LIMIT}
STATUSES = {
    "ApiPending": BrokerStatus.PENDING_NEW,
    "PendingSubmit": BrokerStatus.PENDING_NEW,
    "PreSubmitted": BrokerStatus.NEW,
    "Submitted": BrokerStatus.NEW,
    "Inactive": BrokerStatus.PENDING_NEW,  # not working, and TWS may activate it: only a refusal's code ends it
    "PendingCancel": BrokerStatus.PENDING_CANCEL,
    "ApiCancelled": BrokerStatus.CANCELED,
    "Cancelled": BrokerStatus.CANCELED,
    "Filled": BrokerStatus.FILLED,
}
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL, "BOT": Side.BUY, "SLD": Side.SELL}
_KINDS = {
    BrokerStatus.PENDING_NEW: ExecKind.PENDING_NEW,
    BrokerStatus.PENDING_CANCEL: ExecKind.PENDING_CANCEL,
    BrokerStatus.CANCELED: ExecKind.CANCELED,
    BrokerStatus.EXPIRED: ExecKind.EXPIRED,
    BrokerStatus.REJECTED: ExecKind.REJECTED,
}
_T = TypeVar("_T")
_TIME = re.compile(r"(\d{8})[- ](\d\d:\d\d:\d\d)(?: (\S+))?")


@dataclass(frozen=True, slots=True)
class Status:
    """TWS's orderStatus message, less what is not used."""

    status: str
    filled: Decimal
    avg_px: Decimal


def reading(what: str, read: Callable[[], _T]) -> _T:
    """What `read` returns. Raises BrokerUnclear where TWS's answer makes no sense."""
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BrokerUnclear(f"TWS's {what} cannot be read: {type(error).__name__} {error}") from error


def number(value: Any) -> Decimal:
    """A number of TWS's; ValueError for one that is not finite."""
    found = Decimal(value)
    if not found.is_finite():
        raise ValueError(f"{value} is no number")
    return found


def moment(text: str) -> datetime | None:
    """`20130220 16:00:00 US/Eastern`, or with a dash and no zone for UTC; None for a time without."""
    if not (parts := _TIME.fullmatch(text.strip())) or (parts[3] is None and "-" not in text):
        return None
    zone = ZoneInfo(parts[3] or "UTC")
    return datetime.strptime(parts[1] + parts[2], "%Y%m%d%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)


def last_midnight(now: datetime) -> datetime:
    """The later of the last midnights in New York and in UTC, where TWS runs in either."""
    zones = (ZoneInfo("America/New_York"), UTC)
    return max(now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) for zone in zones)


# -- contracts --------------------------------------------------------------------------------------------------------


def stock(symbol: str) -> Any:
    """The contract to look up: a US stock, routed by SMART. TWS writes a share class after a space (BRK B)."""
    return Contract(secType="STK", symbol=symbol.replace(".", " "), exchange="SMART", currency="USD")


def symbol_of(contract: Any) -> str:
    """Our symbol; something else than a stock in USD goes by a name that is no stock's."""
    if contract.secType == "STK" and contract.currency in {"", "USD"}:
        return str(contract.symbol).replace(" ", ".")
    return f"{contract.localSymbol or contract.symbol} ({contract.secType} {contract.currency})"


# -- orders -----------------------------------------------------------------------------------------------------------


def objection(order: BrokerOrder) -> str:
    """Why the order cannot be said to TWS; empty if it can."""
    if not 0 < len(order.client_order_id) <= ID_LENGTH_MAX:
        return f"the id must have 1 to {ID_LENGTH_MAX} characters"
    if not order.qty.is_finite() or order.qty <= 0:
        return f"the quantity is {order.qty}"
    if order.terms.post_only:
        return "TWS takes no post-only order for stocks routed by SMART"
    return order.terms.objection()


def unsupported(order: BrokerOrder, details: Any) -> str:
    """Why the contract does not take the order, by its own list of order types and its size rules; empty if it does."""
    request, offered = order_request(order, ""), set(details.orderTypes.split(","))
    for name in (_IN_DETAILS.get(request.orderType, request.orderType), request.tif):
        if name not in offered:
            return f"{order.symbol} takes no {name} order through {details.contract.exchange}"
    step = size_step(details)
    if order.qty % step or order.qty < number(details.minSize):
        return f"{order.symbol} trades in steps of {step:f} shares, at least {details.minSize}; not {order.qty:f}"
    return ""


def size_step(details: Any) -> Decimal:
    """The smallest difference between two quantities, in shares: one where TWS names none."""
    step = number(details.sizeIncrement)
    return step if ZERO < step < UNSET else Decimal(1)


def order_request(order: BrokerOrder, account: str) -> Any:
    """The order for placeOrder: regular hours only, `orderRef` is our id. TWS has no word for `reduce_only`."""
    terms = order.terms
    is_closing = terms.time_in_force is TimeInForce.CLS
    request = Order(
        action="BUY" if order.side is Side.BUY else "SELL",
        totalQuantity=order.qty,  # the client writes str() of it, so that a Decimal arrives exactly
        orderType=(CLOSING.get if is_closing else TYPES.get)(terms.order_type),
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
    """The terms of an order that TWS has. One made by hand, of a type we have no word for, counts as a market order.

    Raises KeyError or ValueError where one of ours has such a type.
    """
    if not order.orderRef and order.orderType not in _ORD_TYPES:
        return Terms()
    kind = _ORD_TYPES[order.orderType]
    is_closing = order.orderType in CLOSING.values()
    aux = _price(order.auxPrice)
    return Terms(
        order_type=kind,
        time_in_force=TimeInForce.CLS if is_closing else _time_in_force(order),
        limit_price=_price(order.lmtPrice) if kind in _LIMITED else None,
        stop_price=None if kind in _TRAILING else aux,
        trail_offset=aux if kind in _TRAILING else None,
        limit_offset=_price(order.lmtPriceOffset) if kind is OrdType.TRAILING_STOP_LIMIT else None,
    )


def _time_in_force(order: Any) -> TimeInForce:
    word = order.tif.lower()
    return TimeInForce(word) if order.orderRef or word in set(TimeInForce) else TimeInForce.GTC


def _price(value: Any) -> Decimal | None:
    found = number(value) if value else ZERO
    return found if ZERO < found < UNSET else None


def quantity(value: Any) -> Decimal:
    """A number of shares; none for one that is not set."""
    found = number(value) if value else ZERO
    return found if ZERO < found < UNSET else ZERO


def name_of(order: Any) -> str:
    """Our id of an order or an execution; an order made by hand in TWS has none, and is named by its permId."""
    return str(order.orderRef) or f"ib-{order.permId}"


def side_of(word: str) -> Side:
    """KeyError for a word that is none of TWS's."""
    return _SIDES[word]


def ended_as(tif: str, text: str, is_asked: bool) -> BrokerStatus:
    """TWS has one status for every end without a fill. One that nobody asked for is the end of the time in force."""
    said = text.lower()
    if "reject" in said:
        return BrokerStatus.REJECTED
    return BrokerStatus.CANCELED if is_asked or "trader" in said or tif == "GTC" else BrokerStatus.EXPIRED


# -- reports ----------------------------------------------------------------------------------------------------------


def report_of(state: BrokerOrderState) -> ExecutionReport:
    """What an order's state says, without an execution."""
    return ExecutionReport(
        kind=_KINDS.get(state.status, ExecKind.NEW),
        client_order_id=state.client_order_id,
        broker_order_id=state.broker_order_id,
        symbol=state.symbol,
        side=state.side,
        at=state.updated_at,
        cum_qty=state.cum_qty,
    )


def kind_of(status: BrokerStatus) -> ExecKind:
    """The report that says that an order is in `status`."""
    return _KINDS.get(status, ExecKind.NEW)


def revision(exec_id: str) -> tuple[str, int]:
    """What all revisions of an execution share, and the number of this one: 1, and more where it corrects."""
    base, _, last = exec_id.rpartition(".")
    return (base, int(last)) if base and last.isdigit() else (exec_id, 1)


def execution(contract: Any, fill: Any, name: str) -> ExecutionReport:
    """An execution, its commission still to come. Revision 02 and later correct the one before; no shares undo it."""
    base, count = revision(fill.execId)
    shares = number(fill.shares)
    corrects = ExecKind.TRADE_CORRECT if shares else ExecKind.TRADE_CANCEL
    return ExecutionReport(
        kind=corrects if count > 1 else ExecKind.TRADE,
        client_order_id=name,
        broker_order_id=str(fill.permId),
        symbol=symbol_of(contract),
        side=side_of(fill.side),
        at=fill.time,
        exec_id=fill.execId,
        last_qty=shares,
        last_px=number(fill.price) if shares else ZERO,
        cum_qty=number(fill.cumQty),
        exec_ref_id=f"{base}.{count - 1:0{len(fill.execId) - len(base) - 1}d}" if count > 1 else "",
    )
