"""A release is of the engagement that was looked at."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql("0015_kill_release")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
