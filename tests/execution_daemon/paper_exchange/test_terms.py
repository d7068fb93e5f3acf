"""Order terms, halts, short sales and recorded books over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.execution_daemon.paper_exchange.requests_of import BEFORE, SESSION, fills, order, send

HOUR = timedelta(hours=1)


@pytest.fixture
def paper_exchange(shared_exchange):
    return shared_exchange


@pytest.fixture
def trader(paper_exchange, calendar):
    """The account, half an hour before the open of 20 February 2013: MSFT 28.13, 28.2, 27.83, 27.87."""
    paper_exchange.move_clock(calendar(SESSION).open_at - BEFORE)
    with paper_exchange.trader as client:
        yield client


@pytest.fixture
def admin(paper_exchange):
    with paper_exchange.admin as client:
        yield client


def status(trader, name: str) -> str:
    found = trader.get("/v2/orders:by_client_order_id", params={"client_order_id": name}).raise_for_status()
    return str(found.json()["status"])


def refused(trader, name: str, **changes: Any) -> str:
    response = trader.post("/v2/orders", json=order(name, **changes))
    assert response.status_code in (403, 422), response.text
    return str(response.json()["message"])


def test_terms_come_back_as_they_were_sent(trader):
    """The daemon would reconcile against other terms than it asked for."""
    sent = send(
        trader,
        "t",
        type="trailing_stop_limit",
        time_in_force="gtc",
        trail_price="0.50",
        limit_offset="0.10",
        side="sell",
    )
    wanted = {"type": "trailing_stop_limit", "trail_price": "0.50", "limit_offset": "0.10", "hwm": "28.045"}
    assert wanted.items() <= sent.items()
    percent = send(trader, "p", type="trailing_stop", time_in_force="day", trail_percent="10")
    assert (percent["trail_percent"], percent["trail_price"]) == ("10", None)


def test_every_type_trades_in_the_day(paper_exchange, calendar, trader):
    """A stop would never be triggered, or a closing order trade at the open."""
    day = {"time_in_force": "day", "qty": "10"}
    send(trader, "stop", type="stop", stop_price="28.15", **day)
    send(trader, "touched", type="market_if_touched", stop_price="27.90", **day)
    send(trader, "far", type="stop", stop_price="40", **day)
    send(trader, "kept", type="stop_limit", stop_price="40", limit_price="41", time_in_force="gtc", qty="10")
    send(trader, "close", time_in_force="cls", qty="10")
    paper_exchange.move_clock(calendar(SESSION).close_at)
    assert sorted(fills(trader)) == [("close", "10", "27.87"), ("stop", "10", "28.15"), ("touched", "10", "27.90")]
    assert (status(trader, "far"), status(trader, "kept")) == ("expired", "new")


def test_fractions_only_in_plain_day_orders(paper_exchange, calendar, trader, admin):
    """A fraction would wait in an auction that takes whole shares."""
    assert "whole shares" in refused(trader, "f", qty="1.5")
    send(trader, "f", qty="1.5", time_in_force="day")
    admin.post("/admin/assets/MSFT", json={"fractionable": False}).raise_for_status()
    assert "not fractionable" in refused(trader, "g", qty="1.5", time_in_force="day")
    paper_exchange.move_clock(calendar(SESSION).open_at)
    assert fills(trader) == [("f", "1.5", "28.13")]


def test_immediate_orders_are_decided_at_once(paper_exchange, calendar, trader):
    """An order that must not rest would rest until the evening."""
    paper_exchange.move_clock(calendar(SESSION).open_at + HOUR)
    assert send(trader, "yes", time_in_force="ioc")["status"] == "new"
    send(trader, "no", type="limit", limit_price="28.00", time_in_force="fok")
    assert (status(trader, "yes"), status(trader, "no")) == ("filled", "canceled")
    assert fills(trader) == [("yes", "100", "28.13")]


def test_post_only_never_takes(paper_exchange, calendar, trader):
    """A maker's order would pay the spread."""
    send(trader, "crosses", type="limit", limit_price="28.20", time_in_force="day", post_only=True)
    send(trader, "rests", type="limit", limit_price="27.90", time_in_force="day", post_only=True)
    paper_exchange.move_clock(calendar(SESSION).open_at + HOUR)
    late = refused(trader, "late", type="limit", limit_price="28.13", time_in_force="day", post_only=True)
    assert "would trade at once" in late
    paper_exchange.move_clock(calendar(SESSION).close_at)
    assert status(trader, "crosses") == "rejected"
    assert fills(trader) == [("rests", "100", "27.90")]


def test_reduce_only_never_opens(paper_exchange, calendar, trader):
    """Two exits of one position would turn it round."""
    assert "no position" in refused(trader, "r", side="sell", reduce_only=True)
    send(trader, "a")
    paper_exchange.move_clock(calendar(SESSION).open_at)
    for name in ("first", "second"):
        send(trader, name, side="sell", time_in_force="day", reduce_only=True)
    paper_exchange.move_clock(calendar(SESSION).close_at)
    assert [name for name, *_ in fills(trader)] == ["a", "first"]
    assert status(trader, "second") == "canceled"
    assert trader.get("/v2/positions").json() == []


