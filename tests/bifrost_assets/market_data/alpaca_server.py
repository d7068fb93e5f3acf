"""A loopback server that speaks Alpaca's market data API and its assets, well or badly, as a test asks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from tests.bifrost_assets.market_data.vendor_server import Answer, Query, VendorServer, serving

KEYS = {"apca-api-key-id": "key", "apca-api-secret-key": "secret"}
KIND = "application/json; charset=UTF-8"
Row = dict[str, Any]


def day_bar(day: date, close: float = 10.5, volume: int | None = 1000) -> Row:
    """A bar as Alpaca has it: a day begins at midnight in New York."""
    start = datetime.combine(day, time(), ZoneInfo("America/New_York")).astimezone(UTC)
    return bar(start, close, volume)


def bar(start: datetime, close: float = 10.5, volume: int | None = 1000) -> Row:
    stamp = f"{start:%Y-%m-%dT%H:%M:%SZ}"
    return {"c": close, "h": 11, "l": 9, "n": 12, "o": 10, "t": stamp, "v": volume, "vw": 10.2}


class AlpacaServer(VendorServer):
    """`bars` are by time frame and symbol, `ticks` by kind (trades, quotes) and symbol, `actions` by kind.

    `assets` are the known symbols with their status, `invalid` symbols that Alpaca refuses as misspelt; `before` holds
    answers that come first, `broken` one that replaces all of a path.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bars: dict[str, dict[str, list[Row]]] = {"1Day": {}, "1Min": {}}
        self.ticks: dict[str, dict[str, list[Row]]] = {"trades": {}, "quotes": {}}
        self.actions: dict[str, list[Row]] = {}
        self.assets: dict[str, Row] = {}
        self.invalid: set[str] = set()
        self.before: list[Answer] = []
        self.broken: dict[str, Answer] = {}
        self.page_rows = 10_000

    def list_asset(self, symbol: str, **changes: str) -> None:
        """Make a symbol known to the trading API."""
        asset = {"class": "us_equity", "exchange": "NASDAQ", "status": "active", "tradable": True}
        self.assets[symbol] = {**asset, "symbol": symbol, "name": f"{symbol} Inc. Common Stock", **changes}

    def answer(self, path: str, query: Query) -> Answer:
        if any(self.asked[-1].headers.get(name) != value for name, value in KEYS.items()):
            return _refusal(403, "forbidden.")
        if self.before:
            return self.before.pop(0)
        if path in self.broken:
            return self.broken[path]
        if path.startswith("/v2/assets/"):
            asset = self.assets.get(path.rsplit("/", 1)[-1])
            return _json(asset) if asset else _refusal(404, f"asset not found for {path.rsplit('/', 1)[-1]}")
        return self._data(path, query)

    def _data(self, path: str, query: Query) -> Answer:
        symbols = query["symbols"].split(",")
        if bad := [symbol for symbol in symbols if symbol in self.invalid]:
            return _refusal(400, f"invalid symbol: {bad[0]}")
        if path == "/v1/corporate-actions":
            return self._corporate_actions(symbols, query)
        kind = path.rsplit("/", 1)[-1]
        source = self.bars[query["timeframe"]] if kind == "bars" else self.ticks[kind]
        rows = [
            (symbol, row) for symbol in sorted(symbols) for row in source.get(symbol, []) if _within(row["t"], query)
        ]
        page, token = self._page(rows, query)
        shown: dict[str, list[Row]] = {}
        for symbol, row in page:
            shown.setdefault(symbol, []).append(row)
        return _json({kind: shown, "next_page_token": token})

    def _corporate_actions(self, symbols: list[str], query: Query) -> Answer:
        """Those processed in the interval: it is not the ex date that Alpaca filters by."""
        rows = [
            (kind, action)
            for kind, actions in self.actions.items()
            for action in actions
            if {action.get("symbol"), action.get("old_symbol"), action.get("new_symbol")} & set(symbols)
            and query["start"] <= action["process_date"] <= query["end"]
            and kind.removesuffix("s") in query["types"].split(",")
        ]
        page, token = self._page(rows, query)
        shown: dict[str, list[Row]] = {}
        for kind, action in page:
            shown.setdefault(kind, []).append(action)
        return _json({"corporate_actions": shown, "next_page_token": token})

    def _page(self, rows: list[tuple[str, Row]], query: Query) -> tuple[list[tuple[str, Row]], str | None]:
        start = int(base64.b64decode(query["page_token"])) if "page_token" in query else 0
        end = start + min(self.page_rows, int(query.get("limit", "1000")))
        return rows[start:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else None


def _within(stamp: str, query: Query) -> bool:
    """Both ends are included, and a date stands for the whole day in New York."""
    day = len(query["start"]) == len("2013-02-14")
    if not day:
        return query["start"][:19] <= stamp[:19] <= query["end"][:19]
    at = datetime.fromisoformat(stamp).astimezone(ZoneInfo("America/New_York")).date()
    return query["start"] <= at.isoformat() <= query["end"]


def _json(told: object) -> Answer:
    return Answer(200, KIND, json.dumps(told).encode())


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, KIND, json.dumps({"message": message}).encode())


@contextmanager
def alpaca_server() -> Iterator[AlpacaServer]:
    """The server on a free loopback port for the length of the block."""
    server = AlpacaServer()
    with serving(server):
        yield server
