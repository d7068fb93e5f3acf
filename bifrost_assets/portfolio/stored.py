"""Batches as they stand in the warehouse, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from psycopg.rows import dict_row

from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from bifrost_core.warehouse.warehouse import Warehouse

NEWEST = """
    select batch_id, account, strategies, as_of_session, valid_from, valid_until, row_count, content_hash,
           dagster_run_id, code_version, data_version
    from signals.target_batches where account = %s and as_of_session = %s order by created_at desc limit 1
"""
TARGETS = """
    select symbol, target_weight, reference_price, contributions
    from signals.targets where batch_id = %s order by symbol
"""


def newest_batch(warehouse: Warehouse, account: str, session: date) -> TargetBatch | None:
    """The newest batch of `account` for `session`, as stored; None where there is none."""
    with warehouse.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
        head = cursor.execute(NEWEST, (account, session)).fetchone()
        if head is None:
            return None
        targets = tuple(Target(**row) for row in cursor.execute(TARGETS, (head["batch_id"],)).fetchall())
    return TargetBatch(**{**head, "strategies": tuple(head["strategies"])}, targets=targets)


def faults(
    batch: TargetBatch, limits: PortfolioLimits, universe: Sequence[str], restricted: Collection[str] = ()
) -> list[str]:
    """Everything that would be wrong with trading `batch`: its limits, hash, count, symbols, restricted names held."""
    found = limits.breaches([t.target_weight for t in batch.targets])
    window = (batch.valid_from, batch.valid_until)
    content = hash_of(batch.account, batch.strategies, batch.as_of_session, *window, batch.targets)
    if content != batch.content_hash:
        found.append(f"content hashes to {content}, stored is {batch.content_hash}")
    if len(batch.targets) != batch.row_count:
        found.append(f"{batch.row_count} targets announced, {len(batch.targets)} stored")
    if (symbols := [t.symbol for t in batch.targets]) != list(universe):
        found.append(f"targets are for {', '.join(symbols)}; the universe is {', '.join(universe)}")
    if wanted := [t.symbol for t in batch.targets if t.target_weight and t.symbol in restricted]:
        found.append(f"wants restricted names: {', '.join(wanted)}")
    return found
