"""Every schema, table, trigger and grant of the spine."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql("0001_reference_and_raw", "0001_research", "0001_trading", "0001_grants")


def downgrade() -> None:
    raise WarehouseError("the first migration cannot be undone", "Restore a backup, or drop the database")
