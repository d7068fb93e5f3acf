"""Injected faults: what the client meets, and what the exchange's own books say about it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from execution_daemon.paper_exchange.faults import Fault, FaultKind, Faults
from tests.execution_daemon.paper_exchange.requests_of import BEFORE, SESSION, fills, order, send

POST = "POST /v2/orders"


@pytest.fixture
def paper_exchange(shared_exchange):
    return shared_exchange


@pytest.fixture
def trader(paper_exchange, calendar):
    """The account, half an hour before the open of 20 February 2013."""
    paper_exchange.move_clock(calendar(SESSION).open_at - BEFORE)
    with paper_exchange.trader as client:
        yield client


@pytest.fixture
def inject(paper_exchange):
    """Puts one fault in force that strikes once; all of them end with the test."""
    with paper_exchange.admin as admin:
        yield lambda kind, **fields: admin.post(
            "/admin/faults", json={"kind": kind, "count": 1, **fields}
        ).raise_for_status()
        admin.delete("/admin/faults").raise_for_status()


def is_there(trader: httpx.Client, name: str) -> bool:
    found = trader.get("/v2/orders:by_client_order_id", params={"client_order_id": name})
    return found.status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "is_taken"),
    [
        ("rate_limit", 429, False),
        ("error_before", 500, False),
        ("unavailable", 503, False),
        ("error_after", 500, True),
    ],
)
def test_an_error_says_nothing_of_the_order(trader, inject, kind, status, is_taken):
    """A client that takes every 5xx for a refusal, or for a success, would never be found out."""
    inject(kind, where=POST, seconds=2)
    response = trader.post("/v2/orders", json=order("a"))
    assert (response.status_code, is_there(trader, "a")) == (status, is_taken)
    assert (response.headers.get("retry-after") == "2") is (status == 429)
    assert trader.post("/v2/orders", json=order("b")).status_code == 200


def test_an_answer_that_is_dropped_leaves_the_order(trader, inject):
    """Accepted, and the answer lost: the case that makes orders twice."""
    inject("drop_answer", where=POST)
    with pytest.raises(httpx.RemoteProtocolError):
        trader.post("/v2/orders", json=order("a"))
    assert is_there(trader, "a")


def test_a_request_that_is_dropped_leaves_nothing(trader, inject):
    """A timeout that means absence could not be told from one that means an order."""
    inject("drop_request", where=POST)
    with pytest.raises(httpx.ReadTimeout):
        trader.post("/v2/orders", json=order("a"), timeout=0.3)
    assert not is_there(trader, "a")


def test_a_garbled_answer_is_no_json(trader, inject):
    """A parser's error would be taken for a refusal."""
    inject("garble", where=POST)
    response = trader.post("/v2/orders", json=order("a"))
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert is_there(trader, "a")


def test_latency_delays_only_what_it_names(trader, inject):
    """A slow broker could not be told from a dead one."""
    inject("latency", where=POST, seconds=0.3)
    started = time.monotonic()
    trader.get("/v2/account").raise_for_status()
    assert time.monotonic() - started < 0.3
    send(trader, "a")
    assert time.monotonic() - started >= 0.3


def test_fills_come_in_pieces_and_rejects_after_acceptance(paper_exchange, calendar, trader, inject):
    """Code that expects one fill an order, or no reject after acceptance, would never be tried."""
    inject("split_fill", where="a", pieces=3, seed=1)
    inject("reject", where="b")
    send(trader, "a")
    assert send(trader, "b")["status"] == "new"
    paper_exchange.move_clock(calendar(SESSION).open_at)
    pieces = [Decimal(qty) for name, qty, _ in fills(trader) if name == "a"]
    assert (len(pieces), sum(pieces)) == (3, 100)
    by_name = {o["client_order_id"]: o for o in paper_exchange.contents()["orders"]}
    assert [c["event"] for c in by_name["b"]["changes"]] == ["new", "rejected"]


