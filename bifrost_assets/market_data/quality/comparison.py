"""A second provider's bars, kept apart, and where they disagree with ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.bars import in_schema, sift
from bifrost_assets.market_data.providers.base import BarProvider, Fetched
from bifrost_assets.market_data.quality.measures import KEY, VALUES
from bifrost_assets.market_data.quality.runner import validated
from bifrost_assets.market_data.reference import instrument_ids, symbols_to_load
from bifrost_core.calendar import sessions_between
from bifrost_core.errors import ProviderError
from bifrost_core.warehouse.bulk import staged

if TYPE_CHECKING:
    from bifrost_assets.market_data.evidence import CheckResult
    from bifrost_core.thresholds import Thresholds
    from bifrost_core.warehouse.warehouse import Warehouse

SUITE = "sources_agree"
SCHEMA: dict[str, Any] = {
    "symbol": pl.String,
    "session": pl.Date,
    **dict.fromkeys((*VALUES, "vendor_adj_close"), pl.Float64),
    "instrument_id": pl.Int32,
    "payload_sha256": pl.String,
}
STORE = """
    insert into raw.comparison_bars
        (instrument_id, session, provider, ingested_at, open, high, low, close, volume, payload_sha256)
    select n.instrument_id, n.session, n.provider, n.ingested_at, n.open, n.high, n.low, n.close, n.volume,
        n.payload_sha256
    from {staging} n
    left join lateral (
        select c.open, c.high, c.low, c.close, c.volume from raw.comparison_bars c
        where c.session = n.session and c.instrument_id = n.instrument_id and c.provider = n.provider
        order by c.ingested_at desc limit 1
    ) newest on true
    where (newest.open, newest.high, newest.low, newest.close, newest.volume)
        is distinct from (n.open, n.high, n.low, n.close, n.volume)
"""
BOTH = """
    with theirs as (
        select distinct on (session, instrument_id) instrument_id, session, close, volume
        from raw.comparison_bars where session between $1 and $2 and provider = $3
        order by session, instrument_id, ingested_at desc
    )
    select o.instrument_id, o.session, o.open, o.high, o.low, o.close, o.volume,
        t.close as their_close, t.volume as their_volume
    from raw.daily_bars_as_of() o
    join theirs t using (instrument_id, session)
    where o.session between $1 and $2 and o.provider <> $3
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of fetching from a second provider."""

    stored: int
    impossible: int
    failed: dict[str, str] = field(default_factory=dict)


def fetch_second(warehouse: Warehouse, provider: BarProvider, first: date, last: date) -> Compared:
    """Store the second provider's bars of the window that are new or other than its last ones; ours stay untouched.

    Its impossible rows are counted and left out: they are nobody's bars, and the payload is kept.
    """
    settings = warehouse.settings
    with warehouse.transaction() as connection:
        symbols = symbols_to_load(connection, settings, first)
    fetched = provider.fetch(symbols, first, last)
    failed = {one.symbol: one.problem for one in fetched.failed}
    with warehouse.transaction() as connection:
        rows = _rows(fetched, instrument_ids(connection, first, last), failed)
        sifted = sift(rows, [s.session for s in sessions_between(settings.exchange, first, last)], last)
        new = sifted.good.drop("symbol", "vendor_adj_close").with_columns(
            provider=pl.lit(provider.name), ingested_at=pl.lit(datetime.now(UTC))
        )
        evidence.keep_payloads(connection, provider.name, (one.payload for one in fetched.loaded))
        with staged(connection, new, "raw.comparison_bars") as staging:
            stored = connection.execute(STORE.format(staging=staging)).rowcount
    return Compared(stored, sifted.bad.height, failed)


def _rows(fetched: Fetched, ids: dict[str, int], failed: dict[str, str]) -> pl.DataFrame:
    """The readable bars of known instruments; each symbol that has none gets its problem into `failed`."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for one in fetched.loaded:
        try:
            bars = in_schema(one.bars)
        except ProviderError as error:
            failed[one.symbol] = str(error)
            continue
        if one.symbol not in ids:
            failed[one.symbol] = f"{one.symbol} is not in reference.instruments"
            continue
        origin = {"instrument_id": ids[one.symbol], "payload_sha256": one.payload.sha256, "symbol": one.symbol}
        typed = [pl.lit(value, dtype=SCHEMA[name]).alias(name) for name, value in origin.items()]
        frames.append(bars.with_columns(*typed).select(*SCHEMA))
    return pl.concat(frames)


def compare(warehouse: Warehouse, second: str, first: date, last: date) -> tuple[list[CheckResult], pl.DataFrame]:
    """The suite's results, and our bars (instrument_id, session, OHLCV, reason) with which `second` disagrees."""
    limits = warehouse.settings.quality
    both = warehouse.read(BOTH, first, last, second).with_columns(
        close_difference=_apart("close"), volume_difference=_apart("volume")
    )
    results = validated(both.select("close_difference", "volume_difference"), SUITE, _expectations(limits))
    words = [
        pl.when(pl.col(f"{name}_difference") > limit).then(
            pl.format("{} has another {}: {}", pl.lit(second), pl.lit(name), pl.col(f"their_{name}"))
        )
        for name, limit in (("close", limits.close_difference), ("volume", limits.volume_difference))
    ]
    reason = pl.concat_str(words, separator="; ", ignore_nulls=True)
    return results, both.with_columns(reason=reason).filter(pl.col("reason") != "").select(*KEY, *VALUES, "reason")


def _apart(name: str) -> pl.Expr:
    """How far apart two numbers are, as a fraction of the larger; 0 where both are 0."""
    larger = pl.max_horizontal(name, f"their_{name}")
    return pl.when(larger > 0).then((pl.col(name) - pl.col(f"their_{name}")).abs() / larger).otherwise(0.0)


def _expectations(limits: Thresholds) -> list[Any]:
    import great_expectations.expectations as e

    return [
        e.ExpectColumnValuesToBeBetween(column="close_difference", max_value=limits.close_difference),
        e.ExpectColumnValuesToBeBetween(column="volume_difference", max_value=limits.volume_difference),
    ]
