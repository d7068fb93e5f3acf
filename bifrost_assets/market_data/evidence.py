"""What is kept beside the good rows: the provider's payloads, the rows that failed a rule, the results of checks."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data.providers.base import Payload
from bifrost_core.provenance import content_hash
from bifrost_core.warehouse.bulk import staged

if TYPE_CHECKING:
    import psycopg

BARS = "raw.daily_bars"
ACTIONS = "raw.corporate_actions"

PAYLOAD = """
    insert into raw.payloads (sha256, provider, subject, content_type, size_bytes, body_zlib)
    values (%s, %s, %s, %s, %s, %s) on conflict (sha256) do nothing
"""
HELD = """
    insert into quarantine.rows
        (source, subject, session, reason, row, row_sha256, provider, payload_sha256, dagster_run_id)
    select source, subject, session, reason, row, row_sha256, provider, payload_sha256, dagster_run_id from {staging}
    on conflict (source, row_sha256, reason) do nothing
    returning session, reason
"""
RESULT = """
    insert into quarantine.check_results
        (asset_key, suite, expectation, passed, observed, window_start, window_end, dagster_run_id)
    values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
HELD_SCHEMA = {
    "source": pl.String,
    "subject": pl.String,
    "session": pl.Date,
    **dict.fromkeys(("reason", "row", "row_sha256", "provider", "payload_sha256", "dagster_run_id"), pl.String),
}


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of one symbol that failed a rule (column `reason`), and where they came from."""

    symbol: str
    rows: pl.DataFrame
    provider: str
    payload_sha256: str
    source: str = BARS


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One expectation, whether it held, and what was seen."""

    expectation: str
    passed: bool
    observed: Mapping[str, Any]


def keep_payloads(connection: psycopg.Connection, provider: str, payloads: Iterable[Payload]) -> int:
    """Store the payloads that are not stored yet, compressed; returns how many there were of these."""
    by_hash = {payload.sha256: payload for payload in payloads}
    found = connection.execute("select sha256 from raw.payloads where sha256 = any(%s)", (list(by_hash),)).fetchall()
    known = {row[0] for row in found}
    rows = [
        (sha, provider, p.subject, p.content_type, len(p.body), zlib.compress(p.body))
        for sha, p in by_hash.items()
        if sha not in known
    ]
    connection.cursor().executemany(PAYLOAD, rows)
    return len(rows)


def read_payload(connection: psycopg.Connection, sha256: str) -> bytes:
    """The bytes stored under `sha256`, as the provider sent them."""
    row = connection.execute("select body_zlib from raw.payloads where sha256 = %s", (sha256,)).fetchone()
    if row is None:
        raise KeyError(sha256)
    return zlib.decompress(row[0])


def quarantine(connection: psycopg.Connection, held: Iterable[Held], run_id: str) -> list[tuple[date | None, str]]:
    """Store rows with their reasons; one held before for the same reason stays as it is.

    Returns session and reason of those that are new.
    """
    rows = [row for one in held for row in _as_rows(one, run_id)]
    if not rows:
        return []
    with staged(connection, pl.DataFrame(rows, schema=HELD_SCHEMA, orient="row"), "quarantine.rows") as staging:
        return connection.execute(HELD.format(staging=staging)).fetchall()


def _as_rows(one: Held, run_id: str) -> Iterator[tuple[Any, ...]]:
    """Rows of HELD_SCHEMA: each held row whole, as JSON, under the name of its symbol."""
    for row in one.rows.to_dicts():
        reason, session = row.pop("reason"), row.get("session", row.get("ex_session"))
        plain = {"symbol": one.symbol, **{name: _plain(value) for name, value in row.items()}}
        origin = (one.provider, one.payload_sha256, run_id)
        yield one.source, one.symbol, session, reason, json.dumps(plain), content_hash(plain), *origin


def keep_results(
    connection: psycopg.Connection,
    asset_key: str,
    suite: str,
    results: Sequence[CheckResult],
    window: tuple[date, date],
    run_id: str,
) -> None:
    """Store what a suite found."""
    rows = [
        (asset_key, suite, r.expectation, r.passed, json.dumps(r.observed, default=str), *window, run_id)
        for r in results
    ]
    connection.cursor().executemany(RESULT, rows)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
