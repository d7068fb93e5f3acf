"""What the revisions of market data would have changed."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql("0009_revisions")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
