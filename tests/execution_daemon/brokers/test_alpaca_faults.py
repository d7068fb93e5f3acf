"""Alpaca's adapter against a server that misbehaves: nothing is sent twice, and silence proves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from execution_daemon.brokers.alpaca import AlpacaBroker
from execution_daemon.brokers.alpaca_http import READ_ATTEMPTS
from execution_daemon.brokers.port import (
    BrokerOrder,
    BrokerRefused,
    BrokerStatus,
    BrokerUnclear,
    Connected,
    ExecKind,
    LastTrade,
    Side,
    Terms,
    TimeInForce,
)

ORDER = BrokerOrder("mine-1", "MSFT", Side.BUY, Decimal(100), Terms(time_in_force=TimeInForce.OPG))
SHORT_SECONDS, LONG_SECONDS = 1.0, 20.0  # where an answer is never given, and where it is
HANG, HANG_UP, TRICKLE = object(), object(), object()
TRICKLE_SECONDS = 0.05
OPEN_AT = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
HELD = {
    "id": "904837e3-3b76-47ec-b432-046db621571b",
    "client_order_id": "mine-1",
    "symbol": "MSFT",
    "side": "buy",
    "type": "market",
    "time_in_force": "opg",
    "qty": "100",
    "limit_price": None,
    "status": "accepted",
    "filled_qty": "0",
    "filled_avg_price": None,
    "submitted_at": "2013-02-20T14:00:00.123456789Z",
    "updated_at": "2013-02-20T14:00:00Z",
}


def answer(status: int, body: Any, header: bytes = b"") -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = b"HTTP/1.1 %d x\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, header, len(text)) + text


class Misbehaving:
    """An HTTP server that follows a script, one entry a request; the last one repeats.

    A dictionary in place of a script gives each path, by how it begins, its answer.
    """

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.requests: list[str] = []
        self._released = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.split(b" HTTP", 1)[0].decode())
        step = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(step, dict):
            path = self.requests[-1].split(" ")[1]
            step = next(found for start, found in step.items() if path.startswith(start))
        if step is HANG:
            await self._released.wait()
        elif step is TRICKLE:
            await self._trickle(writer)
        elif step is not HANG_UP:
            writer.write(step)
            await writer.drain()
        writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        """A byte at a time: each read succeeds, and the answer never ends."""
        with contextlib.suppress(ConnectionError):
            for byte in answer(200, HELD):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(TRICKLE_SECONDS)

    def release(self) -> None:
        self._released.set()


Play = Callable[..., Any]


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    """Starts a server on a script; gives it and a broker that talks to it."""
    ends: list[Callable[[], Any]] = []

    async def start(*script: Any) -> tuple[Misbehaving, AlpacaBroker]:
        server = Misbehaving(list(script))
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        patience = SHORT_SECONDS if HANG in script or TRICKLE in script else LONG_SECONDS
        broker = AlpacaBroker(f"http://127.0.0.1:{port}", "key", "secret", patience)

        async def end() -> None:
            server.release()
            listener.close()
            await broker.close()

        ends.append(end)
        return server, broker

    yield start
    for end in ends:
        await end()


UNPROVEN = {
    "no answer": HANG,
    "an answer that never ends": TRICKLE,
    "sent on to another address": answer(307, b"", b"Location: /v2/orders\r\n"),
    "hung up": HANG_UP,
    "server error": answer(500, {"code": 50010000, "message": "internal"}),
    "bad gateway": answer(502, b"<html>"),
    "too many requests": answer(429, {"code": 42910000, "message": "slow down"}, b"Retry-After: 0\r\n"),
    "not authorized": answer(401, {"code": 40110000, "message": "no"}),
    "a proxy's 403": answer(403, b"<html>blocked</html>"),
    "a 422 without a code": answer(422, {"message": "?"}),
    "not JSON": answer(200, b"<html>welcome</html>"),
    "half an answer": b"HTTP/1.1 200 x\r\nContent-Length: 500\r\n\r\n{",
    "an answer without an id": answer(200, {key: value for key, value in HELD.items() if key != "id"}),
    "a status nobody knows": answer(200, HELD | {"status": "teleported"}),
    "a quantity that is none": answer(200, HELD | {"qty": "NaN"}),
    "somebody else's order": answer(200, HELD | {"client_order_id": "other"}),
    "a time without offset": answer(200, HELD | {"submitted_at": "2013-02-20T14:00:00"}),
}


@pytest.mark.parametrize("fault", UNPROVEN.values(), ids=UNPROVEN.keys())
async def test_an_unproven_order_is_unclear_and_never_sent_again(play, fault):
    """Silence taken for a refusal loses an order; an order sent again trades twice."""
    server, broker = await play(fault)
    with pytest.raises(BrokerUnclear):
        await broker.submit(ORDER)
    assert server.requests == ["POST /v2/orders"]


@pytest.mark.parametrize("fault", [HANG, HANG_UP, answer(503, b"")], ids=["no answer", "hung up", "server error"])
async def test_an_unproven_cancel_is_unclear_and_sent_once(play, fault):
    """A cancel that may have worked would be reported as failed."""
    server, broker = await play(answer(200, HELD), fault)
    with pytest.raises(BrokerUnclear):
        await broker.cancel("mine-1")
    assert [request.split(" ")[0] for request in server.requests] == ["GET", "DELETE"]


async def test_a_proven_refusal_carries_the_reason_and_the_markets_time(play):
    """The audit trail would not say why, or when in the market's time."""
    refusal = answer(403, {"code": 40310000, "message": "insufficient buying power"})
    server, broker = await play(refusal, answer(200, {"timestamp": "2013-02-20T14:00:00Z"}))
    with pytest.raises(BrokerRefused, match="insufficient buying power") as refused:
        await broker.submit(ORDER)
    report = refused.value.report
    assert (report.kind, report.client_order_id, refused.value.code) == (ExecKind.REJECTED, "mine-1", "40310000")
    assert report.at == datetime(2013, 2, 20, 14, tzinfo=UTC)
    assert server.requests == ["POST /v2/orders", "GET /v2/clock"]


