"""What was loaded before: a load that was cut short goes on, and content that came before is not compared again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
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
    from bifrost_core.warehouse.warehouse import Warehouse

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
    select distinct instrument_id, first_session, last_session from raw.loads
    where instrument_id = any(string_to_array($1, ',')::integer[]) and last_session >= $2 and first_session <= $3
"""
NEWEST = """
    select distinct on (instrument_id) instrument_id, last_session as "to", loaded_at from raw.loads
    where instrument_id = any(string_to_array($1, ',')::integer[])
    order by instrument_id, last_session desc, loaded_at desc
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


def asked_before(warehouse: Warehouse, window: Window, instruments: Collection[int], at: datetime) -> pl.DataFrame:
    """What earlier loads asked for: instrument_id, first_session, reaches and known_at; sorted by first_session.

    `reaches` is the last session that the loads beginning up to first_session asked for.

    `known_at` is when a trader could have known what they did not bring: with the newest session that is loaded, this
    window's or, where an earlier load went further, the one after that. Where the last load is longer ago than a day,
    that much later: sessions of the past are replayed within minutes, and corrected after months.
    """
    ids, settings = ",".join(map(str, instruments)), warehouse.settings
    windows, newest = warehouse.read(ASKED, ids, window.start, window.last), warehouse.read(NEWEST, ids)
    elapsed = pl.lit(at) - pl.col("loaded_at")
    later = pl.when(elapsed >= RESUMED_FOR).then(elapsed).otherwise(timedelta())
    cutoffs = {day: _known_with(settings, window, day) for day in newest["to"].unique()}
    known = pl.col("to").replace_strict(cutoffs, return_dtype=pl.Datetime("us", "UTC"))
    return (
        windows.sort("first_session")
        .with_columns(reaches=pl.col("last_session").cum_max().over("instrument_id"))
        .join(newest.select("instrument_id", known_at=known + later), on="instrument_id", maintain_order="left")
        .select("instrument_id", "first_session", "reaches", "known_at")
    )


def late_of(rows: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """`rows` (instrument_id, session, ...) with known_at of what `asked` covers, and null for all else."""
    found = rows.sort("session").join_asof(
        asked, left_on="session", right_on="first_session", by="instrument_id", check_sortedness=False
    )
    covered = pl.when(pl.col("session") <= pl.col("reaches")).then("known_at")
    return found.with_columns(covered).drop("reaches", "first_session", strict=False)


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
