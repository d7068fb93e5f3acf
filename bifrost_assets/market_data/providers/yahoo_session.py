"""yfinance's HTTP, observed: requests go to the configured address, and the bytes of the answers are kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from bifrost_assets.market_data.providers.base import SymbolError

if TYPE_CHECKING:
    from bifrost_core.settings import Settings

YAHOO = "https://query2.finance.yahoo.com"
CHART = "/v8/finance/chart/"
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class Recorder:
    """Hands out yfinance tickers, and remembers the last chart answer of each: (status, content type, body)."""

    def __init__(self, settings: Settings) -> None:
        import yfinance

        self.base = settings.yahoo_url
        self._answers: dict[str, tuple[int, str, bytes]] = {}
        self._lock = threading.Lock()
        yfinance.config.debug.hide_exceptions = False
        yfinance.set_tz_cache_location(str(settings.home / "yfinance"))
        self._session = _session(self)
        self._ticker = yfinance.Ticker

    def ticker(self, symbol: str) -> Any:
        """A fresh yfinance Ticker, whose time zone is known: the exchanges here are American."""
        with self._lock:
            self._answers.pop(symbol, None)
            ticker = self._ticker(symbol, session=self._session)
        ticker._tz = "America/New_York"  # else yfinance makes a request more, and caches its answer on disk
        return ticker

    def answer(self, symbol: str) -> tuple[bytes, str]:
        """Body and content type of the last chart answer about `symbol`."""
        _, content_type, body = self._answers[symbol]
        return body, content_type

    def keep(self, url: str, status: int, content_type: str, body: bytes) -> None:
        """Remember an answer if it is to a chart request."""
        path = urlsplit(url).path
        if CHART in path:
            self._answers[unquote(path.rsplit("/", 1)[-1])] = (status, content_type, body)

    def explain(self, symbol: str, theirs: str, error: Exception) -> SymbolError:
        """One line on why `symbol` failed, from what the server said where it said something."""
        words = " ".join(str(error).split())[:200] or type(error).__name__
        if theirs not in self._answers:
            return SymbolError(
                symbol,
                f"{self.base} does not answer for {symbol} ({words}): check the network or use provider sample",
                is_transient=True,
            )
        status, content_type, body = self._answers[theirs]
        if status == 404:
            return SymbolError(symbol, f"Yahoo does not know {symbol} ({words}): correct BIFROST_UNIVERSE")
        if status >= 400:
            problem = f"{self.base} answered {status} for {symbol}: try again later"
            return SymbolError(symbol, problem, status in TRANSIENT_STATUS)
        if "json" not in content_type or not body.strip().startswith(b"{"):
            problem = f"{self.base} sent {content_type or 'nothing'} for {symbol}, not prices: try again later"
            return SymbolError(symbol, problem, is_transient=True)
        problem = f"the answer for {symbol} cannot be used ({words}): correct BIFROST_UNIVERSE, or try again later"
        return SymbolError(symbol, problem, is_transient=True)


def _session(recorder: Recorder) -> Any:
    """The session class that yfinance wants (curl_cffi's, which looks like a browser), redirected and observed."""
    from curl_cffi import requests

    wanted = urlsplit(recorder.base)

    class ObservedSession(requests.Session[Any]):
        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            if recorder.base != YAHOO:
                url = urlunsplit(urlsplit(url)._replace(scheme=wanted.scheme, netloc=wanted.netloc))
            response = super().request(method, url, *args, **kwargs)
            recorder.keep(
                url, response.status_code, response.headers.get("content-type") or "", bytes(response.content)
            )
            return response

    return ObservedSession(impersonate="chrome")
