"""Scoped tokens and idempotent commands."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql("0012_control_plane")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
