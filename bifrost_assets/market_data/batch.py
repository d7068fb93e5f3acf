"""What a provider answered, made one batch: the good bars of all symbols, the bad rows, and the symbols without any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.bars import Sifted, in_schema, sift
from bifrost_assets.market_data.evidence import Held
from bifrost_assets.market_data.providers.base import Fetched, SymbolBars, SymbolError
from bifrost_core.calendar import Session, sessions_between
from bifrost_core.errors import ProviderError

if TYPE_CHECKING:
    from bifrost_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Batch:
    """Good bars with instrument_id, available_at, provider and payload_sha256; bad rows; symbols that failed."""

    bars: pl.DataFrame
    held: tuple[Held, ...]
    failed: tuple[SymbolError, ...]


def batch_of(
    settings: Settings, provider: str, fetched: Fetched, ids: Mapping[str, int], start: date, window: tuple[date, date]
) -> Batch:
    """Sift what was fetched from session `start` on, for a load of `window` (which `start` may precede)."""
    frames, readable, failed = [], [], list(fetched.failed)
    for one in fetched.loaded:
        try:
            frames.append(_read(one, ids))
            readable.append(one)
        except ProviderError as error:
            failed.append(SymbolError(one.symbol, str(error)))
    if not frames:
        return Batch(pl.DataFrame(), (), tuple(failed))
    sessions = sessions_between(settings.exchange, start, window[1])
    sifted = sift(pl.concat(frames), [s.session for s in sessions], window[1])
    held = tuple(_held(sifted.bad, readable, provider, window[0]))
    failed += _without_last(sifted, readable, window)
    return Batch(_with_origin(sifted.good, settings, sessions, readable, provider, ids), held, tuple(failed))


def _read(one: SymbolBars, ids: Mapping[str, int]) -> pl.DataFrame:
    if one.symbol not in ids:
        raise ProviderError(f"{one.symbol} is not in reference.instruments", "Materialize reference/instruments first")
    return in_schema(one.bars).select(pl.lit(one.symbol).alias("symbol"), pl.all())


def _held(bad: pl.DataFrame, loaded: Sequence[SymbolBars], provider: str, first: date) -> Iterator[Held]:
    """The bad rows of the window by symbol; those of the session before it were that session's business."""
    ours = bad.filter((pl.col("session") >= first) | pl.col("session").is_null())
    payloads = {one.symbol: one.payload.sha256 for one in loaded} if ours.height else {}
    for (symbol,), rows in ours.group_by("symbol", maintain_order=True):
        yield Held(str(symbol), rows.drop("symbol"), provider, payloads[str(symbol)])


def _without_last(sifted: Sifted, loaded: Sequence[SymbolBars], window: tuple[date, date]) -> list[SymbolError]:
    """The listed symbols that have no good bar of the window's last session, each with the reason."""
    last = window[1]
    there = set(sifted.good.filter(pl.col("session") == last)["symbol"])
    refused = set(sifted.bad.filter(pl.col("session") == last)["symbol"])
    failed = []
    for one in loaded:
        if one.symbol in there or (one.listed_from is not None and last < one.listed_from):
            continue
        if one.symbol in refused:
            problem = f"the bar of {one.symbol} for {last} is in quarantine: quarantine.rows has the reason"
            failed.append(SymbolError(one.symbol, problem))
        else:
            problem = f"the answer for {one.symbol} has no bar for {last}: it was not traded, or the provider is late"
            failed.append(SymbolError(one.symbol, problem, is_transient=True))
    return failed


def _with_origin(
    good: pl.DataFrame,
    settings: Settings,
    sessions: Sequence[Session],
    loaded: Sequence[SymbolBars],
    provider: str,
    ids: Mapping[str, int],
) -> pl.DataFrame:
    """`good` with instrument ids instead of symbols, when each bar was known, and where it came from."""
    lag = timedelta(minutes=settings.availability_lag_minutes)
    known = pl.DataFrame(
        {"session": [s.session for s in sessions], "available_at": [s.close_at + lag for s in sessions]},
        schema={"session": pl.Date, "available_at": pl.Datetime("us", "UTC")},
    )
    origin = pl.DataFrame(
        [(one.symbol, ids[one.symbol], provider, one.payload.sha256) for one in loaded],
        schema={"symbol": pl.String, "instrument_id": pl.Int32, "provider": pl.String, "payload_sha256": pl.String},
        orient="row",
    )
    return good.join(known, on="session", how="left").join(origin, on="symbol", how="left").drop("symbol")