@pytest.mark.parametrize("says", ["client_order_id must be unique", "client order id must be unique"])
async def test_a_used_id_is_looked_up(play, says):
    """The order that lives at the broker would be booked as rejected."""
    duplicate = answer(422, {"code": 40010001, "message": says})
    server, broker = await play(duplicate, answer(200, HELD))
    report = await broker.submit(ORDER)
    assert (report.kind, report.broker_order_id) == (ExecKind.NEW, HELD["id"])
    assert server.requests[1:] == ["GET /v2/orders:by_client_order_id?client_order_id=mine-1"]
    _, broker = await play(duplicate, answer(404, {"code": 40410000, "message": "not found"}))
    with pytest.raises(BrokerUnclear):
        await broker.submit(ORDER)


async def test_another_422_with_the_same_code_is_a_refusal(play):
    """Alpaca's code for a used id also means a malformed order, which would be looked up for ever."""
    _, broker = await play(answer(422, {"code": 40010001, "message": "qty must be > 0"}), answer(503, b""))
    with pytest.raises(BrokerRefused, match="qty must be > 0"):
        await broker.submit(ORDER)


async def test_only_the_brokers_own_404_proves_absence(play):
    """A proxy's 404 would have an order that lives sent again."""
    _, broker = await play(answer(404, {"code": 40410000, "message": "order not found"}))
    assert await broker.find("mine-1") is None
    for fault in (answer(404, b"<html>404</html>"), answer(404, {"detail": "Not Found"}), answer(410, b"")):
        _, broker = await play(fault)
        with pytest.raises(BrokerUnclear):
            await broker.find("mine-1")


async def test_reads_are_tried_again_but_not_for_ever(play):
    """One dropped connection would fail a reconciliation; a dead broker would hang it."""
    server, broker = await play(HANG_UP, answer(503, b""), answer(200, HELD))
    found = await broker.find("mine-1")
    assert found is not None and found.status is BrokerStatus.NEW
    assert found.submitted_at == datetime(2013, 2, 20, 14, 0, 0, 123456, tzinfo=UTC)
    for fault in (HANG_UP, HANG, answer(500, b"")):
        server, broker = await play(fault)
        with pytest.raises(BrokerUnclear):
            await broker.account()
        assert len(server.requests) == READ_ATTEMPTS


async def test_a_read_waits_as_long_as_it_is_asked_to(play):
    """A client that goes on asking is locked out for longer."""
    busy = answer(429, {"code": 42910000, "message": "slow down"}, b"Retry-After: 1\r\n")
    server, broker = await play(busy, answer(200, HELD))
    began = time.monotonic()
    assert await broker.find("mine-1") is not None
    assert time.monotonic() - began >= 1
    assert len(server.requests) == 2


async def test_a_read_does_not_wait_for_longer_than_an_answer(play):
    """A reconciliation would hang for as long as somebody else says."""
    server, broker = await play(answer(429, {"code": 42910000, "message": "?"}, b"Retry-After: 3600\r\n"))
    with pytest.raises(BrokerUnclear, match="429"):
        await broker.account()
    assert len(server.requests) == 1


async def test_an_order_taken_under_a_500_is_found(play):
    """The order lives, and nobody would know."""
    server, broker = await play(answer(500, {"code": 50010000, "message": "internal"}), answer(200, HELD))
    with pytest.raises(BrokerUnclear):
        await broker.submit(ORDER)
    found = await broker.find("mine-1")
    assert found is not None and found.broker_order_id == HELD["id"]
    assert [request.split(" ")[0] for request in server.requests] == ["POST", "GET"]


