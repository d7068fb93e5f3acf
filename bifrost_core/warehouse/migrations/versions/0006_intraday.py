"""One-minute bars, their roll-ups, and how long each table keeps its rows."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql("0006_intraday")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
