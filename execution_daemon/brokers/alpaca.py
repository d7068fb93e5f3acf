"""Alpaca's trading API v2 behind the broker port; the paper exchange speaks the same.

Nothing here sends an order twice. Reads are tried a few times; `POST` and `DELETE` once. What is not proven is
BrokerUnclear. Alpaca's own fills carry no commission (zero); the paper exchange's do.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bifrost_core.settings import Settings
from execution_daemon.brokers import alpaca_wire as wire
from execution_daemon.brokers.port import (
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerRefused,
    BrokerUnclear,
    Connected,
    ExecKind,
    ExecutionReport,
    LastTrade,
    Side,
    StreamEvent,
)

ALPACA_DATA_URL = "https://data.alpaca.markets"
READ_ATTEMPTS = 3
READ_RETRY_SECONDS = 0.1
ORDERS_PAGE, FILLS_PAGE, PAGES_MAX = 500, 100, 1_000
RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
NAMES_KEPT = 10_000
REFUSING = {400, 403, 422}  # with a code of Alpaca's in the body; anything else may be a proxy talking
DUPLICATE_CODE = 40010001

log = logging.getLogger("bifrost.brokers.alpaca")


class AlpacaBroker:
    """A client of one account. Make it on the event loop that uses it, and `close()` it."""

    def __init__(self, url: str, key: str, secret: str, timeout_seconds: float = 5.0, data_url: str = "") -> None:
        self._url = url.rstrip("/")
        self._data_url = (data_url or _data_url(self._url)).rstrip("/")
        self._credentials = {"key": key, "secret": secret}
        self._timeout_seconds = timeout_seconds
        self._names: OrderedDict[str, str] = OrderedDict()
        self._client = httpx.AsyncClient(
            headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
            timeout=httpx.Timeout(timeout_seconds),
            limits=httpx.Limits(max_connections=16, keepalive_expiry=30.0),
            trust_env=not _is_loopback(self._url),
        )

    @classmethod
    def of(cls, settings: Settings) -> AlpacaBroker:
        """The broker of the settings: the configured one, else the local paper exchange."""
        secrets = settings.secrets
        return cls(settings.trading_url, secrets.broker_key, secrets.broker_secret, settings.send_timeout_seconds)

    @property
    def name(self) -> str:
        """`alpaca`, or `paper` for an exchange on this machine."""
        return "paper" if _is_loopback(self._url) else "alpaca"

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()

    # -- orders -------------------------------------------------------------------------------------------------------

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """POST the order, once."""
        response = await self._once("POST", "/v2/orders", content=json.dumps(wire.order_request(order)))
        if response.is_success:
            state = wire.reading("answer to an order", lambda: wire.order_state(_json(response)))
            if state.client_order_id != order.client_order_id:
                raise BrokerUnclear(f"the broker answered for {state.client_order_id}, not for {order.client_order_id}")
            self._remember(state)
            return wire.report_of(state)
        code, message = _refusal(response)
        if code == DUPLICATE_CODE and _says_duplicate(message):
            return await self._existing(order)
        raise BrokerRefused(await self._rejection(order, message), str(code))

    async def _existing(self, order: BrokerOrder) -> ExecutionReport:
        state = await self.find(order.client_order_id)
        if state is None:
            raise BrokerUnclear(f"the broker says {order.client_order_id} is used, and that it does not have it")
        return wire.report_of(state)

    async def cancel(self, client_order_id: str) -> None:
        """Look the order up, then DELETE it, once."""
        state = await self.find(client_order_id)
        if state is None:
            unknown = ExecutionReport(ExecKind.REJECTED, client_order_id, "", "", Side.BUY, await self._now())
            raise BrokerRefused(replace(unknown, text="order not found"), "40410000")
        response = await self._once("DELETE", f"/v2/orders/{state.broker_order_id}")
        if not response.is_success:
            code, message = _refusal(response)
            raise BrokerRefused(await self._rejection(state, message), str(code))

    async def _rejection(self, order: BrokerOrder | BrokerOrderState, message: str) -> ExecutionReport:
        return ExecutionReport(
            kind=ExecKind.REJECTED,
            client_order_id=order.client_order_id,
            broker_order_id=getattr(order, "broker_order_id", ""),
            symbol=order.symbol,
            side=order.side,
            at=await self._now(),
            text=message,
        )

    async def _now(self) -> datetime:
        """Market time for a refusal, which carries none; this machine's if the broker will not say."""
        try:
            return await self.market_time()
        except BrokerUnclear:
            return datetime.now(UTC)

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """GET the order by the client's id; only a 404 in Alpaca's own form proves that it is not there."""
        params = {"client_order_id": client_order_id}
        response = await self._read("/v2/orders:by_client_order_id", params)
        if response.status_code == httpx.codes.NOT_FOUND and _code(response) is not None:
            return None
        state = wire.reading("order", lambda: wire.order_state(_success(response)))
        self._remember(state)
        return state

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """GET every open order, paged."""
        return await self._orders({"status": "open"})

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """GET every order from `since` on, paged."""
        return await self._orders({"status": "all"} | _after(since))

    async def _orders(self, params: dict[str, str]) -> tuple[BrokerOrderState, ...]:
        found: list[BrokerOrderState] = []
        page = params | {"direction": "asc", "limit": str(ORDERS_PAGE)}
        for _ in range(PAGES_MAX):
            rows = await self._get("/v2/orders", page)
            states = wire.reading("orders", lambda rows=rows: [wire.order_state(row) for row in rows])  # type: ignore[misc]
            found += states
            if len(states) < ORDERS_PAGE:
                for state in found:
                    self._remember(state)
                return tuple(found)
            # Orders may share a submission time, so pages go by id; the API takes no time bound beside it.
            page = {"status": params["status"], "direction": "asc", "limit": str(ORDERS_PAGE)}
            page["after_order_id"] = states[-1].broker_order_id
        raise BrokerUnclear(f"the broker has more than {PAGES_MAX} pages of orders", "Ask for a shorter time")

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """GET every FILL activity from `since` on, paged."""
        found: list[ExecutionReport] = []
        page = {"direction": "asc", "page_size": str(FILLS_PAGE)} | _after(since)
        for _ in range(PAGES_MAX):
            rows = await self._get("/v2/account/activities/FILL", page)
            for row in wire.reading("fills", lambda rows=rows: list(rows)):  # type: ignore[misc]
                name = await self._client_order_id(row)
                found.append(wire.reading("fill", lambda row=row, name=name: wire.fill(row, name)))  # type: ignore[misc]
            if len(rows) < FILLS_PAGE:
                return tuple(found)
            page["page_token"] = rows[-1]["id"]
        raise BrokerUnclear(f"the broker has more than {PAGES_MAX} pages of fills", "Ask for a shorter time")

    async def _client_order_id(self, activity: Mapping[str, Any]) -> str:
        """Activities name the broker's order id only; the paper exchange adds ours."""
        if name := activity.get("client_order_id"):
            return str(name)
        order_id = wire.reading("fill", lambda: str(activity["order_id"]))
        if order_id not in self._names:
            fields = await self._get(f"/v2/orders/{order_id}", {})
            self._remember(wire.reading("order", lambda: wire.order_state(fields)))
        return self._names[order_id]

    def _remember(self, state: BrokerOrderState) -> None:
        self._names[state.broker_order_id] = state.client_order_id
        if len(self._names) > NAMES_KEPT:
            self._names.popitem(last=False)

    # -- account and market -------------------------------------------------------------------------------------------

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """GET the positions."""
        rows = await self._get("/v2/positions", {})
        return wire.reading("positions", lambda: tuple(p for p in map(wire.position, rows) if p.qty))

    async def account(self) -> BrokerAccount:
        """GET the account."""
        fields = await self._get("/v2/account", {})
        return wire.reading("account", lambda: wire.account(fields))

    async def market_time(self) -> datetime:
        """GET the clock."""
        fields = await self._get("/v2/clock", {})
        return wire.reading("clock", lambda: wire.clock(fields))

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """GET the latest trades; no request for no symbols."""
        if not (names := ",".join(symbols)):
            return {}
        fields = await self._get(f"{self._data_url}/v2/stocks/trades/latest", {"symbols": names})
        return wire.reading("latest trades", lambda: wire.last_trades(fields))

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    async def _once(self, method: str, path: str, content: str | None = None) -> httpx.Response:
        try:
            async with asyncio.timeout(self._timeout_seconds):  # httpx bounds each read, not the whole answer
                return await self._client.request(method, self._full(path), content=content, headers=_JSON)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BrokerUnclear(f"{method} {self._full(path)}: {type(error).__name__} {error}".strip()) from error

    async def _read(self, path: str, params: Mapping[str, str]) -> httpx.Response:
        """GET, again after a failure that a moment may mend; the last failure is raised or answered."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    response = await self._client.get(self._full(path), params=dict(params))
                if response.status_code < 500 and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    return response
            except (httpx.HTTPError, TimeoutError) as error:
                if attempt == READ_ATTEMPTS:
                    problem = f"GET {self._full(path)}: {type(error).__name__} {error}".strip()
                    raise BrokerUnclear(problem, "Check that the broker can be reached") from error
            await asyncio.sleep(READ_RETRY_SECONDS * attempt)
        return response

    async def _get(self, path: str, params: Mapping[str, str]) -> Any:
        return _success(await self._read(path, params))

    def _full(self, path: str) -> str:
        return path if path.startswith("http") else self._url + path

    # -- stream -------------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Trade updates for ever. Only refused credentials end it (BrokerUnclear)."""
        failures = 0
        connections = 0
        while True:
            try:
                async with self._connect() as socket:
                    await self._listen(socket)
                    connections += 1
                    yield Connected(connections)
                    failures = 0
                    async for message in socket:
                        if report := _update(message):
                            yield report
            except (OSError, WebSocketException, TimeoutError, _Garbled) as error:
                log.info("trade updates: %s %s", type(error).__name__, error)
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    def _connect(self) -> connect:
        proxy: Literal[True] | None = None if _is_loopback(self._url) else True
        return connect(self._stream_url(), open_timeout=self._timeout_seconds, proxy=proxy)

    async def _listen(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({"action": "auth", **self._credentials}))
        status = (await self._answer(socket, "authorization")).get("status")
        if status != "authorized":
            raise BrokerUnclear(
                f"{self._stream_url()} refused the credentials: {status}", "Check the broker's key and secret"
            )
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        streams = (await self._answer(socket, "listening")).get("streams")
        if not isinstance(streams, list) or "trade_updates" not in streams:
            raise _Garbled(f"listening to {streams!r}, not to trade_updates")

    async def _answer(self, socket: ClientConnection, stream: str) -> Mapping[str, Any]:
        async with asyncio.timeout(self._timeout_seconds):
            message = _message(await socket.recv())
        if message.get("stream") != stream:
            raise _Garbled(f"expected {stream}, got {message.get('stream')!r}")
        data = message.get("data")
        return data if isinstance(data, dict) else {}

    def _stream_url(self) -> str:
        return "ws" + self._url.removeprefix("http") + "/stream"


