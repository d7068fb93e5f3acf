"""Stored bars judged: a window read with what came before it, scored, and what is doubtful listed for a person."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.evidence import CheckResult
from bifrost_assets.market_data.quality import settled
from bifrost_assets.market_data.quality.detectors import ALL, doubted, scored
from bifrost_assets.market_data.quality.measures import INSTRUMENT, KEY, VALUES
from bifrost_assets.market_data.quality.runner import validated
from bifrost_core.calendar import all_sessions
from bifrost_core.provenance import content_hash
from bifrost_core.warehouse.bulk import staged

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.thresholds import Thresholds
    from bifrost_core.warehouse.warehouse import Warehouse

SUITE = "plausible_bars"
BARS = """
    select instrument_id, session, open, high, low, close, volume from raw.daily_bars_as_of()
    where session between $1 and $2
"""
ACTIONS = """
    select instrument_id, session, split_factor, dividend_factor from raw.action_factors_as_of()
    where session between $1 and $2
"""
BENCHMARK = "select instrument_id from reference.instruments where symbol = $1 and listed_to is null"
ORIGINS = """
    select d.instrument_id, d.session, reference.symbol_of(d.instrument_id, d.session), b.provider, b.payload_sha256
    from unnest(%s::integer[], %s::date[]) as d (instrument_id, session)
    join raw.daily_bars_as_of() b using (instrument_id, session)
"""
FLAG = """
    insert into quarantine.rows
        (source, subject, session, reason, row, row_sha256, provider, payload_sha256, dagster_run_id, status)
    select source, subject, session, reason, row, row_sha256, provider, payload_sha256, dagster_run_id, 'flagged'
    from {staging} f
    where not exists (
        select from quarantine.rows r
        where r.source = f.source and r.row_sha256 = f.row_sha256 and r.status <> 'held'
    )
    on conflict (source, row_sha256, reason) do nothing
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the suite found, and the doubtful bars (instrument_id, session, OHLCV, reason) that nobody decided on."""

    results: list[CheckResult]
    doubts: pl.DataFrame


def judge(warehouse: Warehouse, first: date, last: date) -> Judged:
    """Judge the stored bars of sessions `first` to `last`, and again the few before them, whose next bars came now.

    What a person has said to be right is not doubted again. Works year by year: memory is bounded by one year of bars.
    """
    limits = warehouse.settings.quality
    sessions = [s.session for s in all_sessions(warehouse.settings.exchange) if s.session <= last]
    start = sessions[max(0, bisect_left(sessions, first) - limits.second_look_sessions)]
    with warehouse.transaction() as connection:
        decided = settled.decisions(connection, start, last)
    right = decided.filter(pl.col("decision") == "released")
    scores, doubts = [], []
    for since, until in _years(start, last):
        context = sessions[
            max(0, bisect_left(sessions, since) - max(limits.history_sessions, limits.shift_sessions) - 1)
        ]
        known = _scored(warehouse, context, until).join(right, on=[*KEY, *VALUES], how="anti", maintain_order="left")
        in_window = pl.col("session").is_between(since, until)
        scores.append(known.filter(in_window))
        doubts.append(doubted(known, limits).filter(in_window))
    results = validated(pl.concat(scores).select(one.name for one in ALL), SUITE, expectations(limits))
    return Judged(results, pl.concat(doubts).select(*KEY, *VALUES, "reason"))


def expectations(limits: Thresholds) -> list[Any]:
    """One expectation for each detector: no score above its limit."""
    import great_expectations.expectations as e

    return [e.ExpectColumnValuesToBeBetween(column=one.name, max_value=one.limit(limits)) for one in ALL]


def flag(connection: psycopg.Connection, doubts: pl.DataFrame, run_id: str) -> int:
    """List doubtful bars (instrument_id, session, OHLCV, reason) in quarantine, those that are not there; how many."""
    if doubts.is_empty():
        return 0
    keys = [doubts[name].to_list() for name in KEY]
    origins = {row[:2]: row[2:] for row in connection.execute(ORIGINS, keys).fetchall()}
    rows = [
        (evidence.BARS, *_flagged(row, *origins[row[INSTRUMENT], row["session"]]), run_id)
        for row in doubts.iter_rows(named=True)
    ]
    frame = pl.DataFrame(rows, schema=evidence.HELD_SCHEMA, orient="row")
    with staged(connection, frame, "quarantine.rows") as staging:
        return connection.execute(FLAG.format(staging=staging)).rowcount


def _flagged(row: dict[str, Any], symbol: str, provider: str, payload: str) -> tuple[Any, ...]:
    """The columns of HELD_SCHEMA between source and run."""
    bar = {"symbol": symbol, "session": row["session"].isoformat(), **{name: row[name] for name in VALUES}}
    return symbol, row["session"], row["reason"], json.dumps(bar), content_hash(bar), provider, payload


def _scored(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    settings = warehouse.settings
    index = warehouse.read(BENCHMARK, settings.benchmark)
    benchmark = index.item() if index.height else None
    bars = warehouse.read(BARS, first, last)
    return scored(bars, warehouse.read(ACTIONS, first, last), settings.quality, benchmark)


def _years(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The span in pieces of a calendar year at most; each begins at its first session's date or `first`."""
    for year in range(first.year, last.year + 1):
        yield max(first, date(year, 1, 1)), min(last, date(year, 12, 31))
