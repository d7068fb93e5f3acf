"""Proposals that make no sense are audited; sectors are told by a person."""

from __future__ import annotations

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse.migrations.files import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql("0013_refused_proposals", "0013_sectors")


def downgrade() -> None:
    raise WarehouseError("migrations are not undone", "Restore a backup, or drop the database")
