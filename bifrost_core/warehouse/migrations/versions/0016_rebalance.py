"""A batch of intents is written in less time."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_sql("0016_rebalance")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
