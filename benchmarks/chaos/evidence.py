"""What is true after a scenario: the daemon's tables, the exchange's own ledger, and what passed the proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from benchmarks.chaos.proxy import Sent
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect

Row = Mapping[str, Any]
_BLOCKS = (Path(__file__).parent / "evidence.sql").read_text().split("-- name: ")[1:]
STATEMENTS = {name: text for name, _, text in (block.partition("\n") for block in _BLOCKS)}


@dataclass(frozen=True)
class Evidence:
    """`tables` by the names of evidence.sql, `ledger` as GET /admin/ledger gives it, `sent` in the order of passing."""

    tables: Mapping[str, Sequence[Row]]
    ledger: Mapping[str, Any]
    sent: Sequence[Sent] = ()
    recoveries: Sequence[float] = field(default=())

    def __getitem__(self, table: str) -> Sequence[Row]:
        return self.tables[table]


def tables_of(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """One consistent look at the daemon's tables, as the owner of the warehouse."""
    with connect(settings, Role.OWNER) as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        return {name: cursor.execute(text.encode()).fetchall() for name, text in STATEMENTS.items()}
