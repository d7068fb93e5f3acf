"""A loopback server that speaks Yahoo's chart API, well or badly, as a test asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
Answer = tuple[int, str, bytes]


def at_open(day: date) -> int:
    return int(datetime.combine(day, time(9, 30), NEW_YORK).timestamp())


@dataclass
class Listed:
    """One symbol: rows of (session, open, high, low, close, volume, adjusted close), splits as (session, new, old)."""

    rows: list[tuple[Any, ...]]
    splits: list[tuple[date, int, int]] = field(default_factory=list)
    kind: str = "EQUITY"
    listed: date = date(1990, 1, 2)

    def chart(self, symbol: str) -> dict[str, Any]:
        columns = list(zip(*self.rows, strict=True)) or [()] * 7
        quote = dict(zip(("open", "high", "low", "close", "volume"), map(list, columns[1:6]), strict=True))
        events = {
            str(at_open(day)): {
                "date": at_open(day),
                "numerator": new,
                "denominator": old,
                "splitRatio": f"{new}:{old}",
            }
            for day, new, old in self.splits
        }
        meta = {
            "symbol": symbol,
            "currency": "USD",
            "instrumentType": self.kind,
            "longName": f"{symbol} Incorporated",
            "exchangeTimezoneName": "America/New_York",
            "timezone": "EST",
            "gmtoffset": -18000,
            "firstTradeDate": at_open(self.listed),
            "regularMarketTime": at_open(date(2013, 3, 1)),
            "priceHint": 2,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "max"],
        }
        return {
            "meta": meta,
            "timestamp": [at_open(day) for day in columns[0]],
            "events": {"splits": events} if events else {},
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": list(columns[6])}]},
        }


class YahooServer:
    """Symbols by name; `broken` holds raw answers that replace a symbol's chart."""

    def __init__(self) -> None:
        self.listed: dict[str, Listed] = {}
        self.broken: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.url = ""

    def answer(self, path: str) -> Answer:
        self.asked.append(path)
        if path.startswith("/v1/test/getcrumb"):
            return 200, "text/plain", b"crumb"
        if not path.startswith("/v8/finance/chart/"):
            return 404, "text/html", b"<html></html>"
        symbol = unquote(path.rsplit("/", 1)[-1])
        if symbol in self.broken:
            return self.broken[symbol]
        if symbol not in self.listed:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return 404, "application/json", json.dumps({"chart": {"result": None, "error": error}}).encode()
        chart = {"chart": {"result": [self.listed[symbol].chart(symbol)], "error": None}}
        return 200, "application/json", json.dumps(chart).encode()


def _handler(answer: Callable[[str], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, body = answer(urlsplit(self.path).path)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    return Handler


@contextmanager
def yahoo_server() -> Iterator[YahooServer]:
    """The server on a free loopback port for the length of the block."""
    server = YahooServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server.answer)) as httpd:
        server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield server
        httpd.shutdown()
        thread.join()
