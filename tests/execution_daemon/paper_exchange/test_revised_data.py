"""The exchange over a warehouse that changes: new vintages, missing bars, splits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.execution_daemon.conftest import insert_bar
from tests.execution_daemon.paper_exchange.requests_of import BEFORE, SESSION, fills, send


@pytest.fixture
def trader(paper_exchange, market):
    """The account, half an hour before the open of 20 February 2013."""
    paper_exchange.move_clock(market(SESSION).open_at - BEFORE)
    with paper_exchange.trader as client:
        yield client


def test_a_later_vintage_is_the_price(paper_exchange, market, owner):
    """The exchange would trade at a bar that its vendor has withdrawn."""
    with owner.transaction() as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into raw.daily_bars_superseded select instrument_id, session, ingested_at, clock_timestamp()"
            " from raw.daily_bars join reference.instruments using (instrument_id)"
            " where symbol = 'MSFT' and session = '2013-02-20'"
        )
        insert_bar(cursor, "MSFT", market(SESSION).session, 29.0, 30.0, 28.0, 29.5, 1000)
    paper_exchange.move_clock(market(SESSION).open_at - BEFORE)
    with paper_exchange.trader as trader:
        send(trader, "a", qty="150")
        paper_exchange.move_clock(market(SESSION).open_at)
        assert fills(trader) == [("a", "100", "29.0")]  # a tenth of 1,000 shares


def test_a_symbol_without_a_bar_is_halted_until_its_orders_expire(paper_exchange, market, trader, owner):
    """A halted stock would trade at a made-up price, or its order stay open for ever."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.daily_bars_superseded select instrument_id, session, ingested_at, clock_timestamp()"
            " from raw.daily_bars join reference.instruments using (instrument_id)"
            " where symbol = 'MSFT' and session = '2013-02-20'"
        )
    send(trader, "halted")
    send(trader, "traded", symbol="AAPL", qty="10")
    paper_exchange.move_clock(market(SESSION).open_at)
    assert [row["client_order_id"] for row in trader.get("/v2/orders").json()] == ["halted"]
    paper_exchange.move_clock(market(SESSION).close_at)
    contents = paper_exchange.contents()
    assert {o["client_order_id"]: o["status"] for o in contents["orders"]} == {"halted": "expired", "traded": "filled"}
    assert [e["payload"]["symbol"] for e in contents["events"] if e["kind"] == "halted"] == ["MSFT"]


def test_a_split_changes_shares_not_value(paper_exchange, market, trader, owner):
    """A position would lose half its value on a two-for-one split."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.corporate_actions select instrument_id, '2013-02-21', now(), now(), 'split', 2.0 / 3.0,"
            " 'test', %s from reference.instruments where symbol = 'MSFT'",
            ("0" * 64,),
        )
    send(trader, "a", qty="101")
    paper_exchange.move_clock(market(SESSION).close_at)
    send(trader, "old shares")
    before = Decimal(trader.get("/v2/account").json()["equity"])
    paper_exchange.move_clock(market("2013-02-21").open_at - BEFORE)
    account = trader.get("/v2/account").json()
    assert abs(Decimal(account["equity"]) - before) < Decimal("0.01")
    (position,) = trader.get("/v2/positions").json()
    assert position["qty"] == "151"
    contents = paper_exchange.contents()
    (split,) = [e["payload"] for e in contents["events"] if e["kind"] == "split"]
    assert (split["before"], split["after"], split["cash_in_lieu"]) == ("101", "151", "9.29")  # half of 27.87 * 2/3
    assert {o["client_order_id"]: o["status"] for o in contents["orders"]}["old shares"] == "canceled"
