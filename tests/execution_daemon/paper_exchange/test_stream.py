"""The websocket, spoken to directly: Alpaca's messages, in order, and nothing for strangers."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ORDER = {"symbol": "MSFT", "side": "buy", "type": "market", "time_in_force": "opg", "qty": "100"}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}
PATIENCE_SECONDS = 20.0


async def say(socket: ClientConnection, message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    message = await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS)
    assert isinstance(message, bytes)  # as Alpaca's paper API: binary frames
    return dict(json.loads(message))


@pytest.fixture
def paper_exchange(shared_exchange):
    return shared_exchange


@pytest.fixture
async def address(paper_exchange):
    return f"ws://127.0.0.1:{paper_exchange.settings.paper_exchange_port}/stream"


async def test_fills_are_pushed_with_the_order_and_the_execution(paper_exchange, calendar, address):
    """The daemon would learn of its fills only by asking."""
    session = calendar("2013-02-20")
    secrets = paper_exchange.settings.secrets
    await asyncio.to_thread(paper_exchange.move_clock, session.open_at - timedelta(minutes=30))
    async with connect(address) as socket:
        await say(socket, {"action": "auth", "key": secrets.broker_key, "secret": secrets.broker_secret})
        assert (await hear(socket))["data"]["status"] == "authorized"
        await say(socket, {"action": "listen", "data": {"streams": ["account_updates"]}})
        assert await hear(socket) == {"stream": "listening", "data": {"streams": []}}
        await say(socket, LISTEN)
        assert await hear(socket) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        with paper_exchange.trader as trader:
            for name in ("a", "b"):
                trader.post("/v2/orders", json=ORDER | {"client_order_id": name}).raise_for_status()
        await asyncio.to_thread(paper_exchange.move_clock, session.open_at)
        heard = [(await hear(socket))["data"] for _ in range(4)]
    told = [(d["event"], d["order"]["client_order_id"]) for d in heard]
    assert told == [("new", "a"), ("new", "b"), ("fill", "a"), ("fill", "b")]
    fill = heard[-1]
    assert (fill["price"], fill["qty"], fill["position_qty"], fill["commission"]) == ("28.13", "100", "200", "1.00")
    activities = paper_exchange.contents()["fills"]
    assert [row["id"].rpartition("::")[2] for row in activities] == [d["execution_id"] for d in heard[2:]]


@pytest.mark.parametrize(
    "first",
    [
        {"action": "auth", "key": "who", "secret": "knows"},
        {"action": "authenticate", "data": {"key_id": "who", "secret_key": "knows"}},
        LISTEN,
    ],
    ids=["auth", "authenticate", "listen first"],
)
async def test_strangers_hear_nothing(address, first):
    """Positions and orders would be readable to every process of this machine."""
    async with connect(address) as socket:
        await say(socket, first)
        assert (await hear(socket))["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosed):
            await hear(socket)


async def test_nonsense_ends_the_connection_and_nothing_else(paper_exchange, address):
    """One broken client would take the stream down for all."""
    for nonsense in ("{", "[]", "7", b"\xff"):
        async with connect(address) as socket:
            await socket.send(nonsense)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS)
    assert paper_exchange.contents()["orders"] == []


async def test_a_listener_that_falls_behind_is_dropped():
    """A sleeping client would hold the exchange's memory, or silently miss the oldest reports."""
    from execution_daemon.paper_exchange.stream import BACKLOG_MESSAGES, Hub

    hub = Hub()
    slow, quick = hub.join(), hub.join()
    for n in range(BACKLOG_MESSAGES + 1):
        hub.publish({"n": n})
        assert quick.get_nowait() == {"n": n}
    heard = [slow.get_nowait() for _ in range(slow.qsize())]
    assert heard[-1] is None  # told to go, so that it connects again and reads what it missed
    hub.publish({"n": -1})
    assert slow.empty() and quick.get_nowait() == {"n": -1}
