"""The batch: targets of one session as the daemon takes them, written once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from uuid import UUID, uuid5

import polars as pl
import psycopg

from bifrost_assets.portfolio.combine import combined, parts
from bifrost_assets.portfolio.limits import WEIGHT, PortfolioLimits, exact
from bifrost_assets.portfolio.universe import tradable
from bifrost_assets.stamp import Stamp
from bifrost_core.calendar import shift
from bifrost_core.errors import BifrostError
from bifrost_core.provenance import frame_version
from bifrost_core.settings import Settings
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from bifrost_core.warehouse.warehouse import Warehouse

PRICE = Decimal("0.000001")
BATCHES = UUID("7b1c2f0e-6f0b-5f0a-9f55-6a1d6f9b2c11")  # namespace of batch ids
BEFORE_OPEN = timedelta(minutes=60)
CHANNEL = "bifrost_targets"

SIGNALS = """
    select session, strategy, instrument_id, weight, data_version
    from signals.signals where session = $1 order by strategy, instrument_id
"""
INSERT_BATCH = """
    insert into signals.target_batches (batch_id, account, strategies, as_of_session, valid_from, valid_until,
        row_count, content_hash, dagster_run_id, code_version, data_version)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (batch_id) do nothing
"""
INSERT_TARGETS = """
    insert into signals.targets (batch_id, symbol, target_weight, reference_price, contributions)
    values (%s, %s, %s, %s, %s)
"""


class BatchError(BifrostError):
    """A batch cannot be made from what is there."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a batch of one session is made from: its signals, and the closes of the universe."""

    session: date
    signals: pl.DataFrame
    closes: pl.DataFrame


def read_inputs(warehouse: Warehouse, session: date) -> Inputs:
    """The inputs of the batch of `session`; raises BatchError where no name of the universe has a close.

    Signals on restricted names are left out, so that their target is 0.
    """
    names = tradable(warehouse, session)
    if names.is_empty():
        raise BatchError(f"no bar of the universe in session {session}", "Load it first (asset raw/daily_bars)")
    restricted = names.filter(pl.col("is_restricted"))
    wanted = warehouse.read(SIGNALS, session).join(restricted, on="instrument_id", how="anti", maintain_order="left")
    return Inputs(session, wanted, names.select("instrument_id", "symbol", "close"))


def build(settings: Settings, strategies: tuple[str, ...], inputs: Inputs, stamp: Stamp) -> TargetBatch:
    """The batch of `inputs`: one target per universe symbol with a close, 0 where nothing is wanted.

    Weights are cut to 8 decimals toward zero, so that limits hold to the last digit. Tradable from an hour before
    the next session's open until its close.
    """
    mine = inputs.signals.join(inputs.closes, on="instrument_id", how="semi")
    limits = PortfolioLimits.of(settings)
    book = combined(mine, strategies, limits)
    shares = parts(mine, strategies)
    targets = _targets(inputs.closes, book, shares, limits)
    following = shift(settings.exchange, inputs.session, 1)
    window = (following.open_at - BEFORE_OPEN, following.close_at)
    names = tuple(sorted(strategies))
    content = hash_of(settings.account, names, inputs.session, *window, targets)
    return TargetBatch(
        batch_id=uuid5(BATCHES, content),
        account=settings.account,
        strategies=names,
        as_of_session=inputs.session,
        valid_from=window[0],
        valid_until=window[1],
        targets=targets,
        content_hash=content,
        row_count=len(targets),
        dagster_run_id=stamp.dagster_run_id,
        code_version=stamp.code_version,
        data_version=frame_version(inputs.signals),
    )


def _targets(
    closes: pl.DataFrame, book: pl.DataFrame, shares: pl.DataFrame, limits: PortfolioLimits
) -> tuple[Target, ...]:
    """One target per row of `closes`, from its weight in the book and each strategy's part of it."""
    final = dict(book.select("instrument_id", "weight").iter_rows())
    own: dict[int, dict[str, float]] = {}
    for instrument, strategy, part in shares.select("instrument_id", "strategy", "weight").iter_rows():
        own.setdefault(instrument, {})[strategy] = part
    prices = {symbol: (instrument, close) for instrument, symbol, close in closes.iter_rows()}
    weights = exact({symbol: final.get(instrument, 0.0) for symbol, (instrument, _) in prices.items()}, limits)
    return tuple(
        Target(
            symbol,
            weights[symbol],
            Decimal(repr(close)).quantize(PRICE, ROUND_HALF_EVEN),
            contributions(own.get(instrument, {}), weights[symbol]),
        )
        for symbol, (instrument, close) in sorted(prices.items())
    )


def contributions(own: Mapping[str, float], weight: Decimal) -> dict[str, str]:
    """Each strategy's part of `weight`, as decimal text that adds up to it: `own` parts, scaled as limits did."""
    total = sum(own.values())
    scale = min(max(float(weight) / total, 0.0), 1.0) if total else 1.0
    scaled = {name: Decimal(repr(part * scale)).quantize(WEIGHT, ROUND_DOWN) + 0 for name, part in own.items()}
    if scaled:
        largest = max(sorted(scaled), key=lambda name: abs(scaled[name]))
        scaled[largest] += weight - sum(scaled.values(), Decimal(0))
    return {name: format(part, "f") for name, part in sorted(scaled.items())}


def write(connection: psycopg.Connection, batch: TargetBatch) -> bool:
    """Insert `batch` and ring the daemon's bell, in the connection's transaction; False where it is there already."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_BATCH, (
            batch.batch_id, batch.account, list(batch.strategies), batch.as_of_session, batch.valid_from,
            batch.valid_until, batch.row_count, batch.content_hash, batch.dagster_run_id, batch.code_version,
            batch.data_version,
        ))  # fmt: skip
        if cursor.rowcount == 0:
            return False
        rows = [
            (batch.batch_id, t.symbol, t.target_weight, t.reference_price, json.dumps(dict(t.contributions)))
            for t in batch.targets
        ]
        cursor.executemany(INSERT_TARGETS, rows)
        cursor.execute("select pg_notify(%s, %s)", (CHANNEL, str(batch.batch_id)))
    return True
