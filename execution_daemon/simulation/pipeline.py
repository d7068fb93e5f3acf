"""The pipeline's hand: target batches, good ones and poisoned ones, written as one commit with its bell."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from bifrost_core.calendar import Session
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from execution_daemon.simulation.scenario import STRATEGIES, Poison
from execution_daemon.simulation.warehouse.tables import Tables

WEIGHTS = tuple(Decimal(n) / 100 for n in (-20, -10, 0, 0, 5, 10, 15, 20, 25))
NAN = Decimal("NaN")

EXPECTED = {
    Poison.BAD_HASH: "HASH_MISMATCH",
    Poison.NAN_WEIGHT: "NOT_FINITE",
    Poison.NAN_PRICE: "NOT_FINITE",
    Poison.UNKNOWN_SYMBOL: "UNKNOWN_SYMBOL",
    Poison.EXPIRED: "EXPIRED",
    Poison.HALF_WRITTEN: "HALF_WRITTEN",
    Poison.GROSS_JUMP: "GROSS_JUMP",
}


def make(
    source: random.Random,
    account: str,
    session: Session,
    now: datetime,
    prices: Mapping[str, Decimal],
    poison: Poison | None = None,
) -> TargetBatch:
    """A batch for `session`, as it stands at market time `now`."""
    strategies = (source.choice(STRATEGIES),)
    targets = [Target(s, source.choice(WEIGHTS), price, {strategies[0]: "1"}) for s, price in prices.items()]
    window = (session.open_at - timedelta(hours=1), session.close_at)
    if poison is Poison.EXPIRED:
        window = (now - timedelta(hours=3), now - timedelta(hours=1))
    if poison is Poison.UNKNOWN_SYMBOL:
        targets.append(Target("ZZZZ", Decimal("0.1"), Decimal(10), {strategies[0]: "1"}))
    if poison is Poison.GROSS_JUMP:
        targets[0] = replace(targets[0], target_weight=Decimal("5"))
    content = tuple(targets)
    as_of = session.session - timedelta(days=1)
    digest = hash_of(account, strategies, as_of, *window, content)
    number = UUID(int=source.getrandbits(128), version=4)
    batch = TargetBatch(
        number, account, strategies, as_of, *window, content, digest, len(content), "run", "code", "data"
    )
    return _spoiled(batch, poison)


def _spoiled(batch: TargetBatch, poison: Poison | None) -> TargetBatch:
    first, *rest = batch.targets
    match poison:
        case Poison.BAD_HASH:
            return replace(batch, targets=(replace(first, target_weight=first.target_weight + 1), *rest))
        case Poison.NAN_WEIGHT:
            return replace(batch, targets=(replace(first, target_weight=NAN), *rest))
        case Poison.NAN_PRICE:
            return replace(batch, targets=(replace(first, reference_price=NAN), *rest))
        case Poison.HALF_WRITTEN:
            return replace(batch, targets=tuple(rest))
        case _:
            return batch


def write(tables: Tables, batch: TargetBatch, at: datetime) -> None:
    """Commit the batch."""
    tables.batches.insert(
        batch.batch_id,
        {
            "batch_id": batch.batch_id,
            "account": batch.account,
            "strategies": list(batch.strategies),
            "as_of_session": batch.as_of_session,
            "valid_from": batch.valid_from,
            "valid_until": batch.valid_until,
            "row_count": batch.row_count,
            "content_hash": batch.content_hash,
            "dagster_run_id": batch.dagster_run_id,
            "code_version": batch.code_version,
            "data_version": batch.data_version,
            "created_at": at,
        },
    )
    for target in batch.targets:
        tables.targets.append(
            {
                "batch_id": batch.batch_id,
                "symbol": target.symbol,
                "target_weight": target.target_weight,
                "reference_price": target.reference_price,
                "contributions": dict(target.contributions),
            }
        )
    tables.commit()
