"""Reading Alpaca's JSON: exact numbers, typed values, and BrokerUnclear for whatever cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers.port import (
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerStatus,
    BrokerUnclear,
    ExecKind,
    ExecutionReport,
    LastTrade,
    OrdType,
    Side,
    Terms,
    TimeInForce,
)

Read = TypeVar("Read")
Fields = Mapping[str, Any]

STATUSES = {
    "pending_new": BrokerStatus.PENDING_NEW,
    "accepted": BrokerStatus.NEW,
    "accepted_for_bidding": BrokerStatus.NEW,
    "new": BrokerStatus.NEW,
    "held": BrokerStatus.NEW,
    "stopped": BrokerStatus.NEW,
    "calculated": BrokerStatus.NEW,
    "suspended": BrokerStatus.NEW,
    "done_for_day": BrokerStatus.NEW,
    "pending_replace": BrokerStatus.NEW,
    "partially_filled": BrokerStatus.PARTIALLY_FILLED,
    "filled": BrokerStatus.FILLED,
    "pending_cancel": BrokerStatus.PENDING_CANCEL,
    "canceled": BrokerStatus.CANCELED,
    "replaced": BrokerStatus.CANCELED,
    "expired": BrokerStatus.EXPIRED,
    "rejected": BrokerStatus.REJECTED,
}

EVENTS = {
    "pending_new": ExecKind.PENDING_NEW,
    "accepted": ExecKind.PENDING_NEW,
    "new": ExecKind.NEW,
    "fill": ExecKind.TRADE,
    "partial_fill": ExecKind.TRADE,
    "pending_cancel": ExecKind.PENDING_CANCEL,
    "canceled": ExecKind.CANCELED,
    "replaced": ExecKind.CANCELED,
    "expired": ExecKind.EXPIRED,
    "rejected": ExecKind.REJECTED,
    "done_for_day": ExecKind.DONE_FOR_DAY,
}

_KIND_OF_STATUS = {
    BrokerStatus.PENDING_NEW: ExecKind.PENDING_NEW,
    BrokerStatus.PENDING_CANCEL: ExecKind.PENDING_CANCEL,
    BrokerStatus.CANCELED: ExecKind.CANCELED,
    BrokerStatus.EXPIRED: ExecKind.EXPIRED,
    BrokerStatus.REJECTED: ExecKind.REJECTED,
}


def parse(text: str | bytes) -> Any:
    """JSON with exact numbers: neither prices nor quantities pass through a float."""
    return json.loads(text, parse_float=Decimal)


def reading(what: str, make: Callable[[], Read]) -> Read:
    """The value of `make`, or BrokerUnclear if the broker's answer lacks a field or holds an impossible value."""
    try:
        return make()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise BrokerUnclear(f"the broker's {what} cannot be read: {type(error).__name__} {error}") from error


def order_request(order: BrokerOrder) -> dict[str, Any]:
    """The body of POST /v2/orders."""
    body = {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.terms.order_type.value,
        "time_in_force": order.terms.time_in_force.value,
        "qty": format(order.qty, "f"),
    }
    return body if order.terms.limit_price is None else body | {"limit_price": format(order.terms.limit_price, "f")}


def order_state(fields: Fields) -> BrokerOrderState:
    """An order object."""
    return BrokerOrderState(
        client_order_id=_text(fields["client_order_id"]),
        broker_order_id=_text(fields["id"]),
        symbol=_text(fields["symbol"]),
        side=_side(fields["side"]),
        qty=_decimal(fields["qty"]),
        terms=Terms(
            OrdType(fields["type"]), TimeInForce(fields["time_in_force"]), _optional(fields.get("limit_price"))
        ),
        status=_status(fields),
        cum_qty=_decimal(fields["filled_qty"]),
        avg_px=_optional(fields.get("filled_avg_price")),
        submitted_at=_time(fields["submitted_at"]),
        updated_at=_time(fields.get("updated_at") or fields["submitted_at"]),
    )


