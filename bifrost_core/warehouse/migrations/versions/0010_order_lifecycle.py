"""Order terms, groups, parents, corrections and adjustments."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql("0010_order_lifecycle")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
