"""Reading Alpaca's JSON: exact numbers, typed values, and BrokerUnclear for whatever cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import LIMITED, TRAILING, TRIGGERED
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
    Tradability,
)

NEW_YORK = ZoneInfo("America/New_York")  # the day that Alpaca's dates name

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
    "trade_bust": ExecKind.TRADE_CANCEL,
    "trade_correct": ExecKind.TRADE_CORRECT,
}

EXECUTIONS = {
    "fill": ExecKind.TRADE,
    "partial_fill": ExecKind.TRADE,
    "trade_bust": ExecKind.TRADE_CANCEL,
    "trade_correct": ExecKind.TRADE_CORRECT,
}

EXECUTED = {ExecKind.TRADE, ExecKind.TRADE_CORRECT}
RESTATED = {ExecKind.TRADE_CANCEL, ExecKind.TRADE_CORRECT}

ID_LENGTH_MAX = 48
ALPACA_RESTING = {OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TRAILING_STOP}
ALPACA_TYPES = {OrdType.MARKET, OrdType.LIMIT} | ALPACA_RESTING
UNTOLD = {"accepted", "accepted_for_bidding", "pending_new", "held"}

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


def objection(order: BrokerOrder, has_extensions: bool) -> str:
    """Why Alpaca cannot be sent this order; empty if it can. `has_extensions`: the paper exchange takes every type."""
    terms = order.terms
    if not 0 < len(order.client_order_id) <= ID_LENGTH_MAX:
        return f"the id must have 1 to {ID_LENGTH_MAX} characters"
    if not order.qty.is_finite() or order.qty <= 0:
        return f"the quantity is {order.qty}"
    if reason := terms.objection():
        return reason
    if has_extensions:
        return ""
    if terms.order_type not in ALPACA_TYPES:
        return f"Alpaca takes no {terms.order_type} orders"
    if terms.order_type in ALPACA_RESTING and terms.time_in_force not in {TimeInForce.DAY, TimeInForce.GTC}:
        return f"Alpaca takes {terms.order_type} orders for the day or until canceled, not {terms.time_in_force}"
    if terms.post_only:
        return "Alpaca takes no post-only orders"
    return ""


def order_request(order: BrokerOrder) -> dict[str, Any]:
    """The body of POST /v2/orders; the paper exchange's extensions are named only where they are used."""
    terms = order.terms
    prices = {
        "limit_price": terms.limit_price,
        "stop_price": terms.stop_price,
        "trail_price": terms.trail_offset,
        "limit_offset": terms.limit_offset,
    }
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": terms.order_type.value,
        "time_in_force": terms.time_in_force.value,
        "qty": format(order.qty, "f"),
        **{name: format(price, "f") for name, price in prices.items() if price is not None},
        **{name: True for name in ("post_only", "reduce_only") if getattr(terms, name)},
    }


def order_state(fields: Fields) -> BrokerOrderState:
    """An order object."""
    return BrokerOrderState(
        client_order_id=text_of(fields["client_order_id"]),
        broker_order_id=text_of(fields["id"]),
        symbol=text_of(fields["symbol"]),
        side=_side(fields["side"]),
        qty=decimal_of(fields["filled_qty"] if fields.get("qty") is None else fields["qty"]),  # by value: not ours
        terms=_terms(fields),
        status=_status(fields),
        cum_qty=decimal_of(fields["filled_qty"]),
        avg_px=_optional(fields.get("filled_avg_price")),
        submitted_at=time_of(fields["submitted_at"]),
        updated_at=time_of(fields.get("updated_at") or fields["submitted_at"]),
    )


def _terms(fields: Fields) -> Terms:
    """What was asked for: prices that the broker works out itself, as a trailing stop's present stop, are left out."""
    kind = OrdType(fields["type"])
    return Terms(
        order_type=kind,
        time_in_force=TimeInForce(fields["time_in_force"]),
        limit_price=_optional(fields.get("limit_price")) if kind in LIMITED else None,
        stop_price=_optional(fields.get("stop_price")) if kind in TRIGGERED else None,
        trail_offset=_trail(fields) if kind in TRAILING else None,
        limit_offset=_optional(fields.get("limit_offset")),
        post_only=fields.get("post_only") is True,
        reduce_only=fields.get("reduce_only") is True,
    )


def _trail(fields: Fields) -> Decimal:
    """The offset in USD; an order made elsewhere may trail by a percentage of its high-water mark."""
    offset = _optional(fields.get("trail_price"))
    return offset if offset is not None else decimal_of(fields["hwm"]) * decimal_of(fields["trail_percent"]) / 100


