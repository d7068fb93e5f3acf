"""The exchange over real HTTP, in its own process."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.execution_daemon.paper_exchange.requests_of import BEFORE, SESSION, fills, order, send


@pytest.fixture
def paper_exchange(shared_exchange):
    return shared_exchange


@pytest.fixture
def trader(paper_exchange, calendar):
    """The account, half an hour before the open of 20 February 2013."""
    paper_exchange.move_clock(calendar(SESSION).open_at - BEFORE)
    with paper_exchange.trader as client:
        yield client


def test_an_opening_order_is_filled_at_the_bars_open(paper_exchange, calendar, trader):
    """Fills would not be at real prices, or cash would not follow them."""
    sent = send(trader, "a")
    assert (sent["status"], sent["filled_qty"]) == ("new", "0")
    paper_exchange.move_clock(calendar(SESSION).open_at)
    (fill,) = trader.get("/v2/account/activities/FILL").json()
    assert (fill["price"], fill["qty"], fill["order_id"]) == ("28.13", "100", sent["id"])
    assert fill["commission"] == "1.00"
    account = trader.get("/v2/account").json()
    assert Decimal(account["cash"]) == Decimal("1000000.00") - 100 * Decimal("28.13") - Decimal("1.00")
    (position,) = trader.get("/v2/positions").json()
    assert (position["qty"], position["side"], Decimal(position["avg_entry_price"])) == (
        "100",
        "long",
        Decimal("28.13"),
    )


REFUSALS: list[tuple[dict[str, Any], int, int, str]] = [
    ({"symbol": "NOPE"}, 422, 42210000, "could not find asset"),
    ({"symbol": "SPX"}, 422, 42210000, "index"),
    ({"qty": "0"}, 422, 40010001, "qty"),
    ({"qty": "-1"}, 422, 40010001, "qty"),
    ({"qty": "1.5"}, 422, 40010001, "whole shares"),
    ({"qty": "NaN"}, 422, 40010001, "qty"),
    ({"qty": None}, 422, 40010001, "qty"),
    ({"side": "hold"}, 422, 40010001, "side"),
    ({"type": "stop"}, 422, 40010001, "stop_price"),
    ({"type": "stopp"}, 422, 40010001, "type"),
    ({"type": "stop", "stop_price": "30"}, 422, 40010001, "auction"),
    ({"time_in_force": "gtd"}, 422, 40010001, "time_in_force"),
    ({"type": "trailing_stop", "time_in_force": "day"}, 422, 40010001, "trail_offset"),
    ({"post_only": True}, 422, 40010001, "post-only"),
    ({"reduce_only": "yes"}, 422, 40010001, "reduce_only"),
    ({"type": "limit"}, 422, 40010001, "limit_price"),
    ({"limit_price": "3"}, 422, 40010001, "limit_price"),
    ({"client_order_id": "x" * 49}, 422, 40010001, "48"),
    ({"qty": "70000"}, 403, 40310000, "insufficient buying power"),
    ({"qty": "70000", "side": "sell"}, 403, 40310000, "insufficient buying power"),
]


def test_what_cannot_be_traded_is_refused_with_alpacas_code(trader):
    """The daemon would take a refusal for an accident, or learn an order is live that never was."""
    for changes, status, code, says in REFUSALS:
        response = trader.post("/v2/orders", json=order("a") | changes)
        assert (response.status_code, response.json()["code"]) == (status, code), changes
        assert says in response.json()["message"], changes
    assert trader.get("/v2/orders", params={"status": "all"}).json() == []


def test_an_id_is_used_once(trader):
    """An order sent twice would trade twice."""
    first = send(trader, "a")
    again = trader.post("/v2/orders", json=order("a", qty="7"))
    assert (again.status_code, again.json()["code"]) == (422, 40010001)
    assert "must be unique" in again.json()["message"]
    assert trader.get("/v2/orders").json() == [first]


def test_garbage_is_refused(trader):
    """A broken client would end the exchange."""
    for body in (b"", b"[]", b"{", b"\xff\xfe", b'"text"'):
        response = trader.post("/v2/orders", content=body)
        assert (response.status_code, response.json()["code"]) == (400, 40010000)
    for params in ({"status": "some"}, {"limit": "0"}, {"limit": "x"}, {"after": "yesterday"}, {"after": "2013-02-20"}):
        assert trader.get("/v2/orders", params=params).status_code == 422
    assert trader.get("/v2/account/activities/FILL", params={"page_token": "nope"}).status_code == 422


def test_an_opening_order_after_the_open_is_refused(paper_exchange, calendar, trader):
    """It would wait for an auction that is over; after the close it waits for the next one."""
    paper_exchange.move_clock(calendar(SESSION).open_at)
    response = trader.post("/v2/orders", json=order("late"))
    assert (response.status_code, response.json()["code"]) == (422, 42210000)
    paper_exchange.move_clock(calendar(SESSION).close_at)
    send(trader, "tomorrow")
    paper_exchange.move_clock(calendar("2013-02-21").open_at)
    assert fills(trader) == [("tomorrow", "100", "27.74")]


def test_orders_in_session_trade_at_prices_made_after_them(paper_exchange, calendar, trader):
    """A market order sent at noon would be filled at the morning's price."""
    session = calendar(SESSION)  # MSFT: 28.13, high 28.2, low 27.83, close 27.87
    send(trader, "resting", type="limit", limit_price="27.85", time_in_force="day")
    paper_exchange.move_clock(session.open_at + timedelta(hours=2))
    send(trader, "noon", time_in_force="day")
    send(trader, "noon-limit", type="limit", limit_price="27.85", time_in_force="day")
    assert fills(trader) == []
    paper_exchange.move_clock(session.close_at)
    assert fills(trader) == [("noon", "100", "27.87"), ("resting", "100", "27.85")]
    by_name = trader.get("/v2/orders:by_client_order_id", params={"client_order_id": "noon-limit"}).json()
    assert by_name["status"] == "expired"


