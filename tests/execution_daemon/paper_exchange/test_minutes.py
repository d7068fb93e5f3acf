"""Sessions of which one-minute bars are stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.execution_daemon.paper_exchange.requests_of import BEFORE, SESSION, fills, send

MINUTE = timedelta(minutes=1)
BARS = ((28.13, 28.15, 28.10, 28.12, 1000), (28.11, 28.14, 28.02, 28.05, 2000), (28.06, 28.20, 28.04, 28.18, 3000))


@pytest.fixture
def trader(paper_exchange, market, owner):
    """The account before a session whose first three minutes, and last, are known."""
    session = market(SESSION)
    starts = [session.open_at + n * MINUTE for n in range(3)] + [session.close_at - MINUTE]
    with owner.transaction() as connection:
        connection.execute("select raw.ensure_minute_partitions_v1(%s, %s)", (session.open_at, session.close_at))
        for start_at, bar in zip(starts, (*BARS, BARS[0]), strict=True):
            connection.execute(
                "insert into raw.minute_bars select instrument_id, %s, %s, now(), now(), %s, %s, %s, %s, %s, 'test', %s"
                " from reference.instruments where symbol = 'MSFT'",
                (session.session, start_at, *bar, "0" * 64),
            )
    paper_exchange.move_clock(session.open_at - BEFORE)
    with paper_exchange.trader as client:
        yield client


def test_orders_trade_in_the_minute_that_reaches_them(paper_exchange, market, trader):
    """Everything of a day would be reported at its close, in no order."""
    session = market(SESSION)
    send(trader, "open")
    send(trader, "limit", type="limit", limit_price="28.05", time_in_force="day", qty="10")
    send(trader, "stop", type="stop", stop_price="28.16", time_in_force="day", qty="10")
    paper_exchange.move_clock(session.open_at + MINUTE)
    assert fills(trader) == [("open", "100", "28.13")]
    paper_exchange.move_clock(session.open_at + 2 * MINUTE)
    assert fills(trader)[1:] == [("limit", "10", "28.05")]
    paper_exchange.move_clock(session.open_at + 3 * MINUTE)
    assert fills(trader)[2:] == [("stop", "10", "28.16")]


def test_each_minute_has_its_own_cap_and_its_own_price(paper_exchange, market, trader):
    """An order of the second minute would trade at the first one's price, or take more than a fifth of its volume."""
    session = market(SESSION)
    paper_exchange.move_clock(session.open_at + MINUTE)
    last = trader.get("/v2/stocks/trades/latest", params={"symbols": "MSFT"}).json()["trades"]["MSFT"]
    assert (last["p"], last["t"][:19]) == (28.12, "2013-02-20T14:31:00")
    paper_exchange.move_clock(session.open_at + MINUTE + timedelta(seconds=30))
    send(trader, "late", time_in_force="day", qty="700")
    paper_exchange.move_clock(session.open_at + 3 * MINUTE)
    assert fills(trader) == [("late", "400", "28.05"), ("late", "300", "28.06")]


def test_a_day_in_one_move_is_the_same_as_minute_by_minute(paper_exchange, market, trader):
    """A replay's fills would depend on how its clock is moved."""
    session = market(SESSION)
    send(trader, "trail", type="trailing_stop", trail_price="0.10", side="sell", time_in_force="day", qty="10")
    send(trader, "close", time_in_force="cls", qty="10")
    paper_exchange.move_clock(session.close_at)
    at_once = fills(trader)
    paper_exchange.reset()
    paper_exchange.move_clock(session.open_at - BEFORE)
    send(trader, "trail", type="trailing_stop", trail_price="0.10", side="sell", time_in_force="day", qty="10")
    send(trader, "close", time_in_force="cls", qty="10")
    for n in range(5):
        paper_exchange.move_clock(session.open_at + n * MINUTE)
        paper_exchange.kill()
        paper_exchange.start()
    paper_exchange.move_clock(session.close_at)
    assert fills(trader) == at_once
    assert [name for name, *_ in at_once] == ["trail", "close"]


def test_a_snapshot_tells_the_volume_so_far(paper_exchange, market, trader):
    """What is worked in proportion to the volume would have nothing to go by, or know it in advance."""
    session = market(SESSION)

    def day(symbol="MSFT"):
        return trader.get("/v2/stocks/snapshots", params={"symbols": symbol}).json()[symbol]["dailyBar"]

    paper_exchange.move_clock(session.open_at)
    assert day() == {"t": "2013-02-20T14:30:00.000000Z", "v": 0}
    paper_exchange.move_clock(session.open_at + 2 * MINUTE + timedelta(seconds=30))
    assert day()["v"] == 3000
    assert day("AAPL") is None, "a day's bar alone: its volume is known at the close"
    paper_exchange.move_clock(session.close_at)
    assert day()["v"] == 7000
    assert day("AAPL")["v"] > 7000
