"""One load of minutes: fetch, sift, keep the evidence, append what is new; a month and some symbols at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.intraday import loads
from bifrost_assets.market_data.intraday.append import LOADERS, Appended, append_minutes
from bifrost_assets.market_data.intraday.rules import in_schema, sift
from bifrost_assets.market_data.providers.base import (
    BarProvider,
    MinuteProvider,
    ProviderDown,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.spool import resuming
from bifrost_assets.market_data.reference import instrument_ids, symbols_in
from bifrost_core.calendar import Session, latest_closed, sessions_between
from bifrost_core.errors import BifrostError, ProviderError
from bifrost_core.warehouse import timeseries

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

MINUTES = "raw.minute_bars"
SYMBOLS_AT_ONCE = 50  # a month of them is 0.4 million rows: what bounds the memory


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: minutes by their fate, rows held back by reason, payloads kept, and symbols without minutes."""

    appended: Appended = field(default_factory=Appended)
    quarantined: Counter[str] = field(default_factory=Counter)
    payloads: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    transient: bool = False

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(
            self.appended + other.appended,
            self.quarantined + other.quarantined,
            self.payloads + other.payloads,
            {**self.failed, **other.failed},
            self.transient or other.transient,
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a provider said of one instrument, readable, and its hash."""

    instrument_id: int
    symbol: str
    minutes: pl.DataFrame
    origin: SymbolMinutes
    content: str


def load_minutes(
    warehouse: Warehouse,
    provider: BarProvider,
    first: date,
    last: date,
    run_id: str,
    log: Callable[[str], None],
    now: datetime | None = None,
) -> Loaded:
    """Load the universe's minutes of the sessions `first` to `last`; each chunk is one transaction, named in `log`.

    A symbol that fails is named in the result. Raises ProviderError where the provider has no minutes at all, or none
    of any symbol in any month; BifrostError where the last session is not over.
    """
    if not isinstance(provider, MinuteProvider):
        raise ProviderError(
            f"provider {provider.name!r} has no one-minute bars",
            "Set BIFROST_PROVIDER to one that has them, such as yahoo or alpaca",
        )
    settings, at = warehouse.settings, now or datetime.now(UTC)
    _ensure_over(settings, last, at)
    sessions = sessions_between(settings.exchange, first, last)
    total = Loaded()
    with warehouse.transaction() as connection:
        wanted = symbols_in(connection, settings.universe, first)
    chunks = list(_chunks(sessions, wanted))
    for n, (days, symbols) in enumerate(chunks, 1):
        timeseries.ensure_partitions(warehouse, days[0].open_at, days[-1].close_at)
        with resuming(provider):
            done = _load_chunk(warehouse, provider, days, symbols, run_id, at)
        if done.appended.inserted:
            timeseries.analyze(warehouse, days[-1].open_at)
        total += done
        window = f"{days[0].session} to {days[-1].session}, {len(symbols)} symbols"
        log(f"minutes {n}/{len(chunks)}: {window}: {_counts(done)}")
    if total.failed and total.appended == Appended() and len(total.failed) == len(wanted):
        raise _all_failed(provider, total)
    return total


def _counts(done: Loaded) -> str:
    one = done.appended
    return f"{one.inserted} new, {one.revised} revised, {one.unchanged} as before, {done.quarantined.total()} held back"


def _ensure_over(settings: Settings, last: date, at: datetime) -> None:
    lag = timedelta(minutes=settings.availability_lag_minutes)
    if (newest := latest_closed(settings.exchange, at, lag).session) < last:
        raise BifrostError(
            f"session {last} is not over: its minutes are not all there", f"Ask for sessions up to {newest}"
        )


def _chunks(
    sessions: Sequence[Session], symbols: Sequence[str]
) -> Iterator[tuple[tuple[Session, ...], tuple[str, ...]]]:
    """Sessions by month of their open, and for each month the symbols in groups."""
    for _, month in groupby(sessions, key=lambda s: (s.open_at.year, s.open_at.month)):
        days = tuple(month)
        for n in range(0, len(symbols), SYMBOLS_AT_ONCE):
            yield days, tuple(symbols[n : n + SYMBOLS_AT_ONCE])


def _all_failed(provider: BarProvider, total: Loaded) -> ProviderError:
    problems = "; ".join(dict.fromkeys(total.failed.values()))
    kind = ProviderDown if total.transient else ProviderError
    return kind(
        f"provider {provider.name!r} has no minutes for any of {', '.join(total.failed)}: {problems}",
        "Check the network, BIFROST_UNIVERSE and how far back the provider's minutes reach",
    )


def _load_chunk(
    warehouse: Warehouse,
    provider: BarProvider,
    sessions: Sequence[Session],
    symbols: Sequence[str],
    run_id: str,
    at: datetime,
) -> Loaded:
    assert isinstance(provider, MinuteProvider)
    fetched = provider.fetch_minutes(symbols, sessions[0].session, sessions[-1].session)
    with warehouse.transaction() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (LOADERS,))
        ids = instrument_ids(connection, sessions[0].session, sessions[-1].session)
        answers, failed = _readable(fetched, ids, sessions)
        before = loads.unchanged(connection, provider.name, sessions, {a.instrument_id: a.content for a in answers})
        known = Loaded(
            Appended(unchanged=sum(one.good_rows for one in before.values())),
            sum((Counter(one.held_rows) for one in before.values()), Counter()),
            failed={one.symbol: one.problem for one in failed},
            transient=any(one.is_transient for one in failed),
        )
        new = [answer for answer in answers if answer.instrument_id not in before]
        return known + _store(warehouse, connection, provider.name, new, sessions, run_id, at) if new else known


def _readable(
    fetched: Sequence[SymbolMinutes | SymbolError], ids: Mapping[str, int], sessions: Sequence[Session]
) -> tuple[list[_Answer], list[SymbolError]]:
    """The answers that are frames of minutes of known instruments, and why the others are not."""
    answers, failed = [], []
    for one in fetched:
        try:
            if isinstance(one, SymbolError):
                failed.append(one)
                continue
            if one.symbol not in ids:
                raise ProviderError(
                    f"{one.symbol} is not in reference.instruments", "Materialize reference/instruments"
                )
            minutes = in_schema(one.bars)
            content = loads.content_of(minutes, sessions)
            answers.append(_Answer(ids[one.symbol], one.symbol, minutes, one, content))
            if minutes.is_empty():
                failed.append(SymbolError(one.symbol, f"the answer for {one.symbol} has no minutes", is_transient=True))
        except ProviderError as error:
            failed.append(SymbolError(one.symbol, str(error)))
    return answers, failed


def _store(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    provider: str,
    answers: Sequence[_Answer],
    sessions: Sequence[Session],
    run_id: str,
    at: datetime,
) -> Loaded:
    """Keep evidence, minutes and the record of the load, in the connection's transaction."""
    symbols = [pl.lit(a.symbol).alias("symbol") for a in answers]
    sifted = sift(
        pl.concat([a.minutes.select(symbol, pl.all()) for a, symbol in zip(answers, symbols, strict=True)]), sessions
    )
    by_symbol = {a.symbol: a for a in answers}
    held = [
        evidence.Held(str(symbol), rows.drop("symbol"), provider, by_symbol[str(symbol)].origin.payload.sha256, MINUTES)
        for (symbol,), rows in sifted.bad.group_by("symbol", maintain_order=True)
    ]
    payloads = evidence.keep_payloads(connection, provider, (a.origin.payload for a in answers))
    evidence.quarantine(connection, held, run_id)
    good = _with_origin(sifted.good, warehouse.settings, provider, answers, sessions)
    appended, changed = append_minutes(warehouse, connection, good, at)
    counts = dict(good["instrument_id"].value_counts().iter_rows())
    reasons = {one.symbol: Counter(one.rows["reason"].to_list()) for one in held}
    outcomes = [
        loads.Outcome(
            a.instrument_id,
            a.content,
            a.origin.payload.sha256,
            counts.get(a.instrument_id, 0),
            changed.get(a.instrument_id, 0),
            reasons.get(a.symbol, {}),
        )
        for a in answers
    ]
    loads.record(connection, provider, sessions, outcomes, at, run_id)
    return Loaded(appended, sum(reasons.values(), Counter()), payloads)


def _with_origin(
    good: pl.DataFrame, settings: Settings, provider: str, answers: Sequence[_Answer], sessions: Sequence[Session]
) -> pl.DataFrame:
    """`good` with instrument ids instead of symbols, when each minute was known, and where it came from."""
    lag = timedelta(minutes=settings.availability_lag_minutes)
    known = pl.DataFrame(
        {"session": [s.session for s in sessions], "available_at": [s.close_at + lag for s in sessions]},
        schema={"session": pl.Date, "available_at": pl.Datetime("us", "UTC")},
    )
    origin = pl.DataFrame(
        [(a.symbol, a.instrument_id, provider, a.origin.payload.sha256) for a in answers],
        schema={"symbol": pl.String, "instrument_id": pl.Int32, "provider": pl.String, "payload_sha256": pl.String},
        orient="row",
    )
    return good.join(known, on="session", how="left").join(origin, on="symbol", how="left").drop("symbol")
