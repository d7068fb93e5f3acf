"""The calendar of every exchange that something is listed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.bulk import staged

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.warehouse.warehouse import Warehouse

SESSIONS_IN = """
    insert into reference.sessions (exchange_mic, session, open_at, close_at, is_half_day)
    select exchange_mic, session, open_at, close_at, is_half_day from {staging}
    on conflict (exchange_mic, session) do update
        set open_at = excluded.open_at, close_at = excluded.close_at, is_half_day = excluded.is_half_day
        where (sessions.open_at, sessions.close_at, sessions.is_half_day)
            is distinct from (excluded.open_at, excluded.close_at, excluded.is_half_day)
"""
LISTED_ON = "select distinct exchange_mic from reference.symbols order by 1"


def store_sessions(warehouse: Warehouse) -> int:
    """Write the calendars of the trading exchange and of all that something was ever listed on.

    From 1999 to a year ahead; returns the sessions that were new or changed.
    """
    with warehouse.transaction() as connection:
        listed = [row[0] for row in connection.execute(LISTED_ON).fetchall()]
        return sum(_store(connection, mic) for mic in dict.fromkeys((warehouse.settings.exchange, *listed)))


def _store(connection: psycopg.Connection, mic: str) -> int:
    frame = pl.DataFrame(
        [(mic, s.session, s.open_at, s.close_at, s.is_half_day) for s in all_sessions(mic)],
        schema=["exchange_mic", "session", "open_at", "close_at", "is_half_day"],
        orient="row",
    )
    if _is_stored(connection, frame):
        return 0
    with staged(connection, frame, "reference.sessions") as staging:
        return connection.execute(SESSIONS_IN.format(staging=staging)).rowcount


def _is_stored(connection: psycopg.Connection, frame: pl.DataFrame) -> bool:
    """Whether the stored calendar is the same, by count and sums: the nightly case, decided by one small query."""
    ours = frame.select(
        pl.len(), pl.col("open_at", "close_at").dt.epoch("s").sum(), pl.col("is_half_day").sum().cast(pl.Int64)
    ).row(0)
    row = connection.execute(
        "select count(*), coalesce(sum(extract(epoch from open_at)), 0)::bigint,"
        " coalesce(sum(extract(epoch from close_at)), 0)::bigint, count(*) filter (where is_half_day)"
        " from reference.sessions where exchange_mic = %s and session between %s and %s",
        (frame["exchange_mic"][0], frame["session"].min(), frame["session"].max()),
    ).fetchone()
    return row == ours
