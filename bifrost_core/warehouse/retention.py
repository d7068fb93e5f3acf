"""How long each table keeps its rows: the policies of reference.retention, what they would remove, and removing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bifrost_core.errors import WarehouseError

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

POLICIES = """
    select table_name, time_column, keep_days, reason, changed_by, changed_at
    from reference.retention order by table_name
"""
CHANGE = "update reference.retention set keep_days = %s, reason = %s where table_name = %s"


@dataclass(frozen=True, slots=True)
class Policy:
    """How many days a table keeps its rows by `time_column`; None is for ever."""

    table: str
    time_column: str
    keep_days: int | None
    reason: str
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of `table` past their time: a partition's, or, where `name` is the table itself, single ones."""

    table: str
    name: str
    rows: int


def policies(warehouse: Warehouse) -> list[Policy]:
    """Every policy, by table. A table without one keeps all."""
    with warehouse.transaction() as connection:
        return [Policy(*row) for row in connection.execute(POLICIES).fetchall()]


def expired(warehouse: Warehouse) -> list[Piece]:
    """What the policies would remove now. Removes nothing."""
    with warehouse.transaction() as connection:
        return [Piece(*row) for row in connection.execute("select * from reference.expired_v1()").fetchall()]


def apply(warehouse: Warehouse, log: Callable[[str], None]) -> list[Piece]:
    """Remove what is expired, table by table and in batches, each a transaction; every piece is audited and logged."""
    removed = []
    for policy in policies(warehouse):
        for piece in _remove(warehouse, policy) if policy.keep_days is not None else ():
            log(f"{piece.table}: {piece.rows} rows removed with {piece.name}, kept for {policy.keep_days} days")
            removed.append(piece)
    return removed


def _remove(warehouse: Warehouse, policy: Policy) -> Iterator[Piece]:
    """Batches until nothing is left; partitions all come with the first one."""
    while True:
        with warehouse.transaction() as connection:
            rows = connection.execute("select * from reference.apply_retention_v1(%s)", (policy.table,)).fetchall()
        if not rows:
            return
        yield from (Piece(policy.table, *row) for row in rows)


def change(owner: Warehouse, table: str, keep_days: int | None, reason: str) -> None:
    """Set the policy of a table that has one, as the owner; the change goes into the audit chain."""
    with owner.transaction() as connection:
        if connection.execute(CHANGE, (keep_days, reason, table)).rowcount == 0:
            raise WarehouseError(
                f"{table!r} has no retention policy", "Choose one that `bifrost retention` lists, or insert it as owner"
            )
