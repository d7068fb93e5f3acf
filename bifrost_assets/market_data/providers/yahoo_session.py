"""yfinance's HTTP, observed: requests go to the configured address at a polite pace, and the answers are kept."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from bifrost_assets.market_data.providers.base import ProviderDown
from bifrost_assets.market_data.providers.politeness import TRANSIENT_STATUS, PoliteCaller, TryAgain, seconds_asked
from bifrost_assets.market_data.providers.spool import Answer, Spool

if TYPE_CHECKING:
    import pandas as pd

    from bifrost_core.settings import Settings

YAHOO = "https://query2.finance.yahoo.com"
CHART = "/v8/finance/chart/"


class Refused(Exception):
    """Yahoo understood the request and says why there is no answer: another try would be refused as well."""


@dataclass(frozen=True, slots=True)
class Charted:
    """yfinance's rows, and the answer that they were read from."""

    rows: pd.DataFrame
    answer: Answer

    @property
    def result(self) -> dict[str, Any]:
        """The answer's `chart.result[0]`: meta, timestamp, events, indicators."""
        return json.loads(self.answer.body)["chart"]["result"][0]  # type: ignore[no-any-return]


class YahooSession:
    """Asks for charts through yfinance, and hands the answers over with what yfinance made of them."""

    def __init__(self, settings: Settings) -> None:
        import yfinance

        self.base = settings.yahoo_url
        self.timeout = settings.provider_timeout_seconds
        self.spool = Spool(settings.home / "spool" / "yahoo")
        self.caller = PoliteCaller(settings, settings.yahoo_url, settings.yahoo_requests_per_second)
        self._answers: dict[str, tuple[int, Answer]] = {}
        self._is_without_cookies = False
        yfinance.config.debug.hide_exceptions = False
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="^yfinance")  # its own, for every symbol
        yfinance.set_tz_cache_location(str(settings.home / "yfinance"))
        self._session = _session(self)
        self._ticker = yfinance.Ticker

    def chart(self, symbol: str, start: datetime, end: datetime, interval: str) -> Charted:
        """Yahoo's bars of `symbol` (its spelling) with start <= time < end, NaN where it has gaps.

        Raises ProviderDown, Refused, or whatever yfinance raises over an answer that it cannot read.
        """
        asked = {"start": start, "end": end, "interval": interval, "timeout": self.timeout}
        try:
            rows = self._fresh(symbol).history(**asked, auto_adjust=False, actions=True, keepna=True)
        except Exception as error:
            status, _ = self._answers.pop(symbol, (200, None))
            if status >= 400:
                raise ProviderDown(f"{self.base} answered {status}", "Try again later") from error
            raise
        return Charted(rows, self._answers.pop(symbol)[1])

    def beside(self, send: Callable[[], Any]) -> Any:
        """The response to a request for cookies: charts go without them, so the first failure is the last try."""
        from curl_cffi.requests.exceptions import ConnectionError, RequestException

        if self._is_without_cookies:
            raise ConnectionError("Yahoo gives no cookies")
        try:
            return send()
        except RequestException:
            self._is_without_cookies = True
            raise

    def keep(self, symbol: str, status: int, answer: Answer) -> None:
        """Remember the answer to a chart request."""
        self._answers[symbol] = status, answer

    def _fresh(self, symbol: str) -> Any:
        """A yfinance Ticker that asks the server, and only for the chart."""
        ticker = self._ticker(symbol, session=self._session)
        ticker._tz = "UTC"  # for its log only; without it yfinance makes a request more, and caches its answer on disk
        type(ticker._data).cache_get.cache_clear()  # holds answers about the past, which vendors correct
        return ticker


def _session(ours: YahooSession) -> Any:
    """The session class that yfinance wants (curl_cffi's, which looks like a browser), redirected and observed."""
    from curl_cffi import requests

    wanted = urlsplit(ours.base)

    class ObservedSession(requests.Session[Any]):
        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            if ours.base != YAHOO:
                url = urlunsplit(urlsplit(url)._replace(scheme=wanted.scheme, netloc=wanted.netloc))
            kwargs["timeout"] = ours.timeout
            send = super().request
            if CHART not in url:
                return ours.beside(lambda: send(method, url, *args, **kwargs))
            request = _request(url, kwargs.get("params") or {})
            response = _response(url, ours.spool.get(request))
            if response is None:
                response = ours.caller.call(lambda: _judged(lambda: send(method, url, *args, **kwargs)))
            answer = Answer(response.headers.get("content-type") or "", bytes(response.content))
            if response.status_code < 400:
                ours.spool.put(request, answer)
            ours.keep(unquote(urlsplit(url).path.rsplit("/", 1)[-1]), response.status_code, answer)
            return response

    return ObservedSession(impersonate="chrome")


def _request(url: str, params: Mapping[str, Any]) -> str:
    """What is asked, without the crumb, which is another one in every process."""
    return f"{url} {sorted((name, str(value)) for name, value in params.items() if name != 'crumb')}"


def _response(url: str, answer: Answer | None) -> Any:
    if answer is None:
        return None
    from curl_cffi.requests import Headers, Response

    response = Response()
    response.url, response.status_code, response.content = url, 200, answer.body
    response.headers = Headers({"content-type": answer.content_type})
    return response


def _judged(send: Callable[[], Any]) -> Any:
    """The response to a chart request; raises TryAgain where it may be better next time, Refused where it will not.

    A status such as 401 is passed on: yfinance then changes its cookies and asks again.
    """
    from curl_cffi.requests.exceptions import RequestException

    try:
        response = send()
    except RequestException as error:
        raise TryAgain(f"does not answer ({' '.join(str(error).split())[:160]})") from error
    if response.status_code in TRANSIENT_STATUS:
        raise TryAgain(f"answered {response.status_code}", seconds_asked(response.headers))
    try:
        chart = json.loads(response.content)["chart"]
    except (ValueError, KeyError, TypeError) as error:
        if response.status_code >= 400:
            return response
        kind = response.headers.get("content-type") or "nothing"
        raise TryAgain(f"sent {kind} that is no chart ({error})") from error
    if chart.get("error"):
        raise Refused(chart["error"].get("description") or "no reason given")
    return response
