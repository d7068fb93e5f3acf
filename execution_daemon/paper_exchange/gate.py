"""What every request passes first: it is noted, and the faults in force strike it. Plain ASGI, around the routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution_daemon.paper_exchange.faults import ANSWERS, Fault, FaultKind, Faults
from execution_daemon.paper_exchange.request_log import RequestLog

INSTEAD = {  # status, Alpaca's code, message; the request is not handled
    FaultKind.RATE_LIMIT: (429, 42910000, "rate limit exceeded"),
    FaultKind.ERROR_BEFORE: (500, 50010000, "internal server error occurred"),
    FaultKind.UNAVAILABLE: (503, 50310000, "service unavailable"),
}
HANDLED = (FaultKind.DROP_ANSWER, FaultKind.ERROR_AFTER, FaultKind.GARBLE)


class Gate:
    """The outermost application. Administrators, health checks and the stream's connections pass untouched."""

    def __init__(self, app: ASGIApp, faults: Faults, log: RequestLog) -> None:
        self._app = app
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v2/"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive) if scope["method"] == "POST" else b""
        number = self._log.arrived(scope["method"], scope["path"], _client_order_id(scope, body))
        struck = self._faults.striking(ANSWERS, f"{scope['method']} {scope['path']}")
        answer = _Answer(send)
        await self._pass(scope, _replay(body, receive), answer, struck)
        self._log.ended(number, answer.status, [fault.kind.value for fault in struck])

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer, struck: Sequence[Fault]) -> None:
        for fault in struck:
            if fault.kind is FaultKind.LATENCY:
                await asyncio.sleep(fault.seconds)
            elif fault.kind is FaultKind.DROP_REQUEST:
                await _until_gone(receive)
                return
            elif fault.kind in INSTEAD:
                await answer.instead(*INSTEAD[fault.kind], fault.seconds)
                return
        after = next((fault.kind for fault in struck if fault.kind in HANDLED), None)
        if after is None:
            await self._app(scope, receive, answer.send)
            return
        kept: list[Message] = []
        await self._app(scope, receive, _keep(kept))
        if after is FaultKind.DROP_ANSWER:
            await answer.hang_up(receive)
        elif after is FaultKind.ERROR_AFTER:
            await answer.instead(500, 50010000, "internal server error occurred", 0)
        else:
            await answer.garbled(kept)


class _Answer:
    """The way back to the client, and the status that it was told."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def instead(self, status: int, code: int, text: str, retry_seconds: float) -> None:
        """An error in Alpaca's form."""
        headers = [(b"content-type", b"application/json")]
        if status == 429:
            headers.append((b"retry-after", f"{retry_seconds:g}".encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        content = json.dumps({"code": code, "message": text}).encode()
        await self.send({"type": "http.response.body", "body": content})

    async def garbled(self, kept: list[Message]) -> None:
        """Half of the answer, as if it were all."""
        content = b"".join(message.get("body", b"") for message in kept if message["type"] == "http.response.body")
        start = next(message for message in kept if message["type"] == "http.response.start")
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await self.send({**start, "headers": headers})
        await self.send({"type": "http.response.body", "body": content[: len(content) // 2]})

    async def hang_up(self, receive: Receive) -> None:
        """Close the connection without a word. ASGI cannot; uvicorn's `send` belongs to what holds the transport."""
        self._send.__self__.transport.close()  # type: ignore[attr-defined]
        await _until_gone(receive)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _keep(kept: list[Message]) -> Send:
    async def send(message: Message) -> None:
        kept.append(message)

    return send


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, then what comes after it."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _client_order_id(scope: Scope, body: bytes) -> str | None:
    if scope["method"] != "POST" or scope["path"] != "/v2/orders":
        return None
    try:
        fields: Any = json.loads(body)
    except ValueError:
        return None
    named = fields.get("client_order_id") if isinstance(fields, dict) else None
    return None if named is None else str(named)