def test_every_request_is_noted_also_those_that_were_dropped(paper_exchange, trader, inject):
    """Nobody could prove that an intent was sent once, or that nothing was sent after a kill."""
    before = time.time_ns()
    inject("drop_request", where=POST)
    with pytest.raises(httpx.ReadTimeout):
        trader.post("/v2/orders", json=order("lost"), timeout=0.3)
    send(trader, "kept")
    trader.post("/v2/orders", json=order("bad") | {"qty": "0"})
    deadline = time.monotonic() + 5
    while True:
        posts = [r for r in paper_exchange.contents()["requests"] if r["method"] == "POST"]
        told = [(r["client_order_id"], r.get("status"), r.get("faults")) for r in posts]
        if told == [("lost", None, ["drop_request"]), ("kept", 200, None), ("bad", 422, None)]:
            break
        assert time.monotonic() < deadline, told
        time.sleep(0.01)
    assert before < posts[0]["arrived_ns"] < posts[1]["arrived_ns"]
    paper_exchange.kill()
    paper_exchange.start()
    after = [r for r in paper_exchange.contents()["requests"] if r["method"] == "POST"]
    assert after == posts


def test_faults_are_listed_and_taken_back(paper_exchange):
    """A campaign would not know what is in force."""
    with paper_exchange.admin as admin:
        made = admin.post("/admin/faults", json={"kind": "silence", "where": "fill", "probability": 0.5}).json()
        assert admin.get("/admin/faults").json() == [made]
        for wrong in ({}, {"kind": "fire"}, {"kind": "silence", "often": 1}, {"kind": "silence", "count": "x"}):
            assert admin.post("/admin/faults", json=wrong).status_code == 422
        assert admin.delete(f"/admin/faults/{made['fault_id']}").json() == {"removed": 1}
        assert admin.get("/admin/faults").json() == []


async def listener(paper_exchange: Any) -> AsyncIterator[ClientConnection]:
    secrets = paper_exchange.settings.secrets
    address = f"ws://127.0.0.1:{paper_exchange.settings.paper_exchange_port}/stream"
    async with connect(address) as socket:
        await socket.send(json.dumps({"action": "auth", "key": secrets.broker_key, "secret": secrets.broker_secret}))
        await socket.recv()
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        await socket.recv()
        yield socket


async def hear(socket: ClientConnection, count: int) -> list[str]:
    heard = []
    for _ in range(count):
        data = json.loads(await asyncio.wait_for(socket.recv(), 10))["data"]
        heard.append(data["order"]["client_order_id"])
    return heard


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        ("duplicate_event", ["a", "a", "b"]),
        ("reorder_event", ["b", "a"]),
        ("delay_event", ["a", "b"]),
    ],
)
async def test_the_stream_repeats_and_reorders(paper_exchange, trader, inject, kind, heard):
    """A client that counts on order or on once would never be found out."""
    inject(kind, where="new", seconds=5 if kind == "reorder_event" else 0.05)
    async for socket in listener(paper_exchange):
        for name in ("a", "b"):
            await asyncio.to_thread(send, trader, name)
        assert await hear(socket, len(heard)) == heard


async def test_an_event_held_back_for_nothing_comes_late(paper_exchange, trader, inject):
    """A reordered last event would be lost."""
    inject("reorder_event", where="new", seconds=0.05)
    async for socket in listener(paper_exchange):
        await asyncio.to_thread(send, trader, "a")
        assert await hear(socket, 1) == ["a"]


async def test_a_silent_stream_stays_open(paper_exchange, trader, inject):
    """A client that trusts an open connection would wait for ever."""
    inject("silence", where="new")
    async for socket in listener(paper_exchange):
        for name in ("a", "b"):
            await asyncio.to_thread(send, trader, name)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.3)
        await (await socket.ping())
    async for socket in listener(paper_exchange):
        await asyncio.to_thread(send, trader, "c")
        assert await hear(socket, 1) == ["c"]


async def test_a_stream_is_cut_before_the_event(paper_exchange, trader, inject):
    """The gap of a lost connection would never be read."""
    inject("disconnect", where="new")
    async for socket in listener(paper_exchange):
        await asyncio.to_thread(send, trader, "a")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_a_seed_repeats_its_faults(seed, probability):
    """A failing campaign could not be run again."""

    def drawn() -> list[bool]:
        fault = Fault(1, FaultKind.ERROR_AFTER, probability=probability, seed=seed)
        return [fault.strikes("POST /v2/orders") for _ in range(50)]

    assert drawn() == drawn()


@given(st.decimals("0.000000001", 10_000, places=9), st.integers(1, 9), st.integers())
def test_pieces_are_the_whole(qty, pieces, seed):
    """A split fill would make or lose shares."""
    faults = Faults()
    faults.add(Fault(1, FaultKind.SPLIT_FILL, pieces=pieces, seed=seed))
    cut = faults.pieces("a", qty)
    assert sum(cut) == qty and all(piece > 0 for piece in cut) and len(cut) <= max(pieces, 1)
