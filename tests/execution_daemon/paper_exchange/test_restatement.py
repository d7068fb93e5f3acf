"""Busts, corrections, dividends, entries by hand, and the account's history."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.execution_daemon.paper_exchange.requests_of import BEFORE, SESSION, send

CASH = Decimal("1000000.00")


@pytest.fixture
def trader(paper_exchange, market):
    """The account, half an hour before the open of 20 February 2013."""
    paper_exchange.move_clock(market(SESSION).open_at - BEFORE)
    with paper_exchange.trader as client:
        yield client


@pytest.fixture
def admin(paper_exchange):
    with paper_exchange.admin as client:
        yield client


def execution_ids(trader) -> list[str]:
    rows = trader.get("/v2/account/activities/FILL", params={"direction": "asc"}).json()
    return [row["id"].rpartition("::")[2] for row in rows]


def test_a_bust_takes_a_trade_back(paper_exchange, market, trader, admin):
    """The daemon would keep shares that its broker has taken away."""
    send(trader, "a")
    send(trader, "b", qty="50")
    paper_exchange.move_clock(market(SESSION).open_at)
    first, _ = execution_ids(trader)
    row = admin.post(f"/admin/executions/{first}/bust").raise_for_status().json()
    assert (row["type"], row["qty"], row["previous_execution_id"]) == ("trade_bust", "-100", first)
    (position,) = trader.get("/v2/positions").json()
    assert (position["qty"], Decimal(position["avg_entry_price"])) == ("50", Decimal("28.13"))
    assert Decimal(trader.get("/v2/account").json()["cash"]) == CASH - 50 * Decimal("28.13") - Decimal("1.00")
    found = trader.get("/v2/orders:by_client_order_id", params={"client_order_id": "a"}).json()
    assert (found["status"], found["filled_qty"]) == ("filled", "0")
    last = paper_exchange.contents()["events"][-1]["payload"]["data"]
    assert (last["event"], last["qty"], last["position_qty"]) == ("trade_bust", "-100", "50")
    assert admin.post(f"/admin/executions/{first}/bust").status_code == 409
    assert admin.post("/admin/executions/none/bust").status_code == 404


def test_a_correction_stands_in_a_trades_place(paper_exchange, market, trader, admin):
    """Cash and average cost would be those of a price that was never paid."""
    send(trader, "a")
    paper_exchange.move_clock(market(SESSION).open_at)
    (first,) = execution_ids(trader)
    for wrong in ({"qty": "101", "price": "28"}, {"qty": "0", "price": "28"}, {"qty": "1", "price": "-1"}):
        assert admin.post(f"/admin/executions/{first}/correct", json=wrong).status_code == 422
    admin.post(f"/admin/executions/{first}/correct", json={"qty": "100", "price": "28.03"}).raise_for_status()
    (position,) = trader.get("/v2/positions").json()
    assert Decimal(position["avg_entry_price"]) == Decimal("28.03")
    assert Decimal(trader.get("/v2/account").json()["cash"]) == CASH - 100 * Decimal("28.03") - Decimal("1.00")
    contents = paper_exchange.contents()
    assert [(f["type"], f["is_live"]) for f in contents["fills"]] == [("fill", False), ("trade_correct", True)]
    second = contents["fills"][1]["id"].rpartition("::")[2]
    admin.post(f"/admin/executions/{second}/bust").raise_for_status()
    assert trader.get("/v2/positions").json() == []
    assert Decimal(trader.get("/v2/account").json()["cash"]) == CASH


def add_action(owner, kind: str, session: str, factor: float, value: float | None) -> None:
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.corporate_actions (instrument_id, ex_session, ingested_at, available_at, kind,"
            " price_factor, value, provider, payload_sha256)"
            " select instrument_id, %s, now(), now(), %s, %s, %s, 'test', %s"
            " from reference.instruments where symbol = 'MSFT'",
            (session, kind, factor, value, "0" * 64),
        )


def test_a_dividend_is_paid_to_who_held_before(paper_exchange, market, trader, owner):
    """Total return would be lost in paper trading, and cash would not tie with a real broker's."""
    add_action(owner, "cash_dividend", "2013-02-21", 0.99, 0.23)
    send(trader, "a")
    paper_exchange.move_clock(market(SESSION).close_at)
    before = Decimal(trader.get("/v2/account").json()["cash"])
    paper_exchange.move_clock(market("2013-02-21").open_at)
    (paid,) = trader.get("/v2/account/activities", params={"activity_types": "DIV,SPLIT"}).json()
    told = (paid["activity_type"], paid["symbol"], paid["qty"], paid["per_share_amount"], paid["net_amount"])
    assert told == ("DIV", "MSFT", "100", "0.23", "23.00")
    assert Decimal(trader.get("/v2/account").json()["cash"]) - before == 23


