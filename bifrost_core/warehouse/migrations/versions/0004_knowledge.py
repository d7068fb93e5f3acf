"""What was known when: content of loads, actions with their values, bars with factors as-of."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql("0004_knowledge")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
