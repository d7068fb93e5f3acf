"""Yahoo's chart API through yfinance, for current prices.

Yahoo's prices are adjusted for splits (not for dividends), so the splits up to today are taken back out: stored bars
are as traded on the day. For that, every fetch reaches to today, whatever its window.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from bifrost_assets.market_data.providers.base import BAR_SCHEMA, Fetched, Listing, Payload, SymbolBars, SymbolError
from bifrost_assets.market_data.providers.yahoo_session import Recorder
from bifrost_core.calendar import latest_closed

if TYPE_CHECKING:
    import pandas as pd

    from bifrost_core.settings import Settings

SYMBOLS = {"SPX": "^GSPC", "NDX": "^NDX", "DJI": "^DJI", "RUT": "^RUT"}  # ours: Yahoo's; others differ by the dot only
ASSET_CLASSES = {"EQUITY": "equity", "ETF": "etf", "INDEX": "index"}
PRICES = ["Open", "High", "Low", "Close"]
PRICE_DIGITS = 4  # Yahoo publishes prices as 32-bit floats: further digits are noise
AT_ONCE_MAX = 4
TIMEOUT_SECONDS = 20


class YahooProvider:
    """Answers from Yahoo, or from the server at `settings.yahoo_url`."""

    name = "yahoo"
    price_unit = 1e-4

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def latest_session(self, now: datetime | None = None) -> date:
        """The last session that closed at least the availability lag ago."""
        lag = timedelta(minutes=self.settings.availability_lag_minutes)
        return latest_closed(self.settings.exchange, now or datetime.now(UTC), lag).session

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        """Names and kinds, from the answers to small price requests."""
        today = datetime.now(UTC).date()
        return dict(zip(symbols, self._each(symbols, lambda s: self._listing(s, today)), strict=True))

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        """Bars of each symbol, a few symbols at a time."""
        return Fetched.of(self._each(symbols, lambda symbol: self._bars(symbol, first, last)))

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.settings)

    def _each(self, symbols: Sequence[str], one: Any) -> list[Any]:
        with ThreadPoolExecutor(AT_ONCE_MAX) as pool:
            return list(pool.map(lambda symbol: self._or_error(symbol, one), symbols))

    def _or_error(self, symbol: str, one: Any) -> Any:
        """What `one` gives for `symbol`, or why it gives nothing: yfinance raises what its parts happen to raise."""
        try:
            return one(symbol)
        except Exception as error:
            return self._recorder.explain(symbol, yahoo_symbol(symbol), error)

    def _listing(self, symbol: str, today: date) -> Listing:
        _, meta = self._history(symbol, today - timedelta(days=10))
        kind = ASSET_CLASSES.get(str(meta.get("instrumentType")))
        if kind is None:
            raise ValueError(f"Yahoo calls it {meta.get('instrumentType')}, which is not traded here")
        name = str(meta.get("longName") or meta.get("shortName") or symbol)
        return Listing(symbol, name, kind, str(meta["currency"]), _listed_from(meta))

    def _bars(self, symbol: str, first: date, last: date) -> SymbolBars:
        history, meta = self._history(symbol, first)
        body, content_type = self._recorder.answer(yahoo_symbol(symbol))
        volume = pl.when(~pl.col("session").is_in(without_volume(body))).then("volume")
        bars = (
            unadjusted(history).filter(pl.col("session").is_between(first, last)).with_columns(volume.alias("volume"))
        )
        return SymbolBars(symbol, bars, Payload(yahoo_symbol(symbol), content_type, body), _listed_from(meta))

    def _history(self, symbol: str, first: date) -> tuple[pd.DataFrame, Mapping[str, Any]]:
        """Yahoo's rows from `first` to now, NaN where it has gaps, and what it says about the symbol."""
        ticker = self._recorder.ticker(yahoo_symbol(symbol))
        history = ticker.history(
            start=first.isoformat(),
            end=(
                datetime.now(UTC).date() + timedelta(days=2)
            ).isoformat(),  # into the future: never from yfinance's cache
            auto_adjust=False,
            actions=True,
            keepna=True,
            timeout=TIMEOUT_SECONDS,
        )
        return history, ticker.get_history_metadata()


def yahoo_symbol(symbol: str) -> str:
    """Yahoo's spelling of one of our symbols."""
    return SYMBOLS.get(symbol, symbol.replace(".", "-"))


def unadjusted(history: pd.DataFrame) -> pl.DataFrame:
    """Yahoo's rows in BAR_SCHEMA, prices and volumes as traded on the day: every later split taken back out."""
    splits = history["Stock Splits"].where(history["Stock Splits"] > 0, 1.0)
    later = splits[::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
    prices = history[PRICES].mul(later, axis=0).round(PRICE_DIGITS)
    columns = {
        "session": [stamp.date() for stamp in history.index],
        **{name.lower(): prices[name].to_list() for name in PRICES},
        "volume": (history["Volume"] / later).round().to_list(),
        "vendor_adj_close": history["Adj Close"].to_list(),
    }
    return pl.DataFrame(columns, schema=BAR_SCHEMA).with_columns(pl.col(pl.Float64).fill_nan(None))


def without_volume(body: bytes) -> list[date]:
    """Sessions whose volume is null in a chart answer: yfinance turns these into 0, which is another thing."""
    result = json.loads(body)["chart"]["result"][0]
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    volumes = result["indicators"]["quote"][0]["volume"]
    stamps = zip(result["timestamp"], volumes, strict=True)
    return [datetime.fromtimestamp(at, zone).date() for at, volume in stamps if volume is None]


def _listed_from(meta: Mapping[str, Any]) -> date | None:
    stamp = meta.get("firstTradeDate")
    if isinstance(stamp, int | float):
        return datetime.fromtimestamp(stamp, UTC).date()
    return stamp.date() if isinstance(stamp, datetime) else None


PROVIDER = YahooProvider