_JSON = {"Content-Type": "application/json"}


class _Garbled(Exception):
    """A stream message that cannot be read: connect again, so that the caller reads what it said another way."""


def _message(text: str | bytes) -> dict[str, Any]:
    try:
        message = wire.parse(text)
    except ValueError as error:
        raise _Garbled(str(error)) from error
    if not isinstance(message, dict):
        raise _Garbled(f"not an object: {message!r}")
    return message


def _update(text: str | bytes) -> ExecutionReport | None:
    message = _message(text)
    if message.get("stream") != "trade_updates":
        return None
    try:
        return wire.reading("trade update", lambda: wire.trade_update(message["data"]))
    except BrokerUnclear as error:
        raise _Garbled(error.problem) from error


def _json(response: httpx.Response) -> Any:
    return wire.parse(response.content)


def _success(response: httpx.Response) -> Any:
    """The JSON of a successful answer, else BrokerUnclear."""
    if response.is_success:
        return wire.reading("answer", lambda: _json(response))
    where = f"{response.request.method} {response.request.url.path}"
    if response.status_code in (401, 403):
        raise BrokerUnclear(f"{where}: the broker refused the credentials", "Check the broker's key and secret")
    raise BrokerUnclear(f"{where} answered {response.status_code}: {response.text[:200]}", "Try again later")


def _code(response: httpx.Response) -> int | None:
    """Alpaca's error code, if the body is an error of Alpaca's."""
    try:
        body = _json(response)
    except ValueError:
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None


def _refusal(response: httpx.Response) -> tuple[int, str]:
    """Code and message of a proven refusal; BrokerUnclear for every other failure."""
    code = _code(response)
    if code is None or response.status_code not in REFUSING:
        where = f"{response.request.method} {response.request.url.path}"
        raise BrokerUnclear(f"{where} answered {response.status_code}: {response.text[:200]}")
    return code, str(_json(response).get("message", ""))


def _says_duplicate(message: str) -> bool:
    plain = message.lower().replace("_", " ")
    return "client order id" in plain and "unique" in plain


def _after(since: datetime | None) -> dict[str, str]:
    """Alpaca's `after` is exclusive and its ids know milliseconds: begin one earlier."""
    return {} if since is None else {"after": (since.astimezone(UTC) - timedelta(milliseconds=1)).isoformat()}


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _data_url(url: str) -> str:
    return ALPACA_DATA_URL if (urlsplit(url).hostname or "").endswith(".alpaca.markets") else url
