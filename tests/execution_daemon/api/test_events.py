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

from bifrost_core.warehouse import tokens
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.tokens import Scope
from execution_daemon.api import events, feed
from execution_daemon.api.sockets import FeedSocket


@pytest.fixture
async def served(app, free_port):
    """The app on a real socket, served as the daemon serves it: a WebSocket has no other transport."""
    pings = {"ws_ping_interval": 1, "ws_ping_timeout": 1, "timeout_graceful_shutdown": 2}
    ws = "execution_daemon.api.sockets:FeedSocket"
    config = uvicorn.Config(app, port=free_port(), ws=ws, log_level="warning", lifespan="off", **pings)
    one = uvicorn.Server(config)
    serving = asyncio.create_task(one.serve())
    while not one.started:
        await asyncio.sleep(0.01)
    yield one
    one.should_exit = True
    await serving


@pytest.fixture
def address(served):
    return f"ws://127.0.0.1:{served.config.port}/events"


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


async def frozen(served, headers):
    """A peer that asks for everything and then takes nothing, as a stopped process does."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, ("127.0.0.1", served.config.port))
    lines = [
        "GET /events?after=0 HTTP/1.1",
        "Host: daemon",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {'A' * 22}==",
        f"Authorization: {headers['Authorization']}",
    ]
    await loop.sock_sendall(peer, ("\r\n".join(lines) + "\r\n\r\n").encode())
    return peer


async def until(done, seconds=15.0):
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("told_by", ["a send that blocks", "a ping"])
async def test_who_takes_nothing_is_cut_off_by_the_server(app, served, settings, reader, monkeypatch, told_by):
    """Stopped browsers would pile up in the process that trades: they never close, so the server has to."""
    monkeypatch.setattr(events, "SEND_SECONDS", 0.3)
    other_way = "pause_writing" if told_by == "a ping" else "send_keepalive_ping"
    monkeypatch.setattr(FeedSocket, other_way, lambda self: None)
    with connect(settings, Role.OWNER) as connection:
        payload = "jsonb_build_object('x', repeat('y', 200000))"
        connection.execute(f"select audit.append('big', {payload}, now()) from generate_series(1, 100)")
    peers = [await frozen(served, reader) for _ in range(3)]
    feed_of = app.state.context.feed
    await until(lambda: feed_of._listeners == 3)
    await until(lambda: not served.server_state.connections)
    await until(lambda: feed_of._listeners == 0)
    for peer in peers:  # they held on until now
        peer.close()


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


async def test_a_place_that_is_no_number_is_a_problem(address, reader):
    """Whoever mistyped it would look for a fault in the token."""
    with pytest.raises(InvalidStatus) as refused:
        async with listening(address, reader, after="abc"):
            pass
    assert refused.value.response.status_code == 422
    assert "query.after" in json.loads(refused.value.response.body)["detail"]


async def test_a_token_that_is_revoked_hears_no_more(address, settings, token, monkeypatch):
    """Whoever was shut out would read every order for as long as the connection lasts."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    async with listening(address, token("t", Scope.READ)) as listener:
        await take(listener, 1)
        tokens.revoke(settings, "t", "test")
        with pytest.raises(ConnectionClosed) as closed:
            await take(listener, 20)
    assert closed.value.rcvd.code == events.TOKEN_ENDED


async def test_a_revoked_token_hears_no_more_in_the_middle_of_a_page(address, settings, token, monkeypatch):
    """Who takes slowly would be told 200 more entries, up to 10 s for each, after being shut out."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.2)
    with connect(settings, Role.OWNER) as connection:
        payload = "jsonb_build_object('x', repeat('y', 200000))"
        connection.execute(f"select audit.append('big', {payload}, now()) from generate_series(1, {feed.PAGE})")
    reads = token("t", Scope.READ)
    slow = ws_connect(f"{address}?after=0", additional_headers=reads, max_queue=1, compression=None)
    async with slow as listener:
        await take(listener, 2)
        tokens.revoke(settings, "t", "test")
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionClosed) as closed:
            await take(listener, feed.PAGE // 2)
    assert closed.value.rcvd.code == events.TOKEN_ENDED


async def test_a_place_beyond_the_end_is_told(address, settings, reader):
    """Whoever comes back with a number of another chain would never hear of the entries up to it."""
    end = end_of_chain(settings)
    async with listening(address, reader, after=end + 1) as listener:
        with pytest.raises(ConnectionClosed) as closed:
            await take(listener, 1)
    told = closed.value.rcvd
    assert (told.code, told.reason) == (events.NO_SUCH_PLACE, f"the chain ends at {end}: begin anew")


def end_of_chain(settings):
    with connect(settings, Role.READER) as connection:
        return connection.execute("select seq from audit.chain_head").fetchone()[0]


def restore(settings, keep, then=0):
    """As a backup does that ends after `keep` entries, before which nobody looks another `then` are appended."""
    with connect(settings, Role.OWNER) as connection:
        connection.execute("alter table audit.chain disable trigger user")
        connection.execute("delete from audit.chain where seq > %s", (keep,))
        connection.execute(
            "update audit.chain_head set seq = c.seq, entry_hash = c.entry_hash from audit.chain c where c.seq = %s",
            (keep,),
        )
        connection.execute("alter table audit.chain enable trigger user")
        connection.execute("select audit.append('other', '{}', now()) from generate_series(1, %s)", (then,))


@pytest.mark.parametrize(("then", "reason"), [(0, "the chain ends at "), (20, "another chain goes on at ")])
async def test_a_restore_is_told_to_who_listens(app, address, settings, reader, monkeypatch, then, reason):
    """Entries of two histories would follow each other, with some of the newer one left out."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.2)
    append(settings, 10)
    end = end_of_chain(settings)
    async with listening(address, reader, after=end - 2) as listener:
        await take(listener, 2)
        restore(settings, end - 5, then)
        with pytest.raises(ConnectionClosed) as closed:
            while (await take(listener, 1))[0]["kind"] != "other":
                pass
    assert closed.value.rcvd.code == events.NO_SUCH_PLACE
    assert closed.value.rcvd.reason.startswith(reason)
    end = end_of_chain(settings)
    async with listening(address, reader, after=end) as listener:
        await asyncio.sleep(2 * feed.LOOK_SECONDS)
        assert not await app.state.context.feed.wait(end, 0.2)  # it would read the warehouse in a circle
        append(settings, 1, "news")
        kinds = [one["kind"] for one in await take(listener, 4)]
    assert "news" in kinds


async def test_nobody_listens_nobody_looks(app, settings):
    """Idle, the daemon must not ask the warehouse ten times a second."""
    one = app.state.context.feed
    with one.listening():
        assert one._watch is not None
    assert one._watch is None