def test_a_dividend_of_which_only_the_factor_is_known_is_not_made_up(paper_exchange, market, trader, owner):
    """Cash would be off by the rounding of adjusted prices, and nobody would know why."""
    add_action(owner, "cash_dividend", "2013-02-21", 0.99, 0.2299871324)
    send(trader, "a")
    paper_exchange.move_clock(market("2013-02-21").open_at)
    assert trader.get("/v2/account/activities/DIV").json() == []
    assert [e["payload"]["symbol"] for e in paper_exchange.contents()["events"] if e["kind"] == "dividend_unknown"] == [
        "MSFT"
    ]


def test_a_trade_before_a_split_is_not_restated(paper_exchange, market, trader, admin, owner):
    """Old shares would be taken from new ones."""
    add_action(owner, "split", "2013-02-21", 0.5, 2.0)
    send(trader, "a")
    paper_exchange.move_clock(market("2013-02-21").open_at - BEFORE)
    send(trader, "b", qty="10")
    paper_exchange.move_clock(market("2013-02-21").open_at)
    before, after = execution_ids(trader)
    assert admin.post(f"/admin/executions/{before}/bust").json()["code"] == 40910003
    admin.post(f"/admin/executions/{after}/bust").raise_for_status()
    (position,) = trader.get("/v2/positions").json()
    assert (position["qty"], Decimal(position["avg_entry_price"])) == ("200", Decimal("14.065"))
    (split,) = trader.get("/v2/account/activities/SPLIT").json()
    assert (split["qty"], split["net_amount"], split["description"]) == ("100", "0.00", "2-for-1 split")


def test_every_cent_has_a_reason(paper_exchange, market, trader, admin):
    """A checker could not tell a fee from a bug."""
    admin.post("/admin/entries", json={"activity_type": "FEE", "net_amount": "-1.25", "description": "a fee"})
    send(trader, "a")
    paper_exchange.move_clock(market(SESSION).open_at)
    contents = paper_exchange.contents()
    moves = contents["cash_movements"]
    assert [m["kind"] for m in moves] == ["deposit", "fee", "trade"]
    assert sum(Decimal(m["amount"]) for m in moves) == Decimal(contents["cash"]) == Decimal(moves[-1]["balance"])
    assert moves[-1]["ref"] == contents["fills"][0]["id"].rpartition("::")[2]
    assert admin.post("/admin/entries", json={"activity_type": "GIFT", "net_amount": "1"}).status_code == 422


def test_the_history_is_paged_by_type_and_category(paper_exchange, market, trader, admin):
    """A client would read trades as adjustments, or miss what did not fit on a page."""
    for n in range(3):
        send(trader, f"o{n}", qty="1")
        admin.post("/admin/entries", json={"activity_type": "INT", "net_amount": "1"}).raise_for_status()
    paper_exchange.move_clock(market(SESSION).open_at)

    def read(**params: str) -> list[str]:
        found, page = [], {"direction": "asc", "page_size": "2"} | params
        while rows := trader.get("/v2/account/activities", params=page).raise_for_status().json():
            found += [row["activity_type"] for row in rows]
            page["page_token"] = rows[-1]["id"]
        return found

    assert read() == ["INT"] * 3 + ["FILL"] * 3
    assert read(activity_types="FILL") == read(category="trade_activity") == ["FILL"] * 3
    assert read(category="non_trade_activity") == ["INT"] * 3
    newest = trader.get("/v2/account/activities", params={"page_size": "1"}).json()
    assert newest[0]["activity_type"] == "FILL"
