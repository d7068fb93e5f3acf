"""What was loaded before: a load that was cut short goes on, and content that came before is not compared again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.providers.base import SymbolBars
from bifrost_core.calendar import cutoff, shift
from bifrost_core.provenance import code_version, content_hash, frame_version

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.settings import Settings

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
    select distinct on (instrument_id) instrument_id, held_rows from raw.loads
    where provider = %s and first_session = %s and last_session = %s and loaded_at >= %s and problem is null
    order by instrument_id, loaded_at desc
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
                and o.first_session <= %(reach)s and o.last_session >= %(start)s
        )
"""
ASKED = """
    select distinct l.instrument_id, s.session, newest.last_session, newest.loaded_at
    from raw.loads l
    join reference.sessions s on s.exchange_mic = %(mic)s and s.session between l.first_session and l.last_session
    join lateral (
        select n.last_session, n.loaded_at from raw.loads n
        where n.instrument_id = l.instrument_id order by n.last_session desc, n.loaded_at desc limit 1
    ) newest on true
    where s.session between %(start)s and %(last)s and l.last_session >= %(start)s and l.first_session <= %(last)s
"""
ASKED_SCHEMA = pl.Schema(
    {"instrument_id": pl.Int32(), "session": pl.Date(), "to": pl.Date(), "loaded_at": pl.Datetime("us", "UTC")}
)
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
    """One load of a window; `done` are the instruments that an earlier attempt loaded, with the rows held of each."""

    attempt_id: int
    done: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


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
        return Attempt(last[0], dict(done))
    [attempt_id] = connection.execute(BEGIN, (*key, at, run_id)).fetchone() or [0]
    return Attempt(attempt_id)


def finish(connection: psycopg.Connection, attempt: Attempt) -> None:
    """Note that every symbol of the window had its turn."""
    connection.execute(FINISH, (attempt.attempt_id,))


def content_of(one: SymbolBars, rules: str) -> str:
    """A hash of what the provider said of a symbol, and of the `rules` that it is judged by."""
    actions = "" if one.actions is None else frame_version(one.actions)
    return content_hash([rules, frame_version(one.bars), actions, one.listed_from, one.listed_to])


def rules_of(settings: Settings, price_unit: float) -> str:
    """A hash that changes with everything but the data that decides what a load makes of it."""
    return content_hash([code_version(), settings.quality.model_dump_json(), repr(price_unit)])


def unchanged(
    connection: psycopg.Connection, window: Window, contents: Mapping[int, str]
) -> dict[int, Mapping[str, int]]:
    """Of `contents` (instrument_id: content), those loaded before just so: what was held back of each, by reason."""
    values = {
        "provider": window.provider,
        "first": window.first,
        "start": window.start,
        "last": window.last,
        "instruments": list(contents),
        "reach": window.last + REACH,
    }
    rows = connection.execute(SAME, values).fetchall()
    return {instrument: held for instrument, content, held in rows if contents[instrument] == content}


def asked_before(connection: psycopg.Connection, settings: Settings, window: Window, at: datetime) -> pl.DataFrame:
    """Sessions of the window, and the few before it, that earlier loads asked for: instrument_id, session, known_at.

    `known_at` is when a trader could have known what they did not bring: with the newest session that is loaded, this
    window's or, where an earlier load went further, the one after that. Where the last load is longer ago than a day,
    that much later: sessions of the past are replayed within minutes, and corrected after months.
    """
    values = {"mic": settings.exchange, "start": window.start, "last": window.last}
    asked = pl.DataFrame(connection.execute(ASKED, values).fetchall(), schema=ASKED_SCHEMA, orient="row")
    elapsed = pl.lit(at) - pl.col("loaded_at")
    later = pl.when(elapsed >= RESUMED_FOR).then(elapsed).otherwise(timedelta())
    cutoffs = {day: _known_with(settings, window, day) for day in asked["to"].unique()}
    known = pl.col("to").replace_strict(cutoffs, return_dtype=pl.Datetime("us", "UTC"))
    return asked.select("instrument_id", "session", known_at=known + later)


def _known_with(settings: Settings, window: Window, loaded_to: date) -> datetime:
    """The cutoff of the window's last session, or of the session after `loaded_to` if that is beyond it."""
    lag = timedelta(minutes=settings.availability_lag_minutes)
    if loaded_to <= window.last:
        return cutoff(settings.exchange, window.last, lag)
    return shift(settings.exchange, loaded_to, 1).close_at + lag


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