def test_the_clock_stands_still_and_never_goes_back(paper_exchange, calendar, trader):
    """A replay would see a session twice, or fills would come at random times."""
    at = calendar(SESSION).open_at - BEFORE
    clock = trader.get("/v2/clock").json()
    assert clock["timestamp"] == at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert (clock["is_open"], clock["next_open"][:16]) == (False, "2013-02-20T14:30")
    assert clock["next_close"][:16] == "2013-02-20T21:00"
    send(trader, "a")
    with paper_exchange.admin as admin:
        back = admin.post("/admin/clock", json={"at": (at - timedelta(seconds=1)).isoformat()})
        assert (back.status_code, back.json()["code"]) == (409, 40910000)
        assert "does not move back" in back.json()["message"]
        for at in (None, "soon", "2013-02-21T14:30:00"):
            assert admin.post("/admin/clock", json={"at": at}).status_code == 422
    assert trader.get("/v2/clock").json() == clock


def test_a_long_move_runs_every_session_in_order(paper_exchange, calendar, trader):
    """Fills of a skipped day would be lost, or come in another order than the market's."""
    send(trader, "a")
    done = paper_exchange.move_clock(calendar("2013-02-22").close_at)["ran"]
    assert done[:3] == [
        {"at": "2013-02-20T14:30:00.000000Z", "moment": "open", "session": "2013-02-20"},
        {"at": "2013-02-20T21:00:00.000000Z", "moment": "close", "session": "2013-02-20"},
        {"at": "2013-02-21T09:00:00.000000Z", "moment": "dawn", "session": "2013-02-21"},
    ]
    assert [d["at"] for d in done] == sorted(d["at"] for d in done)
    assert fills(trader) == [("a", "100", "28.13")]


def test_with_an_empty_ledger_the_clock_may_be_set_back(paper_exchange, calendar):
    """A replay could not begin again from an earlier day without deleting files."""
    paper_exchange.move_clock(calendar("2013-02-22").close_at)
    moved = paper_exchange.move_clock(calendar("2013-02-20").open_at)
    assert moved["timestamp"] == "2013-02-20T14:30:00.000000Z"


