"""Alpaca's event stream against servers that let it die: half-open, or open and silent. It comes back by itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from execution_daemon.brokers.alpaca import AlpacaBroker
from execution_daemon.brokers.port import Connected, ExecKind
from tests.execution_daemon.brokers.test_alpaca_faults import HELD
from tests.execution_daemon.brokers.venue import Ear

TIMEOUT_SECONDS, PROOF_SECONDS = 0.5, 0.1
AUTHORIZED = {"stream": "authorization", "data": {"status": "authorized"}}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
ROUTED = HELD | {"status": "new"}
NEW = {"stream": "trade_updates", "data": {"event": "new", "timestamp": "2013-02-20T14:00:00Z", "order": ROUTED}}
HANDSHAKE_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Account:
    """An Alpaca of one port: answers pings and questions, and says on the stream only what it is told to."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.fills: list[dict[str, Any]] = []
        self.asked = 0
        self.sockets: list[ServerConnection] = []

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/stream":
            return None
        self.asked += 1
        return connection.respond(200, json.dumps(self.orders if request.path.startswith("/v2/orders") else self.fills))

    async def talk(self, socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps(AUTHORIZED))
        await socket.recv()
        await socket.send(json.dumps(LISTENING))
        self.sockets.append(socket)
        await socket.wait_closed()

    async def until_asked(self, times: int) -> None:
        """Until so many more questions were answered."""
        async with asyncio.timeout(20):
            goal = self.asked + times
            while self.asked < goal:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(account: Account, port: int) -> AsyncIterator[Ear]:
    """An ear on a broker whose stream must prove every moment that it is alive."""
    async with serve(account.talk, "127.0.0.1", port, process_request=account.answer):
        url = f"http://127.0.0.1:{port}"
        broker = AlpacaBroker(url, "key", "secret", TIMEOUT_SECONDS, proof_seconds=PROOF_SECONDS)
        ear = Ear(broker)
        await ear.until_connected(1)
        await account.until_asked(2)
        yield ear
        await ear.stop()
        await broker.close()


async def test_a_stream_that_is_silent_about_an_order_is_made_anew(free_port):
    """A stream that answers pings and says nothing more would be trusted for ever."""
    account = Account()
    async with listening(account, free_port()) as ear:
        account.orders = [ROUTED]
        await ear.until_connected(2)
        await account.sockets[-1].send(json.dumps(NEW))
        await ear.until(lambda _: bool(ear.reports))
    assert ear.heard[:2] == [Connected(1), Connected(2)]


async def test_a_stream_that_is_silent_about_an_execution_is_made_anew(free_port):
    """Fills would come with the next reconciliation only."""
    account = Account()
    account.orders = [ROUTED]
    async with listening(account, free_port()) as ear:
        account.fills = [{"id": "20130220143000000::8efc7b9a-8b2b-4000-9955-d36e7db0df74"}]
        await ear.until_connected(2)


async def test_a_stream_that_tells_is_left_alone(free_port):
    """A quiet day, or a slow list, would cost a connection every half minute."""
    account = Account()
    async with listening(account, free_port()) as ear:
        await account.sockets[-1].send(json.dumps(NEW))
        await ear.until(lambda _: bool(ear.reports))
        account.orders = [ROUTED]
        await account.until_asked(8)
        account.orders = [HELD | {"id": "yet to be routed", "status": "accepted"}]
        await account.until_asked(8)
        assert [getattr(event, "kind", event) for event in ear.heard] == [Connected(1), ExecKind.NEW]
        assert len(account.sockets) == 1


def frame(message: dict[str, Any]) -> bytes:
    """One unmasked text frame of RFC 6455, shorter than 126 bytes."""
    text = json.dumps(message).encode()
    return bytes([0x81, len(text)]) + text


async def half_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Shake hands, accept everything, and then hear nothing any more: no pong, no close."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
    if "upgrade" not in fields:
        writer.close()
        return
    key = fields["sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key.encode() + HANDSHAKE_GUID).digest())
    writer.write(
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept
    )
    writer.write(frame(AUTHORIZED) + frame(LISTENING))
    await writer.drain()


async def test_a_half_open_connection_is_found_by_its_pings(free_port):
    """A peer that lost power says no goodbye: its stream would be waited for until the next restart."""
    port = free_port()
    async with await asyncio.start_server(half_open, "127.0.0.1", port):
        broker = AlpacaBroker(f"http://127.0.0.1:{port}", "key", "secret", TIMEOUT_SECONDS, ping_seconds=0.1)
        ear = Ear(broker)
        await ear.until_connected(3)
        await ear.stop()
        await broker.close()
