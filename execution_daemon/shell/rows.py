"""Rows of the warehouse as the core's types."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bifrost_core.trading.orders import ExecType, OrderEvent, Ticket
from bifrost_core.trading.planner import Leg
from bifrost_core.trading.schedules import Algo, Schedule
from bifrost_core.trading.targets import Target, TargetBatch
from bifrost_core.trading.terms import Contingency, OrdType, Release, Side, Terms, TimeInForce
from execution_daemon.brokers.port import Adjustment, AdjustmentKind
from execution_daemon.core.parents import Parent

Row = Mapping[str, Any]


def ticket_of(row: Row) -> Ticket:
    """A row of trading.orders."""
    return Ticket(
        client_order_id=row["client_order_id"],
        account=row["account"],
        batch_id=row["batch_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        order_qty=row["order_qty"],
        reference_price=row["reference_price"],
        terms=_terms_of(row),
        valid_until=row["valid_until"],
        increases_exposure=row["leg"] == Leg.OPEN,
        contingency=_contingency_of(row),
        parent_id=row["parent_id"] or "",
        strategies=tuple(row["strategies"]),
    )


def _terms_of(row: Row) -> Terms:
    return Terms(
        order_type=OrdType(row["order_type"]),
        time_in_force=TimeInForce(row["time_in_force"]),
        limit_price=row["limit_price"],
        stop_price=row["stop_price"],
        trail_offset=row["trail_offset"],
        limit_offset=row["limit_offset"],
        post_only=row["post_only"],
        reduce_only=row["reduce_only"],
    )


def _contingency_of(row: Row) -> Contingency | None:
    if row["group_id"] is None:
        return None
    release = Release(row["release"]) if row["release"] else None
    return Contingency(row["group_id"], row["after_id"] or "", release, row["is_oco"])


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
        exec_ref_id=row["exec_ref_id"],
        order_qty=row["order_qty"],
    )


def parent_of(row: Row) -> Parent:
    """A row of trading.parent_orders."""
    return Parent(
        parent_id=row["parent_id"],
        account=row["account"],
        batch_id=row["batch_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        order_qty=row["order_qty"],
        reference_price=row["reference_price"],
        schedule=schedule_of(row["schedule"]),
        start_at=row["start_at"],
        end_at=row["end_at"],
        increases_exposure=row["leg"] == Leg.OPEN,
        strategies=tuple(row["strategies"]),
        is_working=row["status"] == "working",
    )


def schedule_of(fields: Mapping[str, Any]) -> Schedule:
    """What `schedule_json` wrote."""
    return Schedule(
        algo=Algo(fields["algo"]),
        slices=fields["slices"],
        profile=tuple(Decimal(share) for share in fields["profile"]),
        participation=Decimal(fields["participation"]),
        start_volume=Decimal(fields["start_volume"]),
        urgency=Decimal(fields["urgency"]),
    )


def adjustment_of(row: Row) -> Adjustment:
    """A row of trading.adjustments."""
    return Adjustment(
        adjustment_id=row["adjustment_id"],
        kind=AdjustmentKind(row["kind"]),
        at=row["event_at"],
        symbol=row["symbol"],
        qty_change=row["qty_change"],
        cash_change=row["cash_change"],
        text=row["text"],
    )


def target_of(row: Row) -> Target:
    """A row of signals.targets."""
    return Target(row["symbol"], row["target_weight"], row["reference_price"], row["contributions"])


def batch_of(row: Row) -> TargetBatch:
    """A row of signals.target_batches, without its targets."""
    return TargetBatch(
        batch_id=row["batch_id"],
        account=row["account"],
        strategies=tuple(row["strategies"]),
        as_of_session=row["as_of_session"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        targets=(),
        content_hash=row["content_hash"],
        row_count=row["row_count"],
        dagster_run_id=row["dagster_run_id"],
        code_version=row["code_version"],
        data_version=row["data_version"],
    )
