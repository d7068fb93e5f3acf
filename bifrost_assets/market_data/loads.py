"""What was loaded before: a load that was cut short goes on, and content that came before is not compared again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.providers.base import SymbolBars
from bifrost_core.provenance import content_hash, frame_version

if TYPE_CHECKING:
    import psycopg

RESUMED_FOR = timedelta(days=1)  # after that the provider may say something else
REACH = timedelta(days=14)  # a load also looks at some sessions before its window

LAST_ATTEMPT = """
    select attempt_id, started_at, finished_at from raw.load_attempts
    where provider = %s and first_session = %s and last_session = %s order by started_at desc limit 1
"""
BEGIN = """
    insert into raw.load_attempts (provider, first_session, last_session, started_at, dagster_run_id)
    values (%s, %s, %s, %s, %s) returning attempt_id
"""
DONE_SINCE = """
    select distinct instrument_id from raw.loads
    where provider = %s and first_session = %s and last_session = %s and loaded_at >= %s and problem is null
"""
FINISH = "update raw.load_attempts set finished_at = clock_timestamp() where attempt_id = %s"
# The last load of each instrument in this window, if it was in order and nothing has changed the instrument since.
SAME = """
    select l.instrument_id, l.content_sha256, l.held_rows
    from (
        select distinct on (instrument_id) instrument_id, content_sha256, held_rows, problem, loaded_at
        from raw.loads
        where provider = %(provider)s and first_session = %(first)s and last_session = %(last)s
            and instrument_id = any(%(instruments)s)
        order by instrument_id, loaded_at desc
    ) l
    where l.problem is null
        and not exists (
            select from raw.loads o
            where o.instrument_id = l.instrument_id and o.changed_rows > 0 and o.loaded_at > l.loaded_at
                and o.first_session <= %(reach)s and o.last_session >= %(first)s
        )
"""
ASKED = """
    select distinct l.instrument_id, s.session
    from raw.loads l
    join reference.sessions s on s.session between l.first_session and l.last_session
    where s.exchange_mic = %s and s.session >= %s and s.session < %s
        and l.last_session >= %s and l.first_session < %s
"""
RECORD = """
    insert into raw.loads (instrument_id, provider, first_session, last_session, loaded_at, content_sha256,
        changed_rows, held_rows, problem, dagster_run_id)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Window:
    """The sessions a load is about, and the provider it asks; `start` is the session from which it looks."""

    provider: str
    first: date
    last: date
    start: date


@dataclass(frozen=True, slots=True)
class Attempt:
    """One load of a window; `done` are the instruments that an earlier attempt, cut short, has loaded."""

    attempt_id: int
    done: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What loading one instrument came to: `content` as of content_of, rows changed and held, and what was wrong."""

    content: str
    changed: int
    held: Mapping[str, int]
    problem: str | None


def begin(connection: psycopg.Connection, window: Window, at: datetime, run_id: str) -> Attempt:
    """Go on with the last attempt at `window` if it is not finished and of today, else begin one."""
    key = (window.provider, window.first, window.last)
    last = connection.execute(LAST_ATTEMPT, key).fetchone()
    if last is not None and last[2] is None and at - last[1] < RESUMED_FOR:
        done = connection.execute(DONE_SINCE, (*key, last[1])).fetchall()
        return Attempt(last[0], frozenset(row[0] for row in done))
    [attempt_id] = connection.execute(BEGIN, (*key, at, run_id)).fetchone() or [0]
    return Attempt(attempt_id)


def finish(connection: psycopg.Connection, attempt: Attempt) -> None:
    """Note that every symbol of the window had its turn."""
    connection.execute(FINISH, (attempt.attempt_id,))


def content_of(one: SymbolBars) -> str:
    """A hash of what the provider said of a symbol: equal content has equal hashes, whatever its bytes were."""
    actions = "" if one.actions is None else frame_version(one.actions)
    return content_hash([frame_version(one.bars), actions, one.listed_from, one.listed_to])


def unchanged(
    connection: psycopg.Connection, window: Window, contents: Mapping[int, str]
) -> dict[int, Mapping[str, int]]:
    """Of `contents` (instrument_id: content), those loaded before just so: what was held back of each, by reason."""
    values = {
        "provider": window.provider,
        "first": window.first,
        "last": window.last,
        "instruments": list(contents),
        "reach": window.last + REACH,
    }
    rows = connection.execute(SAME, values).fetchall()
    return {instrument: held for instrument, content, held in rows if contents[instrument] == content}


def asked_before(connection: psycopg.Connection, mic: str, window: Window) -> pl.DataFrame:
    """Sessions from `start` to before `first` that earlier loads were about, by instrument: instrument_id, session."""
    span = (window.start, window.first)
    rows = connection.execute(ASKED, (mic, *span, *span)).fetchall()
    return pl.DataFrame(rows, schema={"instrument_id": pl.Int32, "session": pl.Date}, orient="row")


def record(
    connection: psycopg.Connection, window: Window, outcomes: Iterable[tuple[int, Outcome]], at: datetime, run_id: str
) -> None:
    """Keep what loading each instrument came to."""
    key = (window.provider, window.first, window.last, at)
    rows = [
        (instrument, *key, one.content, one.changed, json.dumps(one.held), one.problem, run_id)
        for instrument, one in outcomes
    ]
    connection.cursor().executemany(RECORD, rows)
