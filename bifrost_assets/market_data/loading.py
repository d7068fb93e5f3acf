"""One load of daily bars: fetch, sift, keep the evidence, append what is new. Plain logic, no Dagster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.actions import derive_actions
from bifrost_assets.market_data.bars import Sifted, sift
from bifrost_assets.market_data.providers.base import BarProvider, ProviderDown, SymbolBars
from bifrost_assets.market_data.reference import instrument_ids, update_universe, wanted_symbols
from bifrost_assets.market_data.vintages import Appended, append_vintages
from bifrost_core.calendar import Session, cutoff, latest_closed, sessions_between, shift
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


@dataclass(frozen=True, slots=True)
class _Batch:
    """The good bars of all symbols with ids and payloads (from one session before the window on), and what was held."""

    bars: pl.DataFrame
    held: tuple[evidence.Held, ...]
    failed: dict[str, str]


def load_bars(
    warehouse: Warehouse, provider: BarProvider, first: date, last: date, run_id: str, now: datetime | None = None
) -> Loaded:
    """Load the window's bars and corporate actions of the universe and its benchmark.

    A symbol that fails is named in the result; raises ProviderError where all of them do, or the window is not over.
    """
    settings, at = warehouse.settings, now or datetime.now(UTC)
    _ensure_over(settings, last, at)
    fetched = provider.fetch(wanted_symbols(settings), _session_before(settings, first), last)
    with warehouse.transaction() as connection:
        batch = _sift_all(settings, provider, fetched.loaded, instrument_ids(connection), (first, last))
        payloads = evidence.keep_payloads(connection, provider.name, (one.payload for one in fetched.loaded))
        evidence.quarantine(connection, batch.held, run_id)
    failed = {**{one.symbol: one.problem for one in fetched.failed}, **batch.failed}
    if len(failed) == len(wanted_symbols(settings)):
        raise _all_failed(provider, failed, any(one.is_transient for one in fetched.failed))
    window = batch.bars.filter(pl.col("session") >= first)
    appended = append_vintages(warehouse, window, at)
    with warehouse.transaction() as connection:
        actions = _store_actions(connection, batch.bars, provider, (first, last), at)
        members = update_universe(connection, settings.universe)
    reasons = Counter(reason for held in batch.held for reason in held.rows["reason"])
    return Loaded(appended, actions, members, payloads, dict(reasons), failed)


def _ensure_over(settings: Settings, last: date, at: datetime) -> None:
    lag = timedelta(minutes=settings.availability_lag_minutes)
    if (newest := latest_closed(settings.exchange, at, lag).session) < last:
        known = cutoff(settings.exchange, last, lag)
        raise BifrostError(
            f"session {last} is not over: its bars are known from {known:%Y-%m-%d %H:%M} UTC on",
            f"Ask for sessions up to {newest}",
        )


def _session_before(settings: Settings, first: date) -> date:
    """The session before `first`, whose closes the corporate actions of `first` are read off."""
    return shift(settings.exchange, first, -1).session


def _all_failed(provider: BarProvider, failed: dict[str, str], may_recover: bool) -> ProviderError:
    problems = "; ".join(dict.fromkeys(failed.values()))
    kind = ProviderDown if may_recover else ProviderError
    return kind(
        f"provider {provider.name!r} has no bars for any of {', '.join(failed)}: {problems}",
        "Check the network and BIFROST_UNIVERSE, then run the partition again: nothing was changed",
    )


def _sift_all(
    settings: Settings,
    provider: BarProvider,
    loaded: tuple[SymbolBars, ...],
    ids: dict[str, int],
    window: tuple[date, date],
) -> _Batch:
    sessions = sessions_between(settings.exchange, _session_before(settings, window[0]), window[1])
    frames, held, failed = [], [], {}
    for one in loaded:
        try:
            if one.symbol not in ids:
                raise ProviderError(
                    f"{one.symbol} is not in reference.instruments", "Materialize reference/instruments first"
                )
            sifted = sift(one.bars, [s.session for s in sessions], window[1])
        except ProviderError as error:
            failed[one.symbol] = str(error)
            continue
        bad = sifted.bad.filter((pl.col("session") >= window[0]) | pl.col("session").is_null())
        if not bad.is_empty():
            held.append(evidence.Held(one.symbol, bad, provider.name, one.payload.sha256))
        if problem := _nothing_for(one, sifted, window):
            failed[one.symbol] = problem
        frames.append(
            sifted.good.with_columns(
                instrument_id=pl.lit(ids[one.symbol], dtype=pl.Int32),
                provider=pl.lit(provider.name),
                payload_sha256=pl.lit(one.payload.sha256),
            )
        )
    return _Batch(_with_available_at(settings, sessions, frames), tuple(held), failed)


def _nothing_for(one: SymbolBars, sifted: Sifted, window: tuple[date, date]) -> str | None:
    """Why a listed symbol has no bar of the window's last session, or None where it has, or was not listed yet."""
    if one.listed_from is not None and window[1] < one.listed_from:
        return None
    if window[1] in sifted.good["session"]:
        return None
    if not sifted.bad.filter(pl.col("session") == window[1]).is_empty():
        return f"the bar of {one.symbol} for {window[1]} is in quarantine: see quarantine.rows for the reason"
    return f"the answer for {one.symbol} has no bar for {window[1]}: it was not traded, or the provider is late"


def _with_available_at(settings: Settings, sessions: tuple[Session, ...], frames: list[pl.DataFrame]) -> pl.DataFrame:
    lag = timedelta(minutes=settings.availability_lag_minutes)
    known = pl.DataFrame(
        {"session": [s.session for s in sessions], "available_at": [s.close_at + lag for s in sessions]},
        schema={"session": pl.Date, "available_at": pl.Datetime("us", "UTC")},
    )
    return pl.concat(frames).join(known, on="session", how="left") if frames else pl.DataFrame()


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
