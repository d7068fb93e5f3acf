"""Alpaca's JSON shapes, as the exchange writes them. Numbers are strings, times RFC 3339 UTC.

One extension: fills carry `commission` (USD) and `client_order_id`, which Alpaca's do not have.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bifrost_core.trading.costs import TICK
from execution_daemon.paper_exchange.account import Position
from execution_daemon.paper_exchange.ledger import StoredExecution, StoredOrder, stamp


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
        "limit_price": price(terms.limit_price if order.active_limit is None else order.active_limit),
        "stop_price": price(terms.stop_price),
        "trail_price": price(None if order.trail_percent is not None else terms.trail_offset),
        "trail_percent": price(order.trail_percent),
        "hwm": price(order.high_water),
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
    return {"stream": "trade_updates", "data": data}


def activity(execution: StoredExecution, stored: StoredOrder) -> dict[str, Any]:
    """A FILL activity; its id sorts by time and ends in the execution id."""
    return {
        "id": activity_id(execution),
        "activity_type": "FILL",
        "type": "fill" if execution.cum_qty == stored.qty else "partial_fill",
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


def activity_id(execution: StoredExecution) -> str:
    """`yyyymmddHHMMSSmmm::execution id`."""
    return f"{execution.at:%Y%m%d%H%M%S}{execution.at.microsecond // 1000:03d}::{execution.exec_id}"


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
