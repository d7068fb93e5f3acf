"""Minutes made up so that each session's, rolled up, are the real daily bar of the sample provider: never real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from bifrost_assets.market_data.providers.base import (
    MINUTE_SCHEMA,
    Fetched,
    Payload,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_core.calendar import Session, session_of
from bifrost_core.settings import Settings

AUCTIONS = 0.1  # the share of the day's volume that no minute has
Spoil = Callable[[str, pl.DataFrame], pl.DataFrame]


class GeneratedMinutes(SampleProvider):
    """The sample's daily bars, with generated minutes below them; `spoil` may change those of a symbol."""

    name = "generated"

    def __init__(self, settings: Settings, spoil: Spoil = lambda _, minutes: minutes) -> None:
        super().__init__(settings)
        self.spoil = spoil
        self.asked: list[tuple[tuple[str, ...], date, date]] = []

    def fetch_minutes(self, symbols: Sequence[str], first: date, last: date) -> Sequence[SymbolMinutes | SymbolError]:
        self.asked.append((tuple(symbols), first, last))
        daily: Fetched = self.fetch(symbols, first, last)
        return [*map(self._minutes, daily.loaded), *daily.failed]

    def _minutes(self, one: object) -> SymbolMinutes:
        symbol, bars = one.symbol, one.bars  # type: ignore[attr-defined]
        days = [minutes_of(row, session_of(self.settings.exchange, row["session"])) for row in bars.to_dicts()]
        minutes = self.spoil(symbol, pl.concat(days))
        body = minutes.write_csv().encode()
        return SymbolMinutes(symbol, minutes, Payload(f"{symbol} (generated)", "text/csv", body))


def minutes_of(bar: dict[str, float], session: Session) -> pl.DataFrame:
    """One bar a minute from open to close: to the day's high, to its low, to its close, in straight lines."""
    n = int((session.close_at - session.open_at) / timedelta(minutes=1))
    path = np.interp(range(n + 1), [0, n // 3, 2 * n // 3, n], [bar["open"], bar["high"], bar["low"], bar["close"]])
    opens, closes = path[:-1], path[1:]
    frame = pl.DataFrame(
        {
            "start_at": [session.open_at + timedelta(minutes=k) for k in range(n)],
            "open": opens,
            "high": np.maximum(opens, closes),
            "low": np.minimum(opens, closes),
            "close": closes,
            "volume": np.full(n, bar["volume"] * (1 - AUCTIONS) / n),
        }
    )
    return frame.cast(MINUTE_SCHEMA)  # type: ignore[arg-type]


def at_minute(start_at: datetime, **values: float) -> Spoil:
    """Changes values of the minute that begins at `start_at`, of every symbol."""
    changed = [pl.when(pl.col("start_at") == start_at).then(v).otherwise(pl.col(k)).alias(k) for k, v in values.items()]
    return lambda _, minutes: minutes.with_columns(changed)


def with_universe(settings: Settings, *symbols: str) -> Settings:
    """The same settings for other symbols."""
    return settings.model_copy(update={"universe": symbols})
