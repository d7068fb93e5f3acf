"""Alpaca's `trade_updates`: one websocket at a time, connected again whenever it is not proven to be alive.

A stream can die in three ways, and each is found:

- closed or unreadable: the connection ends, or a message cannot be read;
- half-open: the peer is gone and nobody says so; a ping is not answered within `timeout_seconds`;
- silent: pings are answered, and nothing is said any more. Every `proof_seconds` the newest order and the newest
  execution of the account are read; one that came after the stream began and has not been heard `timeout_seconds`
  later proves that the stream is dead.

Nothing is lost with a connection: `Connected` follows, and whoever listens reads fills and orders then.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from execution_daemon.brokers import alpaca_wire as wire
from execution_daemon.brokers.alpaca_http import is_loopback
from execution_daemon.brokers.port import BrokerUnclear, Connected, ExecutionReport, StreamEvent

RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
PING_SECONDS = 5.0
PROOF_SECONDS = 30.0
CLOSE_SECONDS = 1.0
BACKLOG_MESSAGES = 10_000
HEARD_KEPT = 10_000
STREAM = "trade_updates"

log = logging.getLogger("bifrost.brokers.alpaca")

Newest = Callable[[], Awaitable[set[str]]]
"""Reads the broker's ids of the newest order and execution: a living stream has told of them, or they are older."""


class Garbled(Exception):
    """A stream message that cannot be read: connect again, so that the caller reads what it said another way."""


class AlpacaStream:
    """The updates of one account. `newest` reads what a living stream must have said."""

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        newest: Newest,
        timeout_seconds: float,
        ping_seconds: float = PING_SECONDS,
        proof_seconds: float = PROOF_SECONDS,
    ) -> None:
        self._url = "ws" + url.removeprefix("http") + "/stream"
        self._credentials = {"key": key, "secret": secret}
        self._newest = newest
        self._timeout_seconds = timeout_seconds
        self._ping_seconds = ping_seconds
        self._proof_seconds = proof_seconds

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Reports for ever, and `Connected` for each connection. Only refused credentials end it (BrokerUnclear)."""
        failures = connections = 0
        while True:
            try:
                async with self._connect() as socket:
                    await self._listen(socket)
                    connections += 1
                    yield Connected(connections)
                    failures = 0
                    async with aclosing(self._reports(socket)) as reports:
                        async for report in reports:
                            yield report
            except (OSError, WebSocketException, TimeoutError, Garbled) as error:
                log.info("trade updates: %s %s", type(error).__name__, error)
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    async def _reports(self, socket: ClientConnection) -> AsyncGenerator[ExecutionReport]:
        heard: dict[str, None] = {}
        proof = asyncio.create_task(self._prove(socket, heard))
        try:
            async for message in socket:
                if report := _update(message):
                    heard |= {report.broker_order_id: None, report.exec_id: None}
                    while len(heard) > HEARD_KEPT:
                        del heard[next(iter(heard))]
                    yield report
        finally:
            proof.cancel()

    async def _prove(self, socket: ClientConnection, heard: Mapping[str, None]) -> None:
        """Close the socket once it has not told what it must have."""
        older = await self._known()
        while True:
            await asyncio.sleep(self._proof_seconds)
            newest = await self._known()
            if older is None or newest is None:
                older = newest  # the broker did not say, which proves nothing
                continue
            if newest - older - heard.keys():
                await asyncio.sleep(self._timeout_seconds)  # it may be on its way
            if untold := newest - older - heard.keys():
                log.warning("trade updates: silent about %s; connecting again", ", ".join(sorted(untold)))
                await socket.close()
                return

    async def _known(self) -> set[str] | None:
        """The newest ids; None if the broker does not say."""
        try:
            return await self._newest()
        except BrokerUnclear:
            return None

    def _connect(self) -> connect:
        proxy: Literal[True] | None = None if is_loopback(self._url) else True
        return connect(
            self._url,
            proxy=proxy,
            open_timeout=self._timeout_seconds,
            close_timeout=min(self._timeout_seconds, CLOSE_SECONDS),
            ping_interval=self._ping_seconds,
            ping_timeout=self._timeout_seconds,
            max_queue=BACKLOG_MESSAGES,
        )

    async def _listen(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({"action": "auth", **self._credentials}))
        status = (await self._answer(socket, "authorization")).get("status")
        if status != "authorized":
            raise BrokerUnclear(f"{self._url} refused the credentials: {status}", "Check the broker's key and secret")
        await socket.send(json.dumps({"action": "listen", "data": {"streams": [STREAM]}}))
        streams = (await self._answer(socket, "listening")).get("streams")
        if not isinstance(streams, list) or STREAM not in streams:
            raise Garbled(f"listening to {streams!r}, not to {STREAM}")

    async def _answer(self, socket: ClientConnection, stream: str) -> Mapping[str, Any]:
        async with asyncio.timeout(self._timeout_seconds):
            message = _message(await socket.recv())
        if message.get("stream") != stream:
            raise Garbled(f"expected {stream}, got {message.get('stream')!r}")
        data = message.get("data")
        return data if isinstance(data, dict) else {}


def _message(text: str | bytes) -> dict[str, Any]:
    try:
        message = wire.parse(text)
    except ValueError as error:
        raise Garbled(str(error)) from error
    if not isinstance(message, dict):
        raise Garbled(f"not an object: {message!r}")
    return message


def _update(text: str | bytes) -> ExecutionReport | None:
    message = _message(text)
    if message.get("stream") != STREAM:
        return None
    try:
        return wire.reading("trade update", lambda: wire.trade_update(message["data"]))
    except BrokerUnclear as error:
        raise Garbled(error.problem) from error
