"""As-of reads of bars and corporate actions."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql("0003_market_data")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