def report_of(state: BrokerOrderState) -> ExecutionReport:
    """What the order's state says, as a report without an execution: fills come as trades, each by itself."""
    return ExecutionReport(
        kind=_KIND_OF_STATUS.get(state.status, ExecKind.NEW),
        client_order_id=state.client_order_id,
        broker_order_id=state.broker_order_id,
        symbol=state.symbol,
        side=state.side,
        at=state.updated_at,
        cum_qty=state.cum_qty,
    )


def trade_update(data: Fields) -> ExecutionReport | None:
    """A message of the `trade_updates` stream; None for events that say nothing about the order's life."""
    kind = EVENTS.get(_text(data["event"]))
    if kind is None:
        return None
    order = data["order"]
    is_trade = kind is ExecKind.TRADE
    return ExecutionReport(
        kind=kind,
        client_order_id=_text(order["client_order_id"]),
        broker_order_id=_text(order["id"]),
        symbol=_text(order["symbol"]),
        side=_side(order["side"]),
        at=_time(data.get("timestamp") or order["updated_at"]),
        exec_id=_text(data["execution_id"]) if is_trade else "",
        last_qty=_decimal(data["qty"]) if is_trade else ZERO,
        last_px=_decimal(data["price"]) if is_trade else ZERO,
        cum_qty=_decimal(order.get("filled_qty") or 0),
        commission=_decimal(data.get("commission") or 0),
    )


def fill(fields: Fields, client_order_id: str) -> ExecutionReport:
    """A FILL activity. The execution id is the part of the activity's id after `::`."""
    return ExecutionReport(
        kind=ExecKind.TRADE,
        client_order_id=client_order_id,
        broker_order_id=_text(fields["order_id"]),
        symbol=_text(fields["symbol"]),
        side=_side(fields["side"]),
        at=_time(fields["transaction_time"]),
        exec_id=_text(fields["id"]).rpartition("::")[2],
        last_qty=_decimal(fields["qty"]),
        last_px=_decimal(fields["price"]),
        cum_qty=_decimal(fields["cum_qty"]),
        commission=_decimal(fields.get("commission") or 0),
    )


def position(fields: Fields) -> BrokerPosition:
    """A position object; Alpaca signs short quantities, but `side` is what decides."""
    qty = abs(_decimal(fields["qty"]))
    signed = -qty if fields["side"] == "short" else qty
    return BrokerPosition(_text(fields["symbol"]), signed, _decimal(fields["avg_entry_price"]))


def account(fields: Fields) -> BrokerAccount:
    """The account object."""
    return BrokerAccount(*(_decimal(fields[name]) for name in ("cash", "equity", "buying_power")))


def last_trades(fields: Fields) -> dict[str, LastTrade]:
    """The answer of the latest-trades endpoint."""
    return {symbol: LastTrade(_decimal(t["p"]), _time(t["t"])) for symbol, t in fields["trades"].items()}


def clock(fields: Fields) -> datetime:
    """The clock object's time."""
    return _time(fields["timestamp"])


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {value!r}")
    return value


def _decimal(value: Any) -> Decimal:
    number = Decimal(value if isinstance(value, str | int | Decimal) else _text(value))
    if not number.is_finite():
        raise ValueError(f"{value!r} is no number")
    return number


def _optional(value: Any) -> Decimal | None:
    return None if value is None else _decimal(value)


def _time(value: Any) -> datetime:
    at = datetime.fromisoformat(_microseconds(_text(value)))
    if at.tzinfo is None:
        raise ValueError(f"{value!r} has no offset")
    return at.astimezone(UTC)


def _microseconds(text: str) -> str:
    """Nanoseconds cut to microseconds, which is what Python's datetime holds."""
    head, dot, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}.{digits[:6].ljust(6, '0')}{tail[len(digits) :]}" if dot else text


def _side(value: Any) -> Side:
    return Side.SELL if value == "sell_short" else Side(value)


def _status(fields: Fields) -> BrokerStatus:
    status = STATUSES[_text(fields["status"])]
    is_partial = status is BrokerStatus.NEW and _decimal(fields["filled_qty"]) > 0
    return BrokerStatus.PARTIALLY_FILLED if is_partial else status
