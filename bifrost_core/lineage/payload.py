"""What a provider sent, as it is stored, and the very record in it that a row was made from."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bifrost_core.errors import BifrostError
from bifrost_core.provenance import sha256

if TYPE_CHECKING:
    import psycopg

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
STORED = """
    select provider, subject, content_type, fetched_at, body_zlib from raw.payloads where sha256 = %s
"""
TIMES = frozenset({"t", "timestamp", "date", "time"})  # keys under which vendors write when something was
SHOWN_WHOLE = 2_000  # bytes of a payload in which nothing is dated


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """The bytes under a hash that they were found to have."""

    sha256: str
    provider: str
    subject: str
    content_type: str
    fetched_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which record is looked for: of `session` in the exchange's `timezone`, under any of `symbols`."""

    symbols: Collection[str]
    session: date
    timezone: str


def read_payload(connection: psycopg.Connection, digest: str) -> StoredPayload:
    """The payload stored under `digest`; raises BifrostError where there is none, or its bytes are other ones."""
    row = connection.execute(STORED, (digest,)).fetchone()
    if row is None:
        raise BifrostError(f"raw.payloads has nothing under {digest}", "Restore the table from a backup")
    provider, subject, content_type, fetched_at, packed = row
    try:
        body = zlib.decompress(packed)
    except zlib.error as error:
        raise BifrostError(f"the payload {digest} cannot be unpacked: {error}", "Restore it from a backup") from error
    if (actual := sha256(body)) != digest:
        raise BifrostError(f"the bytes stored under {digest} hash to {actual}", "Restore raw.payloads from a backup")
    return StoredPayload(digest, provider, subject, content_type, fetched_at, body)


def records_in(payload: StoredPayload, wanted: Wanted) -> list[str]:
    """The records of `payload` that are of `wanted`, as text: CSV lines under their header, or JSON.

    By what the bytes are: CSV (also gzipped), Parquet, or JSON, in which a chart of parallel lists (Yahoo) and dated
    elements (Alpaca, a person's word) are known. Empty where nothing in it is of that session.
    """
    body = gzip.decompress(payload.body) if payload.body.startswith(GZIP) else payload.body
    if body.startswith(PARQUET):
        return _from_parquet(body, wanted)
    text = body.decode("utf-8-sig", errors="replace")
    if text.lstrip()[:1] in {"{", "["}:
        return _from_json(text, wanted)
    return _from_csv(text, wanted)


def _from_csv(text: str, wanted: Wanted) -> list[str]:
    lines = text.splitlines()
    delimiter = max(",;\t|", key=(lines or [""])[0].count)
    day = _spellings(wanted.session)
    dated = [
        (line, cells)
        for line, cells in zip(lines, csv.reader(lines, delimiter=delimiter), strict=False)
        if any(cell.strip().startswith(day) for cell in cells)
    ]
    mine = [line for line, cells in dated if any(cell.strip().upper() in wanted.symbols for cell in cells)]
    found = mine or [line for line, _ in dated if len(dated) == 1]  # a file of one symbol need not name it
    return [lines[0], *found] if found else []


def _spellings(day: date) -> tuple[str, ...]:
    american = (f"{day:%m/%d/%Y}", f"{day.month}/{day.day}/{day.year}")
    return (f"{day:%Y-%m-%d}", f"{day:%Y/%m/%d}", f"{day:%Y%m%d}", *american)


def _from_parquet(body: bytes, wanted: Wanted) -> list[str]:
    import polars as pl

    return _from_csv(pl.read_parquet(io.BytesIO(body)).write_csv(), wanted)


def _from_json(text: str, wanted: Wanted) -> list[str]:
    try:
        whole = json.loads(text)
    except ValueError:
        return []
    dated = [*_dated(whole, wanted, is_mine=False)]
    mine = [element for element, is_mine in dated if is_mine]
    found = mine or [element for element, _ in dated]
    if not found and len(text) <= SHOWN_WHOLE:
        found = [whole]
    return [json.dumps(element) for element in found]


def _dated(value: Any, wanted: Wanted, *, is_mine: bool) -> Iterator[tuple[Any, bool]]:
    """The elements of the wanted session, each with whether something at or above it names a wanted symbol."""
    if isinstance(value, list):
        for one in value:
            yield from _dated(one, wanted, is_mine=is_mine)
    elif isinstance(value, dict):
        is_mine = is_mine or any(isinstance(one, str) and one.upper() in wanted.symbols for one in value.values())
        if isinstance(value.get("timestamp"), list) and "indicators" in value:
            yield from ((bar, is_mine) for bar in _of_chart(value, wanted))
        if any(_is_of_session(key, one, wanted) for key, one in value.items()):
            yield value, is_mine
        for key, one in value.items():
            yield from _dated(one, wanted, is_mine=is_mine or str(key).upper() in wanted.symbols)


def _of_chart(chart: dict[str, Any], wanted: Wanted) -> Iterator[dict[str, Any]]:
    """The bars of the session in parallel lists, each as one element."""
    lists = [part for parts in chart["indicators"].values() for part in parts or [] if isinstance(part, dict)]
    for n, stamp in enumerate(chart["timestamp"]):
        if _is_of_session("timestamp", stamp, wanted):
            values = {name: column[n] for part in lists for name, column in part.items() if n < len(column or [])}
            yield {"timestamp": stamp, **values}


def _is_of_session(key: str, value: Any, wanted: Wanted) -> bool:
    """Whether a value says when, and that is the session: an ISO date or time, or seconds since 1970."""
    zone = ZoneInfo(wanted.timezone)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return key in TIMES and datetime.fromtimestamp(value, zone).date() == wanted.session
    if not isinstance(value, str) or len(value) < len("2013-03-01"):
        return False
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return False
    return (at.astimezone(zone) if at.tzinfo else at).date() == wanted.session