def test_no_price_from_the_future_is_given_out(paper_exchange, calendar, trader):
    """Risk checks and sizing would see the close before it was made."""
    session = calendar(SESSION)

    def last() -> tuple[float, str]:
        trade = trader.get("/v2/stocks/trades/latest", params={"symbols": "MSFT"}).json()["trades"]["MSFT"]
        return trade["p"], trade["t"][:16]

    second = timedelta(seconds=1)
    assert last() == (28.045, "2013-02-19T21:00")
    paper_exchange.move_clock(session.open_at - second)
    assert last() == (28.045, "2013-02-19T21:00")
    paper_exchange.move_clock(session.open_at)
    assert last() == (28.13, "2013-02-20T14:30")
    paper_exchange.move_clock(session.close_at - second)
    assert last() == (28.13, "2013-02-20T14:30")
    paper_exchange.move_clock(session.close_at)
    assert last() == (27.87, "2013-02-20T21:00")


def test_a_session_not_loaded_yet_trades_at_the_packaged_bars(paper_exchange, calendar):
    """A replayed session could not be traded before the nightly job has stored it: the future would be needed first."""
    session = calendar("2013-03-01")  # the warehouse ends on 27 February
    paper_exchange.move_clock(session.open_at - BEFORE)
    with paper_exchange.trader as trader:
        send(trader, "a", symbol="IBM")
        paper_exchange.move_clock(session.open_at)
        assert fills(trader) == [("a", "100", "200.65")]


def test_only_who_knows_the_secrets_may_trade_or_move_time(paper_exchange):
    """Any process of this machine could trade the account."""
    url, secrets = paper_exchange.settings.paper_exchange_url, paper_exchange.settings.secrets
    half = {"APCA-API-KEY-ID": secrets.broker_key, "APCA-API-SECRET-KEY": "wrong"}
    trader = {"APCA-API-KEY-ID": secrets.broker_key, "APCA-API-SECRET-KEY": secrets.broker_secret}
    for headers in ({}, half, {"Authorization": f"Bearer {secrets.exchange_admin_token}"}):
        assert httpx.get(f"{url}/v2/account", headers=headers).status_code == 401
    for headers in ({}, trader, {"Authorization": "Bearer wrong"}):
        assert httpx.get(f"{url}/admin/ledger", headers=headers).status_code == 401
        assert httpx.post(f"{url}/admin/reset", headers=headers).status_code == 401


def test_reset_begins_a_new_account(paper_exchange, calendar, trader):
    """A replay could not start over, or its executions would be taken for those of the last one."""
    old = send(trader, "a")
    paper_exchange.move_clock(calendar(SESSION).open_at)
    with paper_exchange.admin as admin:
        admin.post("/admin/reset").raise_for_status()
    contents = paper_exchange.contents()
    assert (contents["orders"], contents["fills"], contents["positions"]) == ([], [], [])
    assert Decimal(contents["cash"]) == Decimal("1000000.00")
    paper_exchange.move_clock(calendar(SESSION).open_at - BEFORE)
    assert send(trader, "a")["id"] != old["id"]


def test_orders_are_paged_by_id(trader):
    """Orders sent in the same instant could not be told apart between pages."""
    names = [f"o{n}" for n in range(5)]
    for name in names:
        send(trader, name, qty="1")
    page = {"status": "all", "direction": "asc", "limit": "2"}
    first = trader.get("/v2/orders", params=page).json()
    second = trader.get("/v2/orders", params=page | {"after_order_id": first[-1]["id"]}).json()
    third = trader.get("/v2/orders", params=page | {"after_order_id": second[-1]["id"]}).json()
    assert [o["client_order_id"] for o in first + second + third] == names
    assert [o["client_order_id"] for o in trader.get("/v2/orders").json()] == names[::-1]


def test_assets_say_what_is_tradable(trader):
    """A client could not ask before it orders."""
    assert trader.get("/v2/assets/msft").json()["tradable"] is True
    assert trader.get("/v2/assets/SPX").json()["tradable"] is False
    assert trader.get("/v2/assets/NOPE").status_code == 404
    assert trader.get("/v2/orders/no-such-id").json()["code"] == 40410000