def told_ids(rows: Any) -> set[str]:
    """Of a list of the newest order or execution, the ids that the stream must have told.

    Alpaca tells of an order once it is routed, which for one that waits for the opening may be hours later.
    """
    told = [row for row in rows if row.get("status") not in UNTOLD]
    return {text_of(row["id"]).rpartition("::")[2] for row in told}


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
    kind = EVENTS.get(text_of(data["event"]))
    if kind is None:
        return None
    order = data["order"]
    is_execution = kind in EXECUTED
    return ExecutionReport(
        kind=kind,
        client_order_id=text_of(order["client_order_id"]),
        broker_order_id=text_of(order["id"]),
        symbol=text_of(order["symbol"]),
        side=_side(order["side"]),
        at=time_of(data.get("timestamp") or order["updated_at"]),
        exec_id=text_of(data["execution_id"]) if kind in EXECUTED | RESTATED else "",
        last_qty=decimal_of(data["qty"]) if is_execution else ZERO,
        last_px=decimal_of(data["price"]) if is_execution else ZERO,
        cum_qty=decimal_of(order.get("filled_qty") or 0),
        commission=decimal_of(data.get("commission") or 0) if is_execution else ZERO,
        exec_ref_id=text_of(data["previous_execution_id"]) if kind in RESTATED else "",
    )


def fill(fields: Fields, client_order_id: str) -> ExecutionReport:
    """A FILL activity. The execution id is the part of the activity's id after `::`."""
    kind = EXECUTIONS[text_of(fields["type"])]
    is_execution = kind in EXECUTED
    return ExecutionReport(
        kind=kind,
        client_order_id=client_order_id,
        broker_order_id=text_of(fields["order_id"]),
        symbol=text_of(fields["symbol"]),
        side=_side(fields["side"]),
        at=time_of(fields["transaction_time"]),
        exec_id=text_of(fields["id"]).rpartition("::")[2],
        last_qty=decimal_of(fields["qty"]) if is_execution else ZERO,
        last_px=decimal_of(fields["price"]) if is_execution else ZERO,
        cum_qty=decimal_of(fields["cum_qty"]),
        commission=decimal_of(fields.get("commission") or 0) if is_execution else ZERO,
        exec_ref_id=text_of(fields["previous_execution_id"]) if kind in RESTATED else "",
    )


def position(fields: Fields) -> BrokerPosition:
    """A position object; Alpaca signs short quantities, but `side` is what decides."""
    qty = abs(decimal_of(fields["qty"]))
    signed = -qty if fields["side"] == "short" else qty
    return BrokerPosition(text_of(fields["symbol"]), signed, decimal_of(fields["avg_entry_price"]))


def account(fields: Fields) -> BrokerAccount:
    """The account object."""
    return BrokerAccount(*(decimal_of(fields[name]) for name in ("cash", "equity", "buying_power")))


def last_trades(trades: Fields, quotes: Fields) -> dict[str, LastTrade]:
    """The answers of the latest-trades and latest-quotes endpoints."""
    return {s: _last_trade(trade, quotes["quotes"].get(s), None) for s, trade in trades["trades"].items()}


def snapshots(fields: Fields) -> dict[str, LastTrade]:
    """The answer of the snapshots endpoint; a symbol that has never traded has no latest trade."""
    known = {symbol: shot for symbol, shot in fields.items() if shot and shot.get("latestTrade")}
    return {s: _last_trade(x["latestTrade"], x.get("latestQuote"), x.get("dailyBar")) for s, x in known.items()}


def _last_trade(trade: Fields, quote: Fields | None, day: Fields | None) -> LastTrade:
    """Alpaca writes 0 for a side that is not quoted; the bar of another day than the trade's is not its session's."""
    at = time_of(trade["t"])
    bid, ask = (decimal_of((quote or {}).get(name) or 0) or None for name in ("bp", "ap"))
    is_same_day = day is not None and time_of(day["t"]).astimezone(NEW_YORK).date() == at.astimezone(NEW_YORK).date()
    volume = decimal_of(day["v"]) if day is not None and is_same_day else None
    return LastTrade(decimal_of(trade["p"]), at, bid, ask, volume)


def asset(fields: Fields) -> Tradability:
    """An asset object; the paper exchange adds what Alpaca does not say of halts, Rule 201 and shares to borrow."""
    return Tradability(
        symbol=text_of(fields["symbol"]),
        is_tradable=fields["tradable"] is True and fields["status"] == "active",
        is_halted=fields.get("halted") is True,
        is_shortable=fields["shortable"] is True and fields.get("easy_to_borrow") is not False,
        is_fractionable=fields["fractionable"] is True,
        is_short_restricted=fields.get("short_sale_restricted") is True,
        available_to_short=_optional(fields.get("available_to_short")),
    )


def clock(fields: Fields) -> datetime:
    """The clock object's time."""
    return time_of(fields["timestamp"])


def text_of(value: Any) -> str:
    """`value`, if it is text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {value!r}")
    return value


def decimal_of(value: Any) -> Decimal:
    """An exact, finite number, written as text or as a JSON number."""
    number = Decimal(value if isinstance(value, str | int | Decimal) else text_of(value))
    if not number.is_finite():
        raise ValueError(f"{value!r} is no number")
    return number


def _optional(value: Any) -> Decimal | None:
    return None if value is None else decimal_of(value)


def time_of(value: Any) -> datetime:
    """A time with its offset, as UTC."""
    at = datetime.fromisoformat(_microseconds(text_of(value)))
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
    status = STATUSES[text_of(fields["status"])]
    is_partial = status is BrokerStatus.NEW and decimal_of(fields["filled_qty"]) > 0
    return BrokerStatus.PARTIALLY_FILLED if is_partial else status
