"""Exchanges, dated symbols, universe membership, restricted list."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql("0005_reference")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