LATEST = b'{"trades": {"MSFT": {"t": "2013-02-20T14:30:00.000000001Z", "p": 28.130000000000001}}}'
QUOTED = b'{"quotes": {"MSFT": {"t": "2013-02-20T14:30:00Z", "bp": 28.120000000000001, "bs": 1, "ap": 0, "as": 0}}}'


NONE = {"/v2/stocks/snapshots": answer(404, b"not here")}
TRADES = NONE | {"/v2/stocks/trades": answer(200, LATEST)}


async def test_numbers_are_exact(play):
    """A price sent as a JSON number would come back with a float's tail; an offer that nobody made would be zero."""
    _, broker = await play(TRADES | {"/v2/stocks/quotes": answer(200, QUOTED)})
    last = (await broker.last_trade(["MSFT"]))["MSFT"]
    assert (last.price, last.bid, last.ask) == (Decimal("28.130000000000001"), Decimal("28.120000000000001"), None)


@pytest.mark.parametrize(("day", "volume"), [("2013-02-20T05:00:00Z", 1200), ("2013-02-19T05:00:00Z", None)])
async def test_a_snapshot_has_everything_in_one_answer(play, day, volume):
    """A participation rate would be worked out from yesterday's volume."""
    shot = {
        "latestTrade": {"t": "2013-02-20T14:30:00Z", "p": 28.13},
        "latestQuote": {"t": "2013-02-20T14:30:00Z", "bp": 28.12, "ap": 28.14},
        "dailyBar": {"t": day, "v": 1200},
    }
    server, broker = await play(answer(200, {"MSFT": shot, "IBM": None}))
    told = {"MSFT": LastTrade(Decimal("28.13"), OPEN_AT, Decimal("28.12"), Decimal("28.14"), volume)}
    assert await broker.last_trade(["MSFT", "IBM"]) == told
    assert server.requests == ["GET /v2/stocks/snapshots?symbols=MSFT%2CIBM"]


async def test_a_service_without_quotes_still_has_prices(play):
    """A data plan without quotes would stop all trading; a quote service that fails must not look like one."""
    _, broker = await play(TRADES | {"/v2/stocks/quotes": answer(404, b"not here")})
    last = (await broker.last_trade(["MSFT"]))["MSFT"]
    assert (last.price, last.bid, last.ask) == (Decimal("28.130000000000001"), None, None)
    _, broker = await play(TRADES | {"/v2/stocks/quotes": answer(500, b"")})
    with pytest.raises(BrokerUnclear):
        await broker.last_trade(["MSFT"])


async def test_a_fill_of_alpacas_own_finds_its_order(play):
    """Alpaca's activities do not name our id: every fill would be a stranger's. They carry no commission."""
    activity = {
        "id": "20130220093000000::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
        "activity_type": "FILL",
        "type": "fill",
        "price": "28.13",
        "qty": "100",
        "cum_qty": "100",
        "side": "buy",
        "symbol": "MSFT",
        "transaction_time": "2013-02-20T14:30:00Z",
        "order_id": HELD["id"],
    }
    server, broker = await play(answer(200, [activity]), answer(200, HELD), answer(200, [activity]))
    (fill,) = await broker.fills()
    assert (fill.client_order_id, fill.exec_id) == ("mine-1", "8efc7b9a-8b2b-4000-9955-d36e7db0df74")
    assert (fill.last_qty, fill.last_px, fill.commission) == (100, Decimal("28.13"), 0)
    assert await broker.fills() == (fill,)
    assert server.requests[1] == f"GET /v2/orders/{HELD['id']}"
    assert server.requests[2:] == server.requests[:1]  # known by now: no further look-up


async def test_garbage_in_the_stream_means_a_new_connection(free_port):
    """A report that cannot be read would be skipped, and with it a fill."""
    new = {"stream": "trade_updates", "data": {"event": "new", "timestamp": "2013-02-20T14:00:00Z", "order": HELD}}
    broken = {"stream": "trade_updates", "data": {"event": "fill", "order": HELD}}
    ignored = [
        {"stream": "other"},
        {"stream": "trade_updates", "data": {"event": "order_cancel_rejected", "order": HELD}},
    ]
    scripts = [[new, broken, new], [*ignored, new]]
    connections = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await socket.recv()
        await socket.send(json.dumps({"stream": "authorization", "data": {"status": "authorized"}}))
        await socket.recv()
        await socket.send(json.dumps({"stream": "listening", "data": {"streams": ["trade_updates"]}}).encode())
        for message in scripts[connections - 1]:
            await socket.send(json.dumps(message))
        await socket.wait_closed()

    port = free_port()
    async with serve(talk, "127.0.0.1", port):
        broker = AlpacaBroker(f"http://127.0.0.1:{port}", "key", "secret")
        stream = broker.events()
        heard = [await asyncio.wait_for(anext(stream), 20) for _ in range(4)]
        await stream.aclose()
        await broker.close()
    kinds = [e if isinstance(e, Connected) else e.kind for e in heard]
    assert kinds == [Connected(1), ExecKind.NEW, Connected(2), ExecKind.NEW]
