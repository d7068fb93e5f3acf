"""Instruments, exchange sessions and the universe: what everything else refers to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.providers.base import BarProvider, Listing, SymbolError
from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.bulk import staged

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

UNIVERSE = "default"

SESSIONS_IN = """
    insert into reference.sessions (exchange_mic, session, open_at, close_at, is_half_day)
    select exchange_mic, session, open_at, close_at, is_half_day from {staging}
    on conflict (exchange_mic, session) do update
        set open_at = excluded.open_at, close_at = excluded.close_at, is_half_day = excluded.is_half_day
        where (sessions.open_at, sessions.close_at, sessions.is_half_day)
            is distinct from (excluded.open_at, excluded.close_at, excluded.is_half_day)
"""
INSTRUMENT_IN = """
    insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)
    values (%s, %s, %s, %s, %s) on conflict (symbol) do nothing
"""
LEFT = """
    update reference.universe_members set valid_to = current_date
    where universe = %(universe)s and valid_to is null and valid_from < current_date
        and instrument_id not in (select instrument_id from reference.instruments where symbol = any(%(symbols)s))
"""
JOINED = """
    insert into reference.universe_members (universe, instrument_id, valid_from)
    select %(universe)s, i.instrument_id, greatest(b.session, (  -- greatest skips null: who never left has no end
        select max(m.valid_to) from reference.universe_members m
        where m.universe = %(universe)s and m.instrument_id = i.instrument_id))
    from reference.instruments i
    cross join lateral (
        select session from raw.daily_bars where instrument_id = i.instrument_id order by session limit 1
    ) b
    where i.symbol = any(%(symbols)s)
        and not exists (
            select from reference.universe_members m
            where m.universe = %(universe)s and m.instrument_id = i.instrument_id and m.valid_to is null
        )
    on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """New instruments, and symbols that the provider does not know."""

    added: tuple[str, ...]
    failed: tuple[SymbolError, ...]


def wanted_symbols(settings: Settings) -> tuple[str, ...]:
    """The universe and the benchmark index, each once."""
    return tuple(dict.fromkeys((*settings.universe, settings.benchmark)))


def register_instruments(warehouse: Warehouse, provider: BarProvider) -> Registered:
    """Give every wanted symbol an instrument id; the provider is asked only about new ones."""
    settings = warehouse.settings
    with warehouse.transaction() as connection:
        known = instrument_ids(connection)
        new = [symbol for symbol in wanted_symbols(settings) if symbol not in known]
        answers = provider.listings(new) if new else {}
        found = [answer for answer in answers.values() if isinstance(answer, Listing)]
        rows = [(one.symbol, one.name, one.asset_class, settings.exchange, one.currency) for one in found]
        connection.cursor().executemany(INSTRUMENT_IN, rows)
    failed = tuple(answer for answer in answers.values() if isinstance(answer, SymbolError))
    return Registered(tuple(one.symbol for one in found), failed)


def instrument_ids(connection: psycopg.Connection) -> dict[str, int]:
    """instrument_id by symbol."""
    return dict(connection.execute("select symbol, instrument_id from reference.instruments").fetchall())


def store_sessions(warehouse: Warehouse) -> int:
    """Write the exchange's calendar, past and the coming year; returns the sessions that were new or changed."""
    mic = warehouse.settings.exchange
    frame = pl.DataFrame(
        [(mic, s.session, s.open_at, s.close_at, s.is_half_day) for s in all_sessions(mic)],
        schema=["exchange_mic", "session", "open_at", "close_at", "is_half_day"],
        orient="row",
    )
    with warehouse.transaction() as connection:
        if _calendar_is_stored(connection, frame):
            return 0
        with staged(connection, frame, "reference.sessions") as staging:
            return connection.execute(SESSIONS_IN.format(staging=staging)).rowcount


def _calendar_is_stored(connection: psycopg.Connection, frame: pl.DataFrame) -> bool:
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


def update_universe(connection: psycopg.Connection, symbols: Sequence[str] | Iterable[str]) -> int:
    """Make `symbols` the members of the universe: new ones from their first bar on, missing ones until today."""
    values = {"universe": UNIVERSE, "symbols": list(symbols)}
    left = connection.execute(LEFT, values).rowcount
    return left + connection.execute(JOINED, values).rowcount
