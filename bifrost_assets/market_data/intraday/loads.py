"""What was loaded of the minutes before: the same content, with nothing changed since, is not compared again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from bifrost_core.calendar import Session
from bifrost_core.provenance import content_hash, frame_version

if TYPE_CHECKING:
    import psycopg

# The last load of each instrument in this window, if nothing has changed the window since and its rows are still there.
SAME = """
    select l.instrument_id, l.content_sha256, l.good_rows, l.held_rows
    from (
        select distinct on (instrument_id) instrument_id, content_sha256, good_rows, held_rows, loaded_at
        from raw.minute_loads
        where provider = %(provider)s and first_session = %(first)s and last_session = %(last)s
            and instrument_id = any(%(instruments)s)
        order by instrument_id, loaded_at desc
    ) l
    where not exists (
            select from raw.minute_loads o
            where o.instrument_id = l.instrument_id and o.changed_rows > 0 and o.loaded_at > l.loaded_at
                and o.first_session <= %(last)s and o.last_session >= %(first)s
        )
        and (l.good_rows = 0 or exists (
            select from raw.minute_bars b
            where b.instrument_id = l.instrument_id and b.start_at between %(open)s and %(close)s
        ))
"""
RECORD = """
    insert into raw.minute_loads (instrument_id, provider, first_session, last_session, loaded_at, content_sha256,
        payload_sha256, good_rows, changed_rows, held_rows, dagster_run_id)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Before:
    """What the same content came to when it was loaded: good minutes, and those held back by reason."""

    good_rows: int
    held_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What loading one instrument came to."""

    instrument_id: int
    content: str
    payload_sha256: str
    good_rows: int
    changed_rows: int
    held_rows: Mapping[str, int]


def content_of(minutes: pl.DataFrame, sessions: Sequence[Session]) -> str:
    """A hash of what the provider said of a symbol, and of the hours that it was judged by."""
    return content_hash([frame_version(minutes), [(s.open_at, s.close_at) for s in sessions]])


def unchanged(
    connection: psycopg.Connection, provider: str, sessions: Sequence[Session], contents: Mapping[int, str]
) -> dict[int, Before]:
    """Of `contents` (instrument_id: content), those that were loaded just so for these sessions."""
    values = {
        "provider": provider,
        "first": sessions[0].session,
        "last": sessions[-1].session,
        "open": sessions[0].open_at,
        "close": sessions[-1].close_at,
        "instruments": list(contents),
    }
    rows = connection.execute(SAME, values).fetchall()
    return {row[0]: Before(*row[2:]) for row in rows if contents[row[0]] == row[1]}


def record(
    connection: psycopg.Connection,
    provider: str,
    sessions: Sequence[Session],
    outcomes: Iterable[Outcome],
    at: datetime,
    run_id: str,
) -> None:
    """Keep what loading each instrument came to."""
    window = (provider, sessions[0].session, sessions[-1].session, at)
    rows = [
        (o.instrument_id, *window, o.content, o.payload_sha256, o.good_rows, o.changed_rows, json.dumps(o.held_rows))
        for o in outcomes
    ]
    connection.cursor().executemany(RECORD, [(*row, run_id) for row in rows])
