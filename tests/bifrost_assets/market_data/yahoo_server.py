"""A loopback server that speaks Yahoo's chart API, well or badly, as a test asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from tests.bifrost_assets.market_data.vendor_server import Answer, Query, VendorServer, serving

CHART = "/v8/finance/chart/"
NEW_YORK = "America/New_York"
MINUTES_TOO_OLD = "The requested range must be within the last 30 days."
MINUTES_TOO_MANY = "Only 8 days worth of 1m granularity data are allowed to be fetched per request."


def at_open(day: date, zone: str = NEW_YORK) -> int:
    opens = time(9, 30) if zone == NEW_YORK else time(8)
    return int(datetime.combine(day, opens, ZoneInfo(zone)).timestamp())


@dataclass
class Listed:
    """One symbol: rows of (session, open, high, low, close, volume, adjusted close), splits as (session, new, old).

    `dividends` are (session, amount) or (session, amount, currency), `minutes` rows of (start in UTC, open, high, low,
    close, volume), `traded_to` the last day with a trade where that is not today.
    """

    rows: list[tuple[Any, ...]]
    splits: list[tuple[date, int, int]] = field(default_factory=list)
    kind: str = "EQUITY"
    listed: date = date(1990, 1, 2)
    dividends: list[tuple[Any, ...]] = field(default_factory=list)
    minutes: list[tuple[Any, ...]] = field(default_factory=list)
    currency: str = "USD"
    zone: str = NEW_YORK
    traded_to: date | None = None
    renamed_to: str | None = None

    def chart(self, symbol: str, query: Query) -> dict[str, Any]:
        first, last = (int(query.get(name, default)) for name, default in (("period1", "0"), ("period2", "9999999999")))
        minutely = query.get("interval") == "1m"
        source = self.minutes if minutely else self.rows
        at = [(int(row[0].timestamp()) if minutely else at_open(row[0], self.zone), row) for row in source]
        shown = [(stamp, row) for stamp, row in at if first <= stamp < last]
        if not (shown or minutely or self.traded_to):  # there is always a price of today
            shown = at[-1:]
        return {
            "meta": self._meta(symbol, minutely, [stamp for stamp, _ in shown]),
            **self._columns([row for _, row in shown], [stamp for stamp, _ in shown], minutely),
            **self._events(first, last),
        }

    def _columns(self, rows: list[tuple[Any, ...]], stamps: list[int], minutely: bool) -> dict[str, Any]:
        if not rows:
            return {"indicators": {"quote": [{}], "adjclose": [{}]}}
        names = ("open", "high", "low", "close", "volume")
        columns = list(zip(*rows, strict=True))
        indicators: dict[str, Any] = {"quote": [{name: list(columns[n + 1]) for n, name in enumerate(names)}]}
        if not minutely:
            indicators["adjclose"] = [{"adjclose": list(columns[6])}]
        return {"timestamp": stamps, "indicators": indicators}

    def _events(self, first: int, last: int) -> dict[str, Any]:
        splits = {
            str(at_open(day, self.zone)): {
                "date": at_open(day, self.zone),
                "numerator": new,
                "denominator": old,
                "splitRatio": f"{new}:{old}",
            }
            for day, new, old in self.splits
        }
        dividends = {
            str(at_open(day, self.zone)): {"amount": amount, "date": at_open(day, self.zone)}
            | ({"currency": currency[0]} if currency else {})
            for day, amount, *currency in self.dividends
        }
        kinds = {"splits": splits, "dividends": dividends}
        events = {
            kind: {stamp: event for stamp, event in those.items() if first <= int(stamp) < last}
            for kind, those in kinds.items()
        }
        shown = {kind: those for kind, those in events.items() if those}
        return {"events": shown} if shown else {}

    def _meta(self, symbol: str, minutely: bool, stamps: list[int]) -> dict[str, Any]:
        traded = self.traded_to or datetime.now(UTC).date()
        meta: dict[str, Any] = {
            "symbol": self.renamed_to or symbol,
            "currency": self.currency,
            "exchangeName": "NMS",
            "instrumentType": self.kind,
            "longName": f"{symbol} Incorporated",
            "exchangeTimezoneName": self.zone,
            "timezone": "EST",
            "gmtoffset": -18000,
            "firstTradeDate": at_open(self.listed, self.zone),
            "regularMarketTime": at_open(traded, self.zone),
            "hasPrePostMarketData": True,
            "priceHint": 2,
            "dataGranularity": "1m" if minutely else "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "max"],
        }
        if minutely:
            days = sorted({datetime.fromtimestamp(stamp, ZoneInfo(self.zone)).date() for stamp in stamps})
            meta["tradingPeriods"] = [[self._hours(day)] for day in days]
        return meta

    def _hours(self, day: date) -> dict[str, Any]:
        opens = at_open(day, self.zone)
        closes = int(datetime.combine(day, time(16), ZoneInfo(self.zone)).timestamp())
        return {"timezone": "EST", "start": opens, "end": closes, "gmtoffset": -18000}


class YahooServer(VendorServer):
    """Symbols by name; `broken` holds answers that replace a symbol's chart, `before` those that come before it.

    `cookies` is the answer to everything else that yfinance asks for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.listed: dict[str, Listed] = {}
        self.broken: dict[str, Answer] = {}
        self.before: dict[str, list[Answer]] = {}
        self.cookies = Answer(200, "text/plain", b"crumb")

    def charts_asked(self, symbol: str | None = None) -> list[str]:
        """The symbols of the chart requests so far, or those for one symbol."""
        symbols = [unquote(one.path.removeprefix(CHART)) for one in self.asked if one.path.startswith(CHART)]
        return [one for one in symbols if symbol in (None, one)]

    def answer(self, path: str, query: Query) -> Answer:
        if not path.startswith(CHART):
            return self.cookies
        symbol = unquote(path.removeprefix(CHART))
        if scripted := self.before.get(symbol):
            return scripted.pop(0)
        return self.broken.get(symbol) or self.chart(symbol, query)

    def chart(self, symbol: str, query: Query) -> Answer:
        """What Yahoo says about a symbol when all is well with the server."""
        if symbol not in self.listed:
            return _error(404, "Not Found", "No data found, symbol may be delisted")
        if query.get("interval") == "1m" and (refusal := _too_wide(query)):
            return _error(422, "Unprocessable Entity", refusal)
        chart = self.listed[symbol].chart(symbol, query)
        if "timestamp" not in chart and self.listed[symbol].traded_to:
            period = f"startDate = {query['period1']}, endDate = {query['period2']}"
            return _error(400, "Bad Request", f"Data doesn't exist for {period}")
        return Answer(body=json.dumps({"chart": {"result": [chart], "error": None}}).encode())


def _too_wide(query: Query) -> str | None:
    first, last = (datetime.fromtimestamp(int(query[name]), UTC) for name in ("period1", "period2"))
    about = f"1m data not available for startTime={query['period1']} and endTime={query['period2']}. "
    if first < datetime.now(UTC) - timedelta(days=30):
        return about + MINUTES_TOO_OLD
    return about + MINUTES_TOO_MANY if last - first > timedelta(days=8) else None


def _error(status: int, code: str, description: str) -> Answer:
    error: Mapping[str, Any] = {"chart": {"result": None, "error": {"code": code, "description": description}}}
    return Answer(status, "application/json", json.dumps(error).encode())


@contextmanager
def yahoo_server() -> Iterator[YahooServer]:
    """The server on a free loopback port for the length of the block."""
    server = YahooServer()
    with serving(server):
        yield server
