"""Parent orders: a quantity worked in slices over time, each an order of its own; together they never exceed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bifrost_core.trading.schedules import Schedule
from bifrost_core.trading.terms import Side


@dataclass(frozen=True, slots=True)
class Parent:
    """`order_qty` shares to be executed between `start_at` and `end_at`, UTC, by `schedule`."""

    parent_id: str
    account: str
    batch_id: UUID
    symbol: str
    side: Side
    order_qty: Decimal
    reference_price: Decimal
    schedule: Schedule
    start_at: datetime
    end_at: datetime
    increases_exposure: bool = True
    strategies: tuple[str, ...] = ()
    is_working: bool = True