def test_no_order_closes_more_than_is_held(paper_exchange, calendar, trader):
    """Alpaca refuses it: the daemon's crossing orders would only fail in production."""
    send(trader, "a")
    paper_exchange.move_clock(calendar(SESSION).open_at)
    assert "insufficient qty" in refused(trader, "b", side="sell", qty="101", time_in_force="day")


def test_a_halt_holds_orders_and_ends_immediate_ones(paper_exchange, calendar, trader, admin):
    """Orders would trade in a halted stock."""
    send(trader, "a")
    admin.post("/admin/assets/msft", json={"halted": True}).raise_for_status()
    assert trader.get("/v2/assets/MSFT").json()["halted"] is True
    paper_exchange.move_clock(calendar(SESSION).open_at + HOUR)
    send(trader, "ioc", time_in_force="ioc")
    send(trader, "waits", time_in_force="day")
    assert (fills(trader), status(trader, "ioc")) == ([], "canceled")
    admin.post("/admin/assets/msft", json={"halted": False}).raise_for_status()
    paper_exchange.move_clock(calendar(SESSION).close_at)
    assert fills(trader) == [("waits", "100", "27.87")]
    assert status(trader, "a") == "expired"  # its auction was in the halt


def test_short_sales_are_restricted_as_the_law_says(trader, admin):
    """The daemon would never meet a refusal of a locate or of Rule 201 before production."""
    admin.post("/admin/assets/MSFT", json={"available_to_short": "50"}).raise_for_status()
    assert "only 50 shares" in refused(trader, "s", side="sell", qty="51")
    admin.post("/admin/assets/MSFT", json={"available_to_short": None, "short_sale_restricted": True})
    assert "Rule 201" in refused(trader, "s", side="sell")
    assert "Rule 201" in refused(trader, "s", side="sell", type="limit", limit_price="28.04")
    send(trader, "above", side="sell", type="limit", limit_price="28.10")
    admin.post("/admin/assets/MSFT", json={"shortable": False, "short_sale_restricted": None}).raise_for_status()
    assert "cannot be sold short" in refused(trader, "t", side="sell")
    told = {a["symbol"]: a for a in trader.get("/v2/assets", params={"symbols": "MSFT,IBM,NOPE"}).json()}
    assert set(told) == {"MSFT", "IBM"}
    assert (told["MSFT"]["shortable"], told["IBM"]["shortable"]) == (False, True)
    assert admin.post("/admin/assets/MSFT", json={"halted": "yes"}).status_code == 422
    assert admin.post("/admin/assets/NOPE", json={}).status_code == 404


BOOK = """at,symbol,bid,bid_size,ask,ask_size,last,last_size
2013-02-20T15:00:00Z,MSFT,28.10,300,28.12,200,,
2013-02-20T15:00:01Z,MSFT,28.08,300,28.09,500,28.09,100
"""


def test_a_recorded_book_is_traded_as_it_shows(paper_exchange, calendar, trader, admin):
    """A recording would be matched like a bar: with liquidity that was not there."""
    assert admin.post("/admin/book", content=BOOK).json() == {"quotes": 2}
    session = calendar(SESSION)
    paper_exchange.move_clock(session.open_at + timedelta(minutes=30))
    quote = trader.get("/v2/stocks/quotes/latest", params={"symbols": "MSFT,IBM"}).json()["quotes"]
    assert quote == {"MSFT": {"t": "2013-02-20T15:00:00.000000Z", "bp": 28.1, "ap": 28.12, "bs": 300.0, "as": 200.0}}
    send(trader, "takes", qty="150", time_in_force="day")
    send(trader, "rest", qty="100", time_in_force="day")
    send(trader, "joins", type="limit", limit_price="28.10", time_in_force="day", qty="10")
    assert fills(trader) == [("takes", "150", "28.12"), ("rest", "50", "28.12")]
    paper_exchange.kill()
    paper_exchange.start()
    moved = paper_exchange.move_clock(session.open_at + timedelta(minutes=31))["ran"]
    assert [m["moment"] for m in moved] == ["trading"]
    assert fills(trader)[2:] == [("rest", "50", "28.09"), ("joins", "10", "28.10")]


def test_the_fill_model_is_chosen_and_survives(paper_exchange, calendar, trader, admin):
    """A run with careful fills would go on with careless ones after a restart."""
    assert admin.post("/admin/fill-model", json={"impact": "-1"}).status_code == 422
    assert admin.post("/admin/fill-model", json={"slippage": "some"}).status_code == 422
    admin.post("/admin/fill-model", json={"slippage": "square_root"}).raise_for_status()
    paper_exchange.kill()
    paper_exchange.start()
    assert admin.get("/admin/fill-model").json()["slippage"] == "square_root"
    send(trader, "a", qty="30000")
    paper_exchange.move_clock(calendar(SESSION).open_at)
    ((_, _, price),) = fills(trader)
    assert Decimal("28.13") < Decimal(price) <= Decimal("28.2")
