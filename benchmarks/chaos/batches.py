"""Target batches, written as the pipeline writes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from random import Random

from psycopg.types.json import Jsonb

from benchmarks.chaos.market import Market
from bifrost_core.calendar import Session
from bifrost_core.settings import Settings
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from bifrost_core.warehouse.warehouse import Warehouse

STRATEGY = "momentum_12_1"
HEADER = (
    "batch_id, account, strategies, as_of_session, valid_from, valid_until, row_count, content_hash, dagster_run_id,"
    " code_version, data_version"
)


def weights(market: Market, rng: Random, gross: float = 0.9) -> dict[str, Decimal]:
    """A long book of about `gross`, spread at random over all symbols; about one in eight is to be flat."""
    raw = {symbol: 0.0 if rng.random() < 0.125 else rng.uniform(0.5, 1.5) for symbol in market.symbols}
    scale = gross / sum(raw.values())
    return {symbol: round(Decimal(min(share * scale, 0.25)), 4) for symbol, share in raw.items()}


def batch_for(
    settings: Settings, market: Market, session: Session, wanted: Mapping[str, Decimal], strategy: str = STRATEGY
) -> TargetBatch:
    """A batch to be traded in `session`, at the closes of the session before."""
    prices = market.known_before(session)
    targets = tuple(Target(s, w, prices[s], {strategy: str(w)}) for s, w in sorted(wanted.items()))
    window = (session.open_at - timedelta(hours=1), session.close_at)
    as_of = session.session - timedelta(days=1)
    digest = hash_of(settings.account, (strategy,), as_of, *window, targets)
    number = uuid.uuid5(uuid.NAMESPACE_OID, digest)
    return TargetBatch(
        number, settings.account, (strategy,), as_of, *window, targets, digest, len(targets), "run", "code", "data"
    )


def write(pipeline: Warehouse, batch: TargetBatch) -> None:
    """One transaction: header, targets and the doorbell."""
    header = {name: value for name, value in asdict(batch).items() if name in HEADER.split(", ")}
    header["strategies"] = list(batch.strategies)
    places = ", ".join(f"%({name})s" for name in HEADER.split(", "))
    with pipeline.transaction() as connection, connection.cursor() as cursor:
        cursor.execute(f"insert into signals.target_batches ({HEADER}) values ({places})", header)
        cursor.executemany(
            "insert into signals.targets values (%s, %s, %s, %s, %s)",
            [
                (batch.batch_id, t.symbol, t.target_weight, t.reference_price, Jsonb(dict(t.contributions)))
                for t in batch.targets
            ],
        )
        cursor.execute("select pg_notify('bifrost_targets', %s)", (str(batch.batch_id),))
