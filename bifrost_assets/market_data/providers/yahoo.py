"""Yahoo's chart API through yfinance, for current prices. Every fetch reaches to today, where the splits are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from bifrost_assets.market_data.providers.base import (
    Fetched,
    Listing,
    Payload,
    ProviderDown,
    SymbolBars,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.currencies import major_unit
from bifrost_assets.market_data.providers.live import LiveProvider
from bifrost_assets.market_data.providers.regular_hours import in_regular_hours
from bifrost_assets.market_data.providers.yahoo_chart import actions_of, daily_bars, date_of, minute_bars, splits_of
from bifrost_assets.market_data.providers.yahoo_session import Charted, Refused, YahooSession
from bifrost_core.calendar import Session, sessions_between

if TYPE_CHECKING:
    pass

T = TypeVar("T")

SYMBOLS = {"SPX": "^GSPC", "NDX": "^NDX", "DJI": "^DJI", "RUT": "^RUT"}  # ours: Yahoo's; others differ by the dot only
ASSET_CLASSES = {"EQUITY": "equity", "ETF": "etf", "INDEX": "index"}
AT_ONCE_MAX = 4
GONE_AFTER_SESSIONS = 10  # without a trade: longer than any halt of a stock that came back in the ordinary way
MINUTE_DAYS = 29  # Yahoo has minutes of the last 30 days; the first of them ends while it is asked for
MINUTE_DAYS_AT_ONCE = 7


class Unusable(Exception):
    """The answer is whole, and says that there is nothing for us. `renamed_to` as in SymbolError."""

    def __init__(self, problem: str, renamed_to: str | None = None) -> None:
        super().__init__(problem)
        self.renamed_to = renamed_to


class YahooProvider(LiveProvider):
    """Answers from Yahoo, or from the server at `settings.yahoo_url`."""

    name = "yahoo"
    price_unit = 1e-4

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        """Names and kinds, from the answers to small price requests."""
        return dict(zip(symbols, self._each(symbols, self._listing), strict=True))

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        """Bars of each symbol, a few symbols at a time."""
        return Fetched.of(self._each(symbols, lambda symbol: self._bars(symbol, first, last)))

    def fetch_minutes(self, symbols: Sequence[str], first: date, last: date) -> Sequence[SymbolMinutes | SymbolError]:
        """One-minute bars of sessions of the last 29 days; an error for every symbol where `first` is older."""
        oldest = datetime.now(UTC).date() - timedelta(days=MINUTE_DAYS)
        if first < oldest:
            problem = f"Yahoo has one-minute bars of the last 30 days only: ask for {{}} from {oldest} on, not {first}"
            return [SymbolError(symbol, problem.format(symbol)) for symbol in symbols]
        return self._each(symbols, lambda symbol: self._minutes(symbol, first, last))

    def resuming(self) -> AbstractContextManager[None]:
        """Answers are kept in `<home>/spool/yahoo` until the block ends well; valid for a day and its last session."""
        return self._session.spool.keeping(self.edition())

    @cached_property
    def _session(self) -> YahooSession:
        return YahooSession(self.settings)

    def _each(self, symbols: Sequence[str], one: Callable[[str], T]) -> list[T | SymbolError]:
        _ = self._session  # made before there are threads
        with ThreadPoolExecutor(AT_ONCE_MAX) as pool:
            return list(pool.map(lambda symbol: self._or_error(symbol, one), symbols))

    def _or_error(self, symbol: str, one: Callable[[str], T]) -> T | SymbolError:
        """What `one` gives for `symbol`, or why it gives nothing: yfinance raises what its parts happen to raise."""
        try:
            return one(symbol)
        except Exception as error:
            return _explained(symbol, error)

    def _listing(self, symbol: str) -> Listing:
        result = self._daily(symbol, datetime.now(UTC).date() - timedelta(days=10)).result
        meta = result["meta"]
        kind = ASSET_CLASSES.get(str(meta.get("instrumentType")))
        if kind is None:
            raise Unusable(f"Yahoo calls {symbol} {meta.get('instrumentType')}, which is not traded here")
        name = str(meta.get("longName") or meta.get("shortName") or symbol)
        return Listing(symbol, name, kind, major_unit(meta["currency"])[0], date_of(result, "firstTradeDate"))

    def _bars(self, symbol: str, first: date, last: date) -> SymbolBars:
        chart = self._daily(symbol, first)
        result = chart.result
        bars = daily_bars(chart, major_unit(result["meta"]["currency"])[1])
        actions = actions_of(result)
        return SymbolBars(
            symbol,
            bars.filter(pl.col("session").is_between(first, last)),
            Payload(yahoo_symbol(symbol), chart.answer.content_type, chart.answer.body),
            listed_from=date_of(result, "firstTradeDate"),
            listed_to=self._listed_to(date_of(result, "regularMarketTime")),
            actions=None if actions is None else actions.filter(pl.col("ex_session").is_between(first, last)),
        )

    def _minutes(self, symbol: str, first: date, last: date) -> SymbolMinutes:
        known = self._daily(symbol, first).result  # a split after the window is not in the window's answer
        divisor = major_unit(known["meta"]["currency"])[1]
        sessions = sessions_between(self.settings.exchange, first, last)
        charts = [self._week(symbol, week) for week in _weeks(sessions)]
        if not charts:
            raise Unusable(f"{first} to {last} has no session: ask for {symbol} on days with trading")
        bars = pl.concat([minute_bars(chart, splits_of(known), divisor) for chart in charts])
        bodies = [chart.answer.body for chart in charts]
        body = bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
        payload = Payload(yahoo_symbol(symbol), charts[0].answer.content_type, body)
        return SymbolMinutes(symbol, in_regular_hours(bars, self.settings.exchange, first, last), payload)

    def _daily(self, symbol: str, first: date) -> Charted:
        """Yahoo's rows from `first` (or the day before) to now."""
        start = datetime.combine(first, time(), UTC) - timedelta(days=1)
        today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
        chart = self._session.chart(yahoo_symbol(symbol), start, today + timedelta(days=2), "1d")
        theirs = str(chart.result["meta"]["symbol"])
        if theirs.upper() != yahoo_symbol(symbol).upper():
            new = our_symbol(theirs)
            raise Unusable(
                f"Yahoo answers for {symbol} with {new}, its new symbol: "
                f"`bifrost reference rename {symbol} {new} --on DATE`, and put {new} into BIFROST_UNIVERSE",
                renamed_to=new,
            )
        return chart

    def _week(self, symbol: str, sessions: Sequence[Session]) -> Charted:
        return self._session.chart(yahoo_symbol(symbol), sessions[0].open_at, sessions[-1].close_at, "1m")

    def _listed_to(self, traded: date | None) -> date | None:
        """`traded`, the day of the last trade, if that is too long ago for a symbol that is still listed."""
        if traded is None:
            return None
        missed = sessions_between(self.settings.exchange, traded + timedelta(days=1), self.latest_session())
        return traded if len(missed) > GONE_AFTER_SESSIONS else None


