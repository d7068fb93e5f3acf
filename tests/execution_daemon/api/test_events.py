"""The feed: nothing missed, nothing twice, in order, and nobody who is slow holds anything up."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
import uvicorn
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.tokens import Scope
from execution_daemon.api import events, feed


@pytest.fixture
async def address(app, free_port):
    """The app on a real socket: a WebSocket has no other transport."""
    port = free_port()
    pings = {"ws_ping_interval": 1, "ws_ping_timeout": 1}
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off", **pings))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{port}/events"
    server.should_exit = True
    await serving


def append(settings, count, kind="test"):
    """So many entries, each in a transaction of its own."""
    with connect(settings, Role.OWNER, autocommit=True) as connection:
        for number in range(count):
            connection.execute("select audit.append(%s, jsonb_build_object('n', %s::int), now())", (kind, number))


@asynccontextmanager
async def listening(address, headers, after=None):
    query = "" if after is None else f"?after={after}"
    async with ws_connect(address + query, additional_headers=headers, max_queue=None) as listener:
        yield listener


async def take(listener, count):
    return [json.loads(await asyncio.wait_for(listener.recv(), 10)) for _ in range(count)]


@pytest.fixture
def reader(token):
    return token("reader", Scope.READ)


async def test_concurrent_writers_and_no_gap_and_no_double(address, settings, reader):
    """Who follows the account would believe something else than what is stored."""
    with ThreadPoolExecutor() as pool:
        async with listening(address, reader, after=0) as early:
            writing = [asyncio.get_running_loop().run_in_executor(pool, append, settings, 60) for _ in range(4)]
            await asyncio.sleep(0.1)
            async with listening(address, reader, after=0) as late:
                await asyncio.gather(*writing)
                with connect(settings, Role.READER) as connection:
                    head = connection.execute("select seq from audit.chain_head").fetchone()[0]
                seen, seen_late = await take(early, head), await take(late, head)
    assert [one["seq"] for one in seen] == list(range(1, head + 1))
    assert seen == seen_late
    assert head >= 240 > feed.PAGE


async def test_it_goes_on_from_where_it_was(address, settings, reader):
    """After a broken connection something would be missed, or come again."""
    append(settings, 5)
    async with listening(address, reader, after=0) as listener:
        last = (await take(listener, 3))[-1]["seq"]
    append(settings, 2)
    async with listening(address, reader, after=last) as listener:
        assert [one["seq"] for one in await take(listener, 3)] == [last + 1, last + 2, last + 3]


async def test_without_a_place_it_begins_now(address, settings, reader):
    """A page that only wants news would be sent years of history."""
    append(settings, 3)
    async with listening(address, reader) as listener:
        await asyncio.sleep(0.5)
        append(settings, 1, "news")
        assert (await take(listener, 1))[0]["kind"] == "news"


async def test_silence_has_a_heartbeat(address, settings, reader, monkeypatch):
    """Nobody could tell a quiet market from a dead connection."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    async with listening(address, reader) as listener:
        beats = await take(listener, 2)
    assert {one["kind"] for one in beats} == {"heartbeat"}


async def test_who_takes_nothing_is_dropped(address, settings, reader, monkeypatch):
    """One stopped browser would keep its pages in the memory of the process that trades, for ever."""
    monkeypatch.setattr(events, "SEND_SECONDS", 0.3)
    with connect(settings, Role.OWNER) as connection:
        payload = "jsonb_build_object('x', repeat('y', 200000))"
        big = f"select audit.append('big', {payload}, now()) from generate_series(1, 100)"
        connection.execute(big)
    sock = socket.create_connection(("127.0.0.1", int(address.split(":")[2].split("/")[0])))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with ws_connect(
        address + "?after=0", additional_headers=reader, sock=sock, max_queue=1, compression=None, close_timeout=0.1
    ) as listener:
        await asyncio.sleep(2)
        with pytest.raises(ConnectionClosed):
            await take(listener, 200)


async def test_no_more_than_so_many_listen(address, reader, monkeypatch):
    """Each listener costs the process that trades."""
    monkeypatch.setattr(feed, "LISTENERS_MAX", 1)
    async with listening(address, reader):
        await asyncio.sleep(0.2)
        async with listening(address, reader) as second:
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
    assert closed.value.rcvd.code == events.FULL


async def test_the_feed_wants_a_token_that_may_read(address, token):
    """The audit chain holds every order and who gave it."""
    for headers, status in (({}, 401), ({"Authorization": "Bearer x"}, 401), (token("t", Scope.TRADE), 403)):
        with pytest.raises(InvalidStatus) as refused:
            async with listening(address, headers):
                pass
        assert refused.value.response.status_code == status
        assert refused.value.response.headers["content-type"] == "application/problem+json"


async def test_nobody_listens_nobody_looks(app, settings):
    """Idle, the daemon must not ask the warehouse ten times a second."""
    one = app.state.context.feed
    with one.listening():
        assert one._watch is not None
    assert one._watch is None
