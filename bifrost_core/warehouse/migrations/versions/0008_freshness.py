"""What is late and why, alerts about it, schemas for dbt builds as of a cutoff."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql("0008_freshness")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
