"""Intents written as sets; a leader by expiry takes the lock as soon as it is free."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql("0014_intents")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
