"""One load of daily bars: fetch, sift, keep the evidence, append what is new. Plain logic, no Dagster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.actions import derive_actions
from bifrost_assets.market_data.batch import batch_of
from bifrost_assets.market_data.providers.base import BarProvider, ProviderDown, SymbolError
from bifrost_assets.market_data.reference import instrument_ids, update_universe, wanted_symbols
from bifrost_assets.market_data.vintages import Appended, append_vintages
from bifrost_core.calendar import cutoff, latest_closed, shift
from bifrost_core.errors import BifrostError, ProviderError

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

ACTIONS_NOW = """
    select instrument_id, ex_session, kind, price_factor from raw.corporate_actions_as_of()
    where ex_session between %s and %s
"""
ACTION_IN = """
    insert into raw.corporate_actions
        (instrument_id, ex_session, kind, price_factor, ingested_at, available_at, provider, payload_sha256)
    values (%s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, symbol by symbol where something was wrong."""

    appended: Appended
    actions: int
    members: int
    payloads: int
    quarantined: dict[str, int]
    failed: dict[str, str] = field(default_factory=dict)


def load_bars(
    warehouse: Warehouse, provider: BarProvider, first: date, last: date, run_id: str, now: datetime | None = None
) -> Loaded:
    """Load the window's bars and corporate actions of the universe and its benchmark.

    A symbol that fails is named in the result; raises ProviderError where all of them do, or the window is not over.
    """
    settings, at, window = warehouse.settings, now or datetime.now(UTC), (first, last)
    _ensure_over(settings, last, at)
    start = shift(settings.exchange, first, -1).session  # actions of `first` are read off the closes of the one before
    fetched = provider.fetch(wanted_symbols(settings), start, last)
    with warehouse.transaction() as connection:
        batch = batch_of(settings, provider.name, fetched, instrument_ids(connection), start, window)
        payloads = evidence.keep_payloads(connection, provider.name, (one.payload for one in fetched.loaded))
        evidence.quarantine(connection, batch.held, run_id)
    if len(batch.failed) == len(wanted_symbols(settings)):
        raise _all_failed(provider, batch.failed)
    appended = append_vintages(warehouse, batch.bars.filter(pl.col("session") >= first), at)
    with warehouse.transaction() as connection:
        actions = _store_actions(connection, batch.bars, provider, window, at)
        members = update_universe(connection, settings.universe)
    reasons = Counter(reason for held in batch.held for reason in held.rows["reason"])
    failed = {one.symbol: one.problem for one in batch.failed}
    return Loaded(appended, actions, members, payloads, dict(reasons), failed)


def _ensure_over(settings: Settings, last: date, at: datetime) -> None:
    lag = timedelta(minutes=settings.availability_lag_minutes)
    if (newest := latest_closed(settings.exchange, at, lag).session) < last:
        known = cutoff(settings.exchange, last, lag)
        raise BifrostError(
            f"session {last} is not over: its bars are known from {known:%Y-%m-%d %H:%M} UTC on",
            f"Ask for sessions up to {newest}",
        )


def _all_failed(provider: BarProvider, failed: Sequence[SymbolError]) -> ProviderError:
    problems = "; ".join(dict.fromkeys(one.problem for one in failed))
    kind = ProviderDown if any(one.is_transient for one in failed) else ProviderError
    return kind(
        f"provider {provider.name!r} has no bars for any of {', '.join(one.symbol for one in failed)}: {problems}",
        "Check the network and BIFROST_UNIVERSE, then run the partition again: no good row was lost",
    )


def _store_actions(
    connection: psycopg.Connection,
    bars: pl.DataFrame,
    provider: BarProvider,
    window: tuple[date, date],
    at: datetime,
) -> int:
    """Store actions of the window that are new or other than stored; one that is gone gets a vintage with factor 1."""
    found = derive_actions(bars, provider.price_unit)
    stored = {row[:3]: row[3] for row in connection.execute(ACTIONS_NOW, window).fetchall()}
    facts = _facts_of(bars, [*stored, *(row[:3] for row in found.iter_rows())])
    new = {row[:3]: row[3] for row in found.iter_rows() if abs(stored.get(row[:3], 1.0) - row[3]) > row[4] + 1e-9}
    seen = {row[:3] for row in found.iter_rows()}
    gone = {key: 1.0 for key, factor in stored.items() if key not in seen and key[:2] in facts and factor != 1.0}
    rows = []
    for key, factor in (new | gone).items():
        available_at, payload = facts[key[:2]]
        known = max(available_at, at) if key in stored else available_at
        rows.append((*key, factor, at, known, provider.name, payload))
    connection.cursor().executemany(ACTION_IN, rows)
    return len(rows)


def _facts_of(bars: pl.DataFrame, keys: list[tuple[Any, ...]]) -> dict[tuple[int, date], tuple[datetime, str]]:
    """When the bars of these (instrument_id, session, ...) were known, and the payload each came from."""
    wanted = pl.DataFrame(
        [key[:2] for key in keys], schema={"instrument_id": pl.Int32, "session": pl.Date}, orient="row"
    )
    rows = bars.join(wanted, on=["instrument_id", "session"], how="semi")
    columns = ("instrument_id", "session", "available_at", "payload_sha256")
    return {row[:2]: row[2:] for row in rows.select(columns).iter_rows()}
