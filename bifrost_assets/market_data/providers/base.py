"""What a provider of daily bars is: one Protocol, and the plain data it hands over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

import polars as pl

from bifrost_core.errors import ProviderError
from bifrost_core.provenance import sha256

BAR_SCHEMA: dict[str, type[pl.DataType]] = {
    "session": pl.Date,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "vendor_adj_close": pl.Float64,
}

ACTION_SCHEMA: dict[str, type[pl.DataType]] = {
    "ex_session": pl.Date,
    "kind": pl.String,  # split or cash_dividend
    "value": pl.Float64,  # split: new shares for one old; cash_dividend: cash per share, as paid on the day
}
MINUTE_SCHEMA: dict[str, pl.DataType] = {
    "start_at": pl.Datetime("us", "UTC"),  # when the minute begins
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes a provider sent, as they were sent."""

    subject: str
    content_type: str
    body: bytes

    @property
    def sha256(self) -> str:
        return sha256(self.body)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is traded under a symbol. `listed_from` is the first session with a bar, where the provider says so."""

    symbol: str
    name: str
    asset_class: str
    currency: str
    listed_from: date | None


@dataclass(frozen=True, slots=True)
class SymbolBars:
    """What a provider has of one symbol in a window: unadjusted bars (BAR_SCHEMA), unchecked, and their payload.

    `actions` (ACTION_SCHEMA) is None where the provider names none: they are then read off its adjusted closes.
    `listed_to` is the last session with a bar of a symbol that is no longer traded, where the provider says so.
    """

    symbol: str
    bars: pl.DataFrame
    payload: Payload
    listed_from: date | None
    listed_to: date | None = None
    actions: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class SymbolMinutes:
    """One-minute bars of one symbol (MINUTE_SCHEMA), unadjusted and unchecked, and their payload."""

    symbol: str
    bars: pl.DataFrame
    payload: Payload


@dataclass(frozen=True, slots=True)
class SymbolError:
    """Why a symbol has nothing: one line with the symbol and what to do; `renamed_to` is its symbol now, if another."""

    symbol: str
    problem: str
    is_transient: bool = False
    renamed_to: str | None = None


class ProviderDown(ProviderError):
    """The provider does not answer, or not usefully: the same request may succeed in a moment."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer for every symbol that was asked for: bars or an error, never neither."""

    loaded: tuple[SymbolBars, ...]
    failed: tuple[SymbolError, ...]

    @classmethod
    def of(cls, results: Iterable[SymbolBars | SymbolError]) -> Fetched:
        """Sort the results of the symbols into the two kinds."""
        results = tuple(results)
        return cls(
            tuple(r for r in results if isinstance(r, SymbolBars)),
            tuple(r for r in results if isinstance(r, SymbolError)),
        )


class BarProvider(Protocol):
    """A source of daily bars. A failure of one symbol is that symbol's result, never an exception."""

    name: str
    """Stored with every row."""

    price_unit: float
    """The smallest step in which it publishes adjusted closes, USD: smaller differences are rounding."""

    def latest_session(self, now: datetime | None = None) -> date:
        """The newest session it has, or should have, bars of at `now` (default: the time now)."""
        ...

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        """What the symbols stand for."""
        ...

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        """Bars of the sessions `first` to `last`, both included."""
        ...


@runtime_checkable
class MinuteProvider(Protocol):
    """A provider that has one-minute bars, too."""

    def fetch_minutes(self, symbols: Sequence[str], first: date, last: date) -> Sequence[SymbolMinutes | SymbolError]:
        """One-minute bars of the regular hours of sessions `first` to `last`, one result for every symbol."""
        ...


def empty_bars() -> pl.DataFrame:
    """No bars, in BAR_SCHEMA."""
    return pl.DataFrame(schema=BAR_SCHEMA)
