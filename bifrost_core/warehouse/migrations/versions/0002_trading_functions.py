"""The daemon's only ways to write: functions that check the lease, and the audit chain behind them."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql("0002_trading_functions")


def downgrade() -> None:
    raise WarehouseError("the daemon's functions cannot be taken away", "Restore a backup, or drop the database")
