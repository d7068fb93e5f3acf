"""HTTP to Alpaca: every wait is bounded, reads are tried a few times, orders and cancels exactly once.

An answer proves something only with Alpaca's own error code in its body: anything else may be a proxy talking, and is
BrokerUnclear. That holds for 429 too: the limit is counted at a gateway, and nothing says that no order passed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from execution_daemon.brokers import alpaca_wire as wire
from execution_daemon.brokers.port import BrokerUnclear

READ_ATTEMPTS = 3
READ_RETRY_SECONDS = 0.1
CONNECTIONS = 16
REFUSING = {400, 403, 422}
TOO_MANY_REQUESTS = 429
_JSON = {"Content-Type": "application/json"}


class AlpacaHttp:
    """A client of one account's API at `url`. `timeout_seconds` bounds connecting, each read, and each whole answer."""

    def __init__(self, url: str, key: str, secret: str, timeout_seconds: float) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
            timeout=httpx.Timeout(timeout_seconds),
            limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=30.0),
            follow_redirects=False,  # an order must not be sent on to another address
            trust_env=not is_loopback(self.url),
        )

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()

    async def once(self, method: str, path: str, content: str | None = None) -> httpx.Response:
        """Send a request that changes something, once; BrokerUnclear if no answer comes in time."""
        try:
            async with asyncio.timeout(self._timeout_seconds):  # httpx bounds each read, not the whole answer
                return await self._client.request(method, self._full(path), content=content, headers=_JSON)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BrokerUnclear(f"{method} {self._full(path)}: {type(error).__name__} {error}".strip()) from error

    async def get(self, path: str, params: Mapping[str, str]) -> Any:
        """The JSON of a successful answer, numbers exact; else BrokerUnclear."""
        return success(await self.read(path, params))

    async def read(self, path: str, params: Mapping[str, str]) -> httpx.Response:
        """GET, again after a failure that a moment may mend; the last failure is raised or answered."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            wait: float | None = READ_RETRY_SECONDS * attempt
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    response = await self._client.get(self._full(path), params=dict(params))
                if response.status_code < 500 and response.status_code != TOO_MANY_REQUESTS:
                    return response
                wait = self._asked_to_wait(response, attempt)
            except (httpx.HTTPError, TimeoutError) as error:
                if attempt == READ_ATTEMPTS:
                    problem = f"GET {self._full(path)}: {type(error).__name__} {error}".strip()
                    raise BrokerUnclear(problem, "Check that the broker can be reached") from error
            if attempt == READ_ATTEMPTS or wait is None:
                break
            await asyncio.sleep(wait)
        return response

    def _asked_to_wait(self, response: httpx.Response, attempt: int) -> float | None:
        """Seconds before another try: what Retry-After asks for; None if that is longer than anybody waits here."""
        asked = response.headers.get("Retry-After", "")
        seconds = float(asked) if asked.isdecimal() else READ_RETRY_SECONDS * attempt
        return seconds if seconds <= self._timeout_seconds else None

    def _full(self, path: str) -> str:
        return path if path.startswith("http") else self.url + path


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def json_of(response: httpx.Response) -> Any:
    """The body, numbers exact; ValueError if it is no JSON."""
    return wire.parse(response.content)


def success(response: httpx.Response) -> Any:
    """The JSON of a successful answer, else BrokerUnclear."""
    if response.is_success:
        return wire.reading("answer", lambda: json_of(response))
    if response.status_code in (401, 403):
        raise BrokerUnclear(
            f"{_asked(response)}: the broker refused the credentials", "Check the broker's key and secret"
        )
    raise BrokerUnclear(_answered(response), "Try again later")


def code_of(response: httpx.Response) -> int | None:
    """Alpaca's error code, if the body is an error of Alpaca's."""
    try:
        body = json_of(response)
    except ValueError:
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Code and message of a proven refusal; BrokerUnclear for every other failure."""
    code = code_of(response)
    if code is None or response.status_code not in REFUSING:
        raise BrokerUnclear(_answered(response))
    return code, str(json_of(response).get("message", ""))


def _asked(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def _answered(response: httpx.Response) -> str:
    return f"{_asked(response)} answered {response.status_code}: {response.text[:200]}"
