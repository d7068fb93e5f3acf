"""A TCP proxy between the daemon and the exchange: writes down every order that passes, and does harm when told to.

It understands as much HTTP/1.1 as is needed to know where a request and its answer end, so that it can lose the one or
the other. A websocket is passed on as bytes. The time at which an order's first byte came is an account of what was
sent that neither the daemon nor the exchange has written.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from random import Random

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
READ_BYTES = 65_536
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>not us</html>\n"
TRICKLE_BYTES, TRICKLE_SECONDS = 16, 0.02
LINGER_NONE = struct.pack("ii", 1, 0)

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Fault(StrEnum):
    """What happens to one request and its answer."""

    LATENCY = "latency"  # late, but whole
    LATE_REQUEST = "late_request"  # passed on after the client has given up
    CUT_BEFORE = "cut_before"  # the connection ends, the request never left
    CUT_AFTER = "cut_after"  # the request arrived, the connection ends before the answer
    DROP_ANSWER = "drop_answer"  # the request arrived, the answer never comes
    BLACK_HOLE = "black_hole"  # nothing arrives and nothing comes back
    RESET = "reset"  # RST in the middle of the answer
    TRICKLE = "trickle"  # the answer comes a few bytes at a time
    HALF_OPEN = "half_open"  # the answer stops in the middle, and the connection stays
    BAD_GATEWAY = "bad_gateway"  # somebody else answers


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that passed: when its first byte came (wall clock, seconds), and how it went."""

    at: float
    client_order_id: str
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Passed:
    """Any request that passed: from its first byte to the last one of its answer (wall clock, seconds)."""

    began: float
    ended: float
    what: str


@dataclass(frozen=True, slots=True)
class Weather:
    """Each request suffers one of `faults` with `probability`; where `only` is given, requests that begin with it."""

    faults: tuple[Fault, ...] = ()
    probability: float = 0.0
    only: bytes = b""
    delay_seconds: float = 0.2  # of LATENCY, at most
    gone_seconds: float = 1.0  # longer than the client waits
    stream_seconds: float = 0.0  # the websocket is cut this long after it opened, or goes silent; 0: never
    stream_silent: bool = False


FAIR = Weather()
Handled = Callable[[Reader, Writer], Awaitable[None]]


class Proxy:
    """Listens on a port of its own, in a thread of its own. Change `weather` at any time."""

    def __init__(self, upstream: int, rng: Random) -> None:
        self.upstream = upstream
        self.weather = FAIR
        self.sent: list[Sent] = []
        self.passed: list[Passed] = []
        self.harmed = 0
        self.port = 0
        self._rng = rng
        self._loop = asyncio.new_event_loop()
        self._open: set[Writer] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        """Listen; returns once connections are taken."""
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        """Drop every connection and stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut_all(self) -> None:
        """Reset every open connection."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _reset_all(self) -> None:
        for writer in tuple(self._open):
            _reset(writer)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._reset_all()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        over = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
        with suppress(*over):  # cancelled only by `stop`, when nobody is left to tell
            async with self._connected(writer) as (back, forth):
                while await self._exchange(reader, writer, back, forth):
                    pass

    @asynccontextmanager
    async def _connected(self, writer: Writer) -> AsyncIterator[tuple[Reader, Writer]]:
        """A connection to the exchange for the length of the client's; both are closed."""
        self._open.add(writer)
        forth: Writer | None = None
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.upstream)
            yield back, forth
        finally:
            self._open.discard(writer)
            for end in (writer, forth):
                if end is not None:
                    end.close()

    async def _exchange(self, reader: Reader, writer: Writer, back: Reader, forth: Writer) -> bool:
        """One request and its answer; False where the connection is over."""
        first = await reader.read(1)
        if not first:
            return False
        began = time.time()
        request = first + await _message(reader)
        if b"upgrade: websocket" in request.lower():
            forth.write(request)
            await self._stream(reader, writer, back, forth)
            return False
        fault = self._draw(request)
        if request.startswith(b"POST /v2/orders "):
            self.sent.append(Sent(began, _client_order_id(request), fault))
        self.harmed += fault is not None
        goes_on = await self._suffer(fault, request, writer, back, forth)
        self.passed.append(Passed(began, time.time(), request.split(b" HTTP", 1)[0].decode()))
        return goes_on

    def _draw(self, request: bytes) -> Fault | None:
        weather = self.weather
        if not weather.faults or not request.startswith(weather.only) or self._rng.random() >= weather.probability:
            return None
        return self._rng.choice(weather.faults)

    async def _suffer(self, fault: Fault | None, request: bytes, writer: Writer, back: Reader, forth: Writer) -> bool:
        weather = self.weather
        match fault:
            case Fault.CUT_BEFORE:
                return False
            case Fault.BLACK_HOLE:
                await asyncio.sleep(weather.gone_seconds)
                return False
            case Fault.BAD_GATEWAY:
                return await _write(writer, BAD_GATEWAY)
            case Fault.LATENCY:
                await asyncio.sleep(self._rng.uniform(0, weather.delay_seconds))
            case Fault.LATE_REQUEST:
                await asyncio.sleep(weather.gone_seconds)
        forth.write(request)
        await forth.drain()
        answer = await _message(back)
        if not answer:
            return False
        return await _answer(fault, answer, writer, weather.gone_seconds)

    async def _stream(self, reader: Reader, writer: Writer, back: Reader, forth: Writer) -> None:
        """Pass a websocket on until either end closes it, or the weather does."""
        weather = self.weather
        pumps = [asyncio.create_task(_pump(reader, forth)), asyncio.create_task(_pump(back, writer))]
        await asyncio.wait(pumps, timeout=weather.stream_seconds or None, return_when=asyncio.FIRST_COMPLETED)
        if weather.stream_silent and not any(pump.done() for pump in pumps):
            pumps[1].cancel()
            await asyncio.wait(pumps[:1], timeout=weather.gone_seconds * 5)
        for pump in pumps:
            pump.cancel()


async def _answer(fault: Fault | None, answer: bytes, writer: Writer, gone_seconds: float) -> bool:
    half = len(answer) // 2
    match fault:
        case Fault.CUT_AFTER:
            return False
        case Fault.DROP_ANSWER:
            await asyncio.sleep(gone_seconds)
            return False
        case Fault.RESET:
            await _write(writer, answer[:half])
            _reset(writer)
            return False
        case Fault.HALF_OPEN:
            await _write(writer, answer[:half])
            await asyncio.sleep(gone_seconds)
            return False
        case Fault.TRICKLE:
            for start in range(0, len(answer), TRICKLE_BYTES):
                await _write(writer, answer[start : start + TRICKLE_BYTES])
                await asyncio.sleep(TRICKLE_SECONDS)
            return True
    return await _write(writer, answer)


async def _write(writer: Writer, data: bytes) -> bool:
    writer.write(data)
    await writer.drain()
    return True


async def _message(reader: Reader) -> bytes:
    """What is left of a message: its head, and as much body as it announces; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    found = LENGTH.search(head)
    return head + (await reader.readexactly(int(found[1])) if found else b"")


async def _pump(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(READ_BYTES):
        await _write(writer, data)


def _reset(writer: Writer) -> None:
    """Close with RST: what was not delivered is lost."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    writer.transport.abort()


def _client_order_id(request: bytes) -> str:
    return str(json.loads(request.partition(b"\r\n\r\n")[2])["client_order_id"])
