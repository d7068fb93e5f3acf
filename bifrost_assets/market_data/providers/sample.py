"""Real daily bars that two packages ship: five US stocks 2000-2013 (`bokeh-sampledata`), the S&P 500 index (`arch`).

Unadjusted prices with the vendor's adjusted close beside them. Their files are read, no code is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from bifrost_assets.market_data.providers.base import BAR_SCHEMA, Fetched, Listing, Payload, SymbolBars, SymbolError
from bifrost_core.calendar import latest_closed
from bifrost_core.errors import ProviderError
from bifrost_core.settings import Settings

LAST_SESSION = date(2013, 3, 1)
INDEX = "SPX"
NAMES = {
    "AAPL": "Apple Inc.",
    "FB": "Facebook, Inc.",
    "GOOG": "Google Inc.",
    "IBM": "International Business Machines Corporation",
    "MSFT": "Microsoft Corporation",
    INDEX: "S&P 500",
}
COLUMNS = {
    "Date": "session",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Adj Close": "vendor_adj_close",
}


class SampleProvider:
    """Answers from the files of the installed packages; it needs no network, and knows nothing after 2013-03-01."""

    name = "sample"
    price_unit = 1e-6

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def latest_session(self, now: datetime | None = None) -> date:
        """2013-03-01, or the last session closed by an earlier `now`."""
        lag = timedelta(minutes=self.settings.availability_lag_minutes)
        return min(LAST_SESSION, latest_closed(self.settings.exchange, now or datetime.now(UTC), lag).session)

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        """Names of the shipped symbols, an error for any other."""
        return {symbol: self._listing(symbol) for symbol in symbols}

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        """Bars of the shipped symbols; raises ProviderError for a window that ends after the last shipped session."""
        if last > LAST_SESSION:
            raise ProviderError(
                f"provider 'sample' has no session after {LAST_SESSION}, and {last} was asked for",
                "Ask for earlier sessions, or set BIFROST_PROVIDER=yahoo for current ones",
            )
        return Fetched.of(self._bars(symbol, first, last) for symbol in symbols)

    def _listing(self, symbol: str) -> Listing | SymbolError:
        if symbol not in NAMES:
            return _unknown(symbol)
        listed_from = _rows(symbol)["session"].min()
        assert isinstance(listed_from, date)
        return Listing(symbol, NAMES[symbol], "index" if symbol == INDEX else "equity", "USD", listed_from)

    def _bars(self, symbol: str, first: date, last: date) -> SymbolBars | SymbolError:
        listing = self._listing(symbol)
        if isinstance(listing, SymbolError):
            return listing
        bars = _rows(symbol).filter(pl.col("session").is_between(first, last))
        return SymbolBars(symbol, bars, _payload(symbol), listing.listed_from)


def _unknown(symbol: str) -> SymbolError:
    known = ", ".join(NAMES)
    return SymbolError(
        symbol,
        f"provider 'sample' has no symbol {symbol} (it has {known}): correct BIFROST_UNIVERSE or use yahoo",
    )


def _file(symbol: str) -> Path:
    package, path = (
        ("arch", "data/sp500/sp500.csv.gz") if symbol == INDEX else ("bokeh_sampledata", "_data/stocks.csv.gz")
    )
    spec = find_spec(package)
    file = Path((spec.submodule_search_locations or [""])[0]) / path if spec else Path()
    if not file.is_file():
        raise ProviderError(f"package {package!r} does not ship {path}", "Install the versions in requirements.lock")
    return file


@lru_cache(maxsize=2)
def _read(file: Path) -> bytes:
    return file.read_bytes()


def _payload(symbol: str) -> Payload:
    file = _file(symbol)
    return Payload(file.name, "application/gzip", _read(file))


@lru_cache(maxsize=len(NAMES))
def _rows(symbol: str) -> pl.DataFrame:
    frame = pl.read_csv(_read(_file(symbol)))
    if symbol != INDEX:
        frame = frame.filter(pl.col("Ticker") == symbol)
    day = "%m/%d/%Y" if symbol == INDEX else "%Y-%m-%d"
    frame = frame.select(*COLUMNS).rename(COLUMNS).with_columns(pl.col("session").str.to_date(day))
    return frame.cast(BAR_SCHEMA).filter(pl.col("session") <= LAST_SESSION).sort("session")  # type: ignore[arg-type]


PROVIDER = SampleProvider
