"""Limits that take two people to loosen, and what the risk controls read."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql("0011_risk")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