def yahoo_symbol(symbol: str) -> str:
    """Yahoo's spelling of one of our symbols."""
    return SYMBOLS.get(symbol, symbol.replace(".", "-"))


def our_symbol(theirs: str) -> str:
    """Our spelling of one of Yahoo's symbols."""
    return {yahoo: ours for ours, yahoo in SYMBOLS.items()}.get(theirs, theirs.replace("-", "."))


def _weeks(sessions: Sequence[Session]) -> Iterator[list[Session]]:
    """The sessions in portions that Yahoo answers in one request."""
    for _, some in groupby(sessions, lambda s: (s.session - sessions[0].session).days // MINUTE_DAYS_AT_ONCE):
        yield list(some)


def _explained(symbol: str, error: Exception) -> SymbolError:
    """One line on why `symbol` has nothing, and what to do."""
    if isinstance(error, ProviderDown):
        return SymbolError(symbol, f"no bars of {symbol}: {error}", is_transient=True)
    if isinstance(error, Unusable):
        return SymbolError(symbol, str(error), renamed_to=error.renamed_to)
    if isinstance(error, Refused) and str(error).startswith("No data found"):
        return SymbolError(symbol, f"Yahoo does not know {symbol} ({error}): correct BIFROST_UNIVERSE")
    if isinstance(error, Refused):
        problem = f"Yahoo has no bars of {symbol} in the window ({error}): it is no longer, or not yet, traded"
        return SymbolError(symbol, f"{problem}; take it out of BIFROST_UNIVERSE, or ask for other sessions")
    words = " ".join(str(error).split())[:200] or type(error).__name__
    problem = f"the answer for {symbol} cannot be used ({words}): correct BIFROST_UNIVERSE, or try again later"
    return SymbolError(symbol, problem, is_transient=True)


PROVIDER = YahooProvider
