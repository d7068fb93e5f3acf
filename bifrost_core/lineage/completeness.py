"""`unresolved`: every link of every fill that leads nowhere, found set-wise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from bifrost_core.lineage.statements import LOOKBACK_DAYS

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

STATEMENT = (Path(__file__).parent / "unresolved.sql").read_text()


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A link of a fill that does not resolve: `kind` as in Link, `detail` what is missing."""

    fill_id: int
    client_order_id: str
    kind: str
    detail: str


def unresolved(warehouse: Warehouse) -> list[Unresolved]:
    """The links of all fills, of any account, that do not resolve; empty where every fill is explained."""
    params = {"days": LOOKBACK_DAYS, "benchmark": warehouse.settings.benchmark}
    with warehouse.transaction() as connection, connection.cursor(row_factory=class_row(Unresolved)) as cursor:
        return cursor.execute(STATEMENT, params).fetchall()
