"""Alpaca's JSON shapes, as the exchange writes them. Numbers are strings, times RFC 3339 UTC.

Extensions: fills carry `commission` (USD) and `client_order_id`; orders carry `limit_offset`, `post_only` and
`reduce_only`; a bust or correction is a FILL activity with its type and `previous_execution_id`; entries of the account
that are no trade have their exact time in `created_at`; assets say what is halted and what can be borrowed.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bifrost_core.trading.costs import TICK
from execution_daemon.paper_exchange.account import Position
from execution_daemon.paper_exchange.market import Market, Trade
from execution_daemon.paper_exchange.records import Activity, ExecutionKind, StoredExecution, StoredOrder, stamp
from execution_daemon.paper_exchange.tape import Quote


def number(value: Decimal) -> str:
    """Plain decimal text without an exponent."""
    return format(value, "f")


def time(at: datetime) -> str:
    """RFC 3339 with microseconds and Z."""
    return stamp(at).replace("+00:00", "Z")


def price(value: Decimal | None) -> str | None:
    """A price that may not be there."""
    return None if value is None else number(value)


def order(order: StoredOrder) -> dict[str, Any]:
    """An order object."""
    average = order.filled_value / order.filled_qty if order.filled_qty else None
    ended = {"filled": "filled_at", "expired": "expired_at", "canceled": "canceled_at", "rejected": "failed_at"}
    shape: dict[str, Any] = dict.fromkeys(("filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at"))
    if order.status in ended:
        shape[ended[order.status]] = time(order.updated_at)
    return (
        shape
        | _terms(order)
        | {
            "id": order.order_id,
            "client_order_id": order.client_order_id,
            "created_at": time(order.submitted_at),
            "submitted_at": time(order.submitted_at),
            "updated_at": time(order.updated_at),
            "symbol": order.symbol,
            "asset_class": "us_equity",
            "qty": number(order.qty),
            "filled_qty": number(order.filled_qty),
            "filled_avg_price": price(average.quantize(TICK, ROUND_HALF_UP) if average is not None else None),
            "order_class": "simple",
            "side": order.side.value,
            "status": order.status,
            "extended_hours": False,
            "legs": None,
        }
    )


def _terms(order: StoredOrder) -> dict[str, Any]:
    """Alpaca's fields and, last, the three that it does not have."""
    terms = order.terms
    return {
        "order_type": terms.order_type.value,
        "type": terms.order_type.value,
        "time_in_force": terms.time_in_force.value,
        "limit_price": price(terms.limit_price if order.live.active_limit is None else order.live.active_limit),
        "stop_price": price(terms.stop_price),
        "trail_price": price(None if order.trail_percent is not None else terms.trail_offset),
        "trail_percent": price(order.trail_percent),
        "hwm": price(order.live.high_water),
        "limit_offset": price(terms.limit_offset),
        "post_only": terms.post_only,
        "reduce_only": terms.reduce_only,
    }


def trade_update(
    event: str,
    stored: StoredOrder,
    at: datetime,
    execution: StoredExecution | None,
    position_qty: Decimal | None,
) -> dict[str, Any]:
    """A message of the `trade_updates` stream."""
    data: dict[str, Any] = {"event": event, "timestamp": time(at), "order": order(stored)}
    if execution is not None:
        data |= {
            "execution_id": execution.exec_id,
            "price": number(execution.price),
            "qty": number(execution.qty),
            "position_qty": None if position_qty is None else number(position_qty),
            "commission": number(execution.commission),
        }
        if execution.ref_exec_id is not None:
            data["previous_execution_id"] = execution.ref_exec_id
    return {"stream": "trade_updates", "data": data}


def activity(entry: Activity, fill: tuple[StoredExecution, StoredOrder] | None) -> dict[str, Any]:
    """An activity: of a FILL, its execution and order tell; all others speak for themselves."""
    return entry_activity(entry) if fill is None else fill_activity(*fill)


def fill_activity(execution: StoredExecution, stored: StoredOrder) -> dict[str, Any]:
    """A FILL activity; its id sorts by time and ends in the execution id."""
    row = {
        "id": activity_id(execution.at, execution.exec_id),
        "activity_type": "FILL",
        "type": _fill_type(execution, stored),
        "transaction_time": time(execution.at),
        "price": number(execution.price),
        "qty": number(execution.qty),
        "cum_qty": number(execution.cum_qty),
        "leaves_qty": number(stored.qty - execution.cum_qty),
        "side": stored.side.value,
        "symbol": stored.symbol,
        "order_id": stored.order_id,
        "order_status": stored.status,
        "client_order_id": stored.client_order_id,
        "commission": number(execution.commission),
    }
    return row if execution.ref_exec_id is None else row | {"previous_execution_id": execution.ref_exec_id}


def _fill_type(execution: StoredExecution, stored: StoredOrder) -> str:
    if execution.kind is not ExecutionKind.TRADE:
        return f"trade_{execution.kind}"
    return "fill" if execution.cum_qty == stored.qty else "partial_fill"


def entry_activity(entry: Activity) -> dict[str, Any]:
    """An activity that is no trade."""
    return {
        "id": entry.activity_id,
        "activity_type": entry.activity_type,
        "date": entry.at.date().isoformat(),
        "created_at": time(entry.at),
        "net_amount": number(entry.net_amount),
        "symbol": entry.symbol,
        "qty": price(entry.qty),
        "per_share_amount": price(entry.per_share_amount),
        "description": entry.description,
        "status": "executed",
    }


def activity_id(at: datetime, name: str) -> str:
    """`yyyymmddHHMMSSmmm::name`, where the name of a FILL is its execution id."""
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{name}"


def quote(quoted: Quote) -> dict[str, Any]:
    """A quote of Alpaca's data API, whose numbers are numbers."""
    prices = {"bp": float(quoted.bid), "ap": float(quoted.ask)}
    return {"t": time(quoted.at), **prices, "bs": float(quoted.bid_size), "as": float(quoted.ask_size)}


def trade(printed: Trade) -> dict[str, Any]:
    """A trade of Alpaca's data API."""
    return {"t": time(printed.at), "p": float(printed.price)}


def snapshot(market: Market, symbol: str, at: datetime) -> dict[str, Any] | None:
    """A snapshot of Alpaca's data API; null for a symbol that has never traded. Of the day's bar, its volume alone."""
    last, quoted, day = market.last_trade(symbol, at), market.quote(symbol, at), market.volume(symbol, at)
    if last is None:
        return None
    return {
        "latestTrade": trade(last),
        "latestQuote": None if quoted is None else quote(quoted),
        "dailyBar": None if day is None else {"t": time(day[0]), "v": float(day[1])},
    }


def position(held: Position, mark: Decimal | None) -> dict[str, Any]:
    """A position object."""
    price = held.avg_cost if mark is None else mark
    value = held.qty * price
    return {
        "symbol": held.symbol,
        "asset_class": "us_equity",
        "qty": number(held.qty),
        "side": "long" if held.qty > 0 else "short",
        "avg_entry_price": number(held.avg_cost),
        "current_price": number(price),
        "market_value": number(value),
        "cost_basis": number(held.qty * held.avg_cost),
        "unrealized_pl": number(value - held.qty * held.avg_cost),
    }
