"""Alpaca's market data over REST: bars as traded, corporate actions, trades and quotes of US shares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

import polars as pl

from bifrost_assets.market_data.providers import alpaca_wire as wire
from bifrost_assets.market_data.providers.alpaca_client import PAGE_MAX, AlpacaClient, Refused
from bifrost_assets.market_data.providers.base import (
    Fetched,
    Listing,
    Payload,
    ProviderDown,
    SymbolBars,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.live import LiveProvider
from bifrost_assets.market_data.providers.regular_hours import in_regular_hours
from bifrost_assets.market_data.providers.spool import Answer
from bifrost_core.calendar import sessions_between
from bifrost_core.errors import ProviderError

if TYPE_CHECKING:
    pass

SYMBOLS_AT_ONCE = 100
MINUTES_A_SESSION = 390
PAID_WITHIN_DAYS = 90  # of the ex date


class AlpacaProvider(LiveProvider):
    """Asks for many symbols at once; what Alpaca says about a portion of them is the payload of each."""

    name = "alpaca"
    price_unit = 1e-4

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        """Names, from the trading API's assets."""
        return {symbol: self._listing(symbol) for symbol in symbols}

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        """Bars of each symbol and its corporate actions."""
        portions = self._portions(symbols, first, last, rows=1)
        return Fetched.of(one for some in portions for one in self._some_bars(some, first, last))

    def fetch_minutes(self, symbols: Sequence[str], first: date, last: date) -> Sequence[SymbolMinutes | SymbolError]:
        """One-minute bars; a symbol without a trade has none."""
        portions = self._portions(symbols, first, last, rows=MINUTES_A_SESSION)
        found = {one.symbol: one for some in portions for one in self._some_minutes(some, first, last)}
        return [found[symbol] for symbol in symbols]

    def fetch_trades(self, symbols: Sequence[str], start_at: datetime, end_at: datetime) -> Iterator[pl.DataFrame]:
        """Trades, see TickProvider."""
        for page in self._client.pages("/v2/stocks/trades", self._between(symbols, start_at, end_at)):
            yield wire.trades(page).filter(pl.col("traded_at") < end_at)

    def fetch_quotes(self, symbols: Sequence[str], start_at: datetime, end_at: datetime) -> Iterator[pl.DataFrame]:
        """Quotes, see TickProvider."""
        for page in self._client.pages("/v2/stocks/quotes", self._between(symbols, start_at, end_at)):
            yield wire.quotes(page).filter(pl.col("quoted_at") < end_at)

    def resuming(self) -> AbstractContextManager[None]:
        """Answers are kept in `<home>/spool/alpaca` until the block ends well; valid for a day and its last session."""
        return self._client.spool.keeping(self.edition())

    @cached_property
    def _client(self) -> AlpacaClient:
        return AlpacaClient(self.settings)

    def _portions(self, symbols: Sequence[str], first: date, last: date, rows: int) -> Iterator[Sequence[str]]:
        """Symbols whose bars of the window fit about one page, `rows` of them a session."""
        expected = max(1, rows * len(sessions_between(self.settings.exchange, first, last)))
        size = max(1, min(SYMBOLS_AT_ONCE, PAGE_MAX // expected))
        for n in range(0, len(symbols), size):
            yield symbols[n : n + size]

    def _some_bars(self, symbols: Sequence[str], first: date, last: date) -> Iterator[SymbolBars | SymbolError]:
        query = {"timeframe": "1Day", "start": first.isoformat(), "end": last.isoformat()}
        refused, valid, pages = self._pages(symbols, query)
        yield from refused
        try:
            acted = self._actions(valid, first) if valid else []
        except ProviderError as error:
            yield from (_failed(symbol, error) for symbol in valid)
            return
        bars, actions, names = wire.daily_bars(pages), wire.actions(acted), wire.renamed(acted)
        payload = _payload([*pages, *acted], valid)
        for symbol in valid:
            own = bars.filter(symbol=symbol).drop("symbol").filter(pl.col("session").is_between(first, last))
            ours = actions.filter(pl.col("symbol") == symbol, pl.col("ex_session").is_between(first, last))
            yield self._answer(
                SymbolBars(symbol, own, payload, None, actions=ours.drop("symbol")), names.get(symbol), last
            )

    def _answer(self, found: SymbolBars, new: tuple[str, str] | None, last: date) -> SymbolBars | SymbolError:
        """`found`, unless the symbol stopped trading under this name before `last`."""
        newest = found.bars["session"].max()
        if newest == last:
            return found
        if new and (newest is None or str(newest) < new[1]):
            return _renamed(found.symbol, *new)
        listing = self._listing(found.symbol)
        if isinstance(listing, Listing):
            return found
        if listing.is_transient or not isinstance(newest, date):
            return listing
        return SymbolBars(found.symbol, found.bars, found.payload, None, newest, found.actions)

    def _some_minutes(self, symbols: Sequence[str], first: date, last: date) -> Iterator[SymbolMinutes | SymbolError]:
        sessions = sessions_between(self.settings.exchange, first, last)
        if not sessions:
            yield from (
                SymbolError(one, f"{first} to {last} has no session: ask for {one} on others") for one in symbols
            )
            return
        query = {"timeframe": "1Min", "start": _iso(sessions[0].open_at), "end": _iso(sessions[-1].close_at)}
        refused, valid, pages = self._pages(symbols, query)
        yield from refused
        bars, payload = wire.minute_bars(pages), _payload(pages, valid)
        for symbol in valid:
            own = bars.filter(symbol=symbol).drop("symbol")
            yield SymbolMinutes(symbol, in_regular_hours(own, self.settings.exchange, first, last), payload)

    def _pages(
        self, symbols: Sequence[str], query: Mapping[str, str]
    ) -> tuple[list[SymbolError], list[str], list[Answer]]:
        """The bars of those symbols that Alpaca does not refuse: it names one, and refuses the rest with it."""
        failed: list[SymbolError] = []
        valid = list(symbols)
        while valid:
            asked = {**query, "symbols": ",".join(valid), "adjustment": "raw", **self._feed}
            try:
                return failed, valid, list(self._client.pages("/v2/stocks/bars", asked))
            except Refused as error:
                if error.invalid_symbol not in valid:
                    return [*failed, *(_failed(symbol, error) for symbol in valid)], [], []
                failed.append(_unknown(error.invalid_symbol))
                valid.remove(error.invalid_symbol)
            except ProviderDown as error:
                return [*failed, *(_failed(symbol, error) for symbol in valid)], [], []
        return failed, [], []

    def _actions(self, symbols: Sequence[str], first: date) -> list[Answer]:
        """What happened to the symbols since `first`, also after the window: it may be a change of name.

        Alpaca filters by the day on which it processes an action: for a dividend that is when it is paid.
        """
        query = {"symbols": ",".join(symbols), "types": ",".join(wire.ACTION_TYPES), "start": first.isoformat()}
        end = datetime.now(UTC).date() + timedelta(days=PAID_WITHIN_DAYS)
        return list(self._client.pages("/v1/corporate-actions", {**query, "end": end.isoformat(), "limit": "1000"}))

    def _between(self, symbols: Sequence[str], start_at: datetime, end_at: datetime) -> dict[str, str]:
        return {"symbols": ",".join(symbols), "start": _iso(start_at), "end": _iso(end_at), **self._feed}

    @property
    def _feed(self) -> dict[str, str]:
        return {"limit": str(PAGE_MAX), "feed": self.settings.alpaca_feed}

    def _listing(self, symbol: str) -> Listing | SymbolError:
        try:
            asset = json.loads(self._client.get(self.settings.alpaca_assets_url, f"/v2/assets/{quote(symbol)}").body)
        except Refused as error:
            return _unknown(symbol) if error.status in {404, 422} else _failed(symbol, error)
        except ProviderDown as error:
            return _failed(symbol, error)
        if asset["status"] != "active":
            return SymbolError(symbol, f"{symbol} is no longer traded, says Alpaca: take it out of BIFROST_UNIVERSE")
        if asset["class"] != "us_equity":
            return SymbolError(symbol, f"Alpaca calls {symbol} {asset['class']}, which is not traded here")
        return Listing(symbol, asset["name"] or symbol, "equity", "USD", None)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _payload(pages: Sequence[Answer], symbols: Sequence[str]) -> Payload:
    """All the answers about a portion of symbols, as one JSON list."""
    body = b"[" + b",".join(page.body for page in pages) + b"]"
    return Payload(",".join(symbols), "application/json", body)


def _failed(symbol: str, error: ProviderError) -> SymbolError:
    return SymbolError(symbol, f"no bars of {symbol}: {error}", isinstance(error, ProviderDown))


def _unknown(symbol: str) -> SymbolError:
    return SymbolError(
        symbol,
        f"Alpaca does not know {symbol}: correct BIFROST_UNIVERSE, or BIFROST_BENCHMARK (a fund: it has no indices)",
    )


def _renamed(old: str, new: str, on: str) -> SymbolError:
    problem = f"{old} has been {new} since {on}: `bifrost reference rename {old} {new} --on {on}`"
    return SymbolError(old, f"{problem}, and put {new} into BIFROST_UNIVERSE", renamed_to=new)


PROVIDER = AlpacaProvider
