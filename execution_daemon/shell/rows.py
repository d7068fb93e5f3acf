"""Rows of the warehouse as the core's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bifrost_core.trading.orders import ExecType, OrderEvent, Ticket
from bifrost_core.trading.planner import Leg
from bifrost_core.trading.targets import Target, TargetBatch
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce

Row = Mapping[str, Any]


def ticket_of(row: Row) -> Ticket:
    """A row of trading.orders with the `valid_until` of its batch."""
    return Ticket(
        client_order_id=row["client_order_id"],
        account=row["account"],
        batch_id=row["batch_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        order_qty=row["order_qty"],
        reference_price=row["reference_price"],
        terms=Terms(OrdType(row["order_type"]), TimeInForce(row["time_in_force"])),
        valid_until=row["valid_until"],
        increases_exposure=row["leg"] == Leg.OPEN,
    )


def event_of(row: Row) -> OrderEvent:
    """A row of trading.order_events that is not the intent."""
    return OrderEvent(
        kind=ExecType(row["kind"]),
        event_at=row["event_at"],
        exec_id=row["exec_id"],
        last_qty=row["last_qty"],
        last_px=row["last_px"],
        commission=row["commission"],
        broker_order_id=row["broker_order_id"],
        text=row["text"],
    )


def batch_of(row: Row, targets: Iterable[Row]) -> TargetBatch:
    """A row of signals.target_batches with its rows of signals.targets."""
    return TargetBatch(
        batch_id=row["batch_id"],
        account=row["account"],
        strategies=tuple(row["strategies"]),
        as_of_session=row["as_of_session"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        targets=tuple(
            Target(t["symbol"], t["target_weight"], t["reference_price"], t["contributions"]) for t in targets
        ),
        content_hash=row["content_hash"],
        row_count=row["row_count"],
        dagster_run_id=row["dagster_run_id"],
        code_version=row["code_version"],
        data_version=row["data_version"],
    )
