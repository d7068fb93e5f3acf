"""Suspect and held rows, who decided on them, and what was compared with what."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql("0007_quality")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
