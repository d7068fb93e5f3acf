"""What the sensors look at, apart from Dagster's ticks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

SILENT_AFTER = timedelta(minutes=2)
TROUBLED = frozenset({"halted", "failed"})

BEATS = "select component, holder, state, beat_at from trading.heartbeats order by component"


def book_of_failures(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> dict[str, dg.AssetCheckKey]:
    """Checks whose latest evaluation failed, by the id of that evaluation."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    return {
        str(record.id): key for key, record in latest.items() if record.status.value in {"FAILED", "EXECUTION_FAILED"}
    }


def daemon_problems(warehouse: Warehouse, now: datetime) -> list[str]:
    """One line for each always-on part that has gone silent or says that it is in trouble."""
    problems = []
    for component, holder, state, beat_at in warehouse.read(BEATS).iter_rows():
        if now - beat_at > SILENT_AFTER and state != "stopped":
            problems.append(f"{component} ({holder}) has been silent since {beat_at:%Y-%m-%d %H:%M:%S} UTC")
        elif state in TROUBLED:
            problems.append(f"{component} ({holder}) is {state}")
    return problems
