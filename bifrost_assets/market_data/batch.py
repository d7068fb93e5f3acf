"""What a provider answered, made one batch: the good bars of all symbols, the bad rows, and the symbols without any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.bars import in_schema, sift
from bifrost_assets.market_data.evidence import BARS, Held
from bifrost_assets.market_data.loads import Window, late_of
from bifrost_assets.market_data.providers.base import Fetched, SymbolBars, SymbolError
from bifrost_core.calendar import Session, sessions_between
from bifrost_core.errors import ProviderError

if TYPE_CHECKING:
    from bifrost_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Batch:
    """Good bars with instrument_id, available_at, provider and payload_sha256; bad rows; symbols that failed.

    `history` are the good bars from the window's start on, `bars` those of them to be stored.
    """

    history: pl.DataFrame
    bars: pl.DataFrame
    held: tuple[Held, ...]
    failed: tuple[SymbolError, ...]


EMPTY = pl.DataFrame()


def batch_of(
    settings: Settings, fetched: Fetched, ids: Mapping[str, int], window: Window, asked: pl.DataFrame
) -> Batch:
    """Sift what was fetched for `window`.

    Bars of the sessions before `window.first` are stored where an earlier load asked for them (`asked`, of
    loads.asked_before); `is_overlap` marks them. What an earlier load did not get is known late.
    """
    frames, readable, failed = [], [], list(fetched.failed)
    for one in fetched.loaded:
        try:
            frames.append(_read(one, ids))
            readable.append(one)
        except ProviderError as error:
            failed.append(SymbolError(one.symbol, str(error)))
    if not frames:
        return Batch(EMPTY, EMPTY, (), tuple(failed))
    sessions = sessions_between(settings.exchange, window.start, window.last)
    sifted = sift(pl.concat(frames), [s.session for s in sessions], window.last)
    held = tuple(_held(sifted.bad, readable, window, ids, asked))
    history = _with_origin(sifted.good, settings, sessions, readable, window, ids)
    return Batch(history, _to_store(history, window, asked), held, tuple(failed))


def _to_store(history: pl.DataFrame, window: Window, asked: pl.DataFrame) -> pl.DataFrame:
    """The window's bars, and of those before it the ones that were asked for; what was asked for is known late."""
    marked = late_of(history, asked)
    in_window = pl.col("session") >= window.first
    return (
        marked.filter(in_window | pl.col("known_at").is_not_null())
        .with_columns(available_at=pl.max_horizontal("available_at", "known_at"), is_overlap=~in_window)
        .drop("known_at")
    )


def _read(one: SymbolBars, ids: Mapping[str, int]) -> pl.DataFrame:
    if one.symbol not in ids:
        raise ProviderError(f"{one.symbol} is not in reference.instruments", "Materialize reference/instruments first")
    return in_schema(one.bars).select(pl.lit(one.symbol).alias("symbol"), pl.all())


def _held(
    bad: pl.DataFrame, loaded: Sequence[SymbolBars], window: Window, ids: Mapping[str, int], asked: pl.DataFrame
) -> Iterator[Held]:
    """The bad rows of the sessions whose bars would be stored, by symbol."""
    if bad.is_empty():
        return
    ours = bad.with_columns(instrument_id=pl.col("symbol").replace_strict(ids, return_dtype=pl.Int32))
    in_window = (pl.col("session") >= window.first) | pl.col("session").is_null()
    late = late_of(ours.filter(~in_window), asked).drop_nulls("known_at").drop("known_at")
    payloads = {one.symbol: one.payload.sha256 for one in loaded}
    rows = pl.concat([late, ours.filter(in_window)]).drop("instrument_id")
    for (symbol,), own in rows.group_by("symbol", maintain_order=True):
        yield Held(str(symbol), own.drop("symbol"), window.provider, payloads[str(symbol)])


def without_last(batch: Batch, loaded: Sequence[SymbolBars], window: Window, ids: Mapping[str, int]) -> Batch:
    """`batch` with the listed symbols that have no good bar of the window's last session among those that failed."""
    last = window.last
    there = set() if batch.bars.is_empty() else set(batch.bars.filter(pl.col("session") == last)["instrument_id"])
    refused = {one.symbol for one in batch.held if one.source == BARS and (one.rows["session"] == last).any()}
    failed = list(batch.failed)
    known = {one.symbol for one in failed}
    for one in loaded:
        unlisted = last < (one.listed_from or date.min) or last > (one.listed_to or date.max)
        if one.symbol in known or ids.get(one.symbol) in there or unlisted:
            continue
        if one.symbol in refused:
            problem = f"the bar of {one.symbol} for {last} is in quarantine: `bifrost quarantine list` has the reason"
            failed.append(SymbolError(one.symbol, problem))
        else:
            problem = f"the answer for {one.symbol} has no bar for {last}: it was not traded, or the provider is late"
            failed.append(SymbolError(one.symbol, problem, is_transient=True))
    return replace(batch, failed=tuple(failed))


def _with_origin(
    good: pl.DataFrame,
    settings: Settings,
    sessions: Sequence[Session],
    loaded: Sequence[SymbolBars],
    window: Window,
    ids: Mapping[str, int],
) -> pl.DataFrame:
    """`good` with instrument ids instead of symbols, when each bar was known, and where it came from."""
    lag = timedelta(minutes=settings.availability_lag_minutes)
    known = pl.DataFrame(
        {"session": [s.session for s in sessions], "available_at": [s.close_at + lag for s in sessions]},
        schema={"session": pl.Date, "available_at": pl.Datetime("us", "UTC")},
    )
    origin = pl.DataFrame(
        [(one.symbol, ids[one.symbol], window.provider, one.payload.sha256) for one in loaded],
        schema={"symbol": pl.String, "instrument_id": pl.Int32, "provider": pl.String, "payload_sha256": pl.String},
        orient="row",
    )
    return good.join(known, on="session", how="left").join(origin, on="symbol", how="left").drop("symbol")
