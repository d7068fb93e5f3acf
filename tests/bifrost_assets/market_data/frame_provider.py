"""A source of bars that a test fills by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import polars as pl

from bifrost_assets.market_data.providers.base import (
    BAR_SCHEMA,
    Fetched,
    Listing,
    Payload,
    ProviderDown,
    SymbolBars,
    SymbolError,
)
from bifrost_core.calendar import sessions_between

Row = tuple[date, float, float, float, float, float, float | None]


def flat(session: date, close: float, volume: float = 100.0, adjusted: float | None = None) -> Row:
    """A bar whose four prices are `close`."""
    return (session, close, close, close, close, volume, adjusted if adjusted is not None else close)


class FrameProvider:
    """Bars by symbol; `asked` lists the symbols of every fetch, and the one numbered `dies_at` is never answered."""

    name = "frames"
    price_unit = 1e-6

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        self.rows = {symbol: list(own) for symbol, own in rows.items()}
        self.actions: dict[str, pl.DataFrame] = {}
        self.asked: list[tuple[str, ...]] = []
        self.dies_at: int | None = None

    def latest_session(self, now: datetime | None = None) -> date:
        return max(row[0] for own in self.rows.values() for row in own)

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        return {s: Listing(s, s, "equity", "USD", None) for s in symbols}

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        self.asked.append(tuple(symbols))
        if len(self.asked) == self.dies_at:
            raise ProviderDown("the source hung up", "Try again")
        return Fetched.of(self._bars(symbol, first, last) for symbol in symbols)

    def _bars(self, symbol: str, first: date, last: date) -> SymbolBars | SymbolError:
        if symbol not in self.rows:
            return SymbolError(symbol, f"{symbol} is unknown: correct BIFROST_UNIVERSE")
        bars = pl.DataFrame(self.rows[symbol], schema=BAR_SCHEMA, orient="row")
        bars = bars.filter(pl.col("session").is_between(first, last))
        payload = Payload(symbol, "text/csv", bars.write_csv().encode())
        answer = SymbolBars(symbol, bars, payload, None)
        return replace(answer, actions=self.actions[symbol]) if symbol in self.actions else answer


def days(first: date, last: date) -> list[date]:
    """Sessions of the exchange."""
    return [s.session for s in sessions_between("XNYS", first, last)]
