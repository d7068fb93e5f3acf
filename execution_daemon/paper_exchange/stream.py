"""The `trade_updates` stream: what happened, pushed to whoever listens. A client that fell behind is dropped.

Nothing is lost with a dropped connection: the ledger has it, and the client reads activities and orders when it is
back.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.faults import Faults
from execution_daemon.paper_exchange.line import Line

BACKLOG_MESSAGES = 10_000
STREAM = "trade_updates"
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013

Queue = asyncio.Queue[dict[str, Any] | None]


class Hub:
    """The listeners, each with a bounded queue; None in a queue says that the listener fell behind."""

    def __init__(self) -> None:
        self._queues: set[Queue] = set()
        self.faults = Faults()

    def publish(self, message: dict[str, Any]) -> None:
        """Queue `message` for every listener; never waits."""
        for queue in tuple(self._queues):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    def join(self) -> Queue:
        """A queue that receives what is published from now on."""
        queue: Queue = asyncio.Queue(BACKLOG_MESSAGES)
        self._queues.add(queue)
        return queue

    def leave(self, queue: Queue) -> None:
        """Stop receiving."""
        self._queues.discard(queue)


async def serve(socket: WebSocket, hub: Hub, credentials: Credentials) -> None:
    """One client's connection, from its authentication to its end. Frames are binary, as on Alpaca's paper API."""
    await socket.accept()
    try:
        if not await _authenticate(socket, credentials):
            await socket.close(POLICY_VIOLATION)
            return
        await _wait_for_listen(socket)
        await _pump(socket, hub)
    except (WebSocketDisconnect, RuntimeError, ValueError):
        return  # gone, or talking nonsense: either way the conversation is over


async def _authenticate(socket: WebSocket, credentials: Credentials) -> bool:
    asked = await _receive(socket)
    given = asked.get("data", {}) if asked.get("action") == "authenticate" else asked
    key = given.get("key", given.get("key_id", ""))
    secret = given.get("secret", given.get("secret_key", ""))
    is_trader = asked.get("action") in ("auth", "authenticate") and credentials.is_trader(str(key), str(secret))
    status = "authorized" if is_trader else "unauthorized"
    await _send(socket, {"stream": "authorization", "data": {"status": status, "action": "authenticate"}})
    return is_trader


async def _wait_for_listen(socket: WebSocket) -> None:
    """Until the client listens to trade updates; other requests are acknowledged with an empty list."""
    while True:
        asked = await _receive(socket)
        is_listening = asked.get("action") == "listen" and STREAM in asked.get("data", {}).get("streams", [])
        if is_listening:
            return
        await _send(socket, {"stream": "listening", "data": {"streams": []}})


async def _pump(socket: WebSocket, hub: Hub) -> None:
    queue = hub.join()  # before the acknowledgement: what happens after it is not missed
    try:
        await _send(socket, {"stream": "listening", "data": {"streams": [STREAM]}})
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(_until_gone(socket))
            forward = tasks.create_task(_forward(socket, queue, hub.faults))
            await asyncio.wait((watch, forward), return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            forward.cancel()
    finally:
        hub.leave(queue)


async def _forward(socket: WebSocket, queue: Queue, faults: Faults) -> None:
    line = Line(faults)
    while (message := await line.next(queue)) is not None:
        for sent in await line.after(message):
            if not await _try_send(socket, sent):
                return
        if line.is_cut:
            break
    await socket.close(TRY_AGAIN_LATER)


async def _try_send(socket: WebSocket, message: dict[str, Any]) -> bool:
    try:
        await _send(socket, message)
    except (WebSocketDisconnect, RuntimeError):
        return False
    return True


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _receive(socket: WebSocket) -> dict[str, Any]:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    asked = json.loads(message.get("text") or message.get("bytes") or b"")
    if not isinstance(asked, dict):
        raise ValueError("not an object")
    return asked


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_bytes(json.dumps(message).encode())
