"""The exchange on the wall clock (moved by hand here) over the real warehouse: live paper trading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from bifrost_core.clock import ManualClock
from bifrost_core.trading.terms import MARKET_DAY, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.exchange import Exchange, HouseRules, start_of
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.market import Market, WarehouseReader
from execution_daemon.paper_exchange.records import StoredOrder
from execution_daemon.paper_exchange.refusals import NewOrder, Refused
from tests.execution_daemon.conftest import insert_bar

SESSION = "2013-03-05"  # after the packaged bars end: nothing is known of it but what the test stores
HOUR = timedelta(hours=1)


class Live:
    """An exchange on a clock the test moves, and what it published."""

    def __init__(self, settings, path, clock: ManualClock) -> None:
        self.clock = clock
        self.published: list[str] = []
        self.reader = WarehouseReader(settings)
        self.ledger = Ledger(path)
        market = Market(settings, self.reader)
        market.load()
        rules = HouseRules(initial_cash=settings.initial_cash, start=start_of(settings.first_session))
        self.exchange = Exchange(self.ledger, market, rules, clock, lambda m: self.published.append(m["data"]["event"]))

    def send(self, name: str, **changes: object) -> StoredOrder:
        plain = {
            "client_order_id": name,
            "symbol": "MSFT",
            "side": Side.BUY,
            "qty": Decimal(100),
            "terms": Terms(time_in_force=TimeInForce.OPG),
        }
        return self.exchange.submit(NewOrder(**(plain | changes)))

    def close(self) -> None:
        self.reader.close()
        self.ledger.close()


@pytest.fixture
def live(settings, market, owner, tmp_path) -> Iterator[Live]:
    """Before the open of the session, with yesterday's price known and today's not."""
    with owner.transaction() as connection, connection.cursor() as cursor:
        insert_bar(cursor, "MSFT", market("2013-03-04").session, 28.0, 28.2, 27.8, 28.1, 1_000_000)
    made = Live(settings, tmp_path / "ledger.sqlite", ManualClock(market(SESSION).open_at - HOUR))
    yield made
    made.close()


def publish_bar(owner, market) -> None:
    with owner.transaction() as connection, connection.cursor() as cursor:
        insert_bar(cursor, "MSFT", market(SESSION).session, 28.5, 29.0, 28.0, 28.7, 10_000_000)


def test_a_live_session_is_matched_when_its_bar_is_published(live, market, owner):
    """Live orders would expire before the day's bar arrives, or trade at yesterday's price."""
    session = market(SESSION)
    live.send("a")
    live.clock.at = session.close_at + HOUR
    assert live.exchange.run_due() == []
    assert live.ledger.executions() == ()
    publish_bar(owner, market)
    assert [due.moment for due in live.exchange.run_due()] == ["open", "close"]
    assert live.exchange.run_due() == []
    (execution,) = live.ledger.executions()
    assert (execution.price, execution.at) == (Decimal("28.5"), session.open_at)
    assert live.published == ["new", "fill"]


def test_without_a_bar_the_session_is_given_up_after_a_while(live, market):
    """An order would stay open for ever when a provider is down for a day."""
    live.send("a")
    live.clock.at = market(SESSION).close_at + 13 * HOUR
    live.exchange.run_due()
    assert [order.status for order in live.ledger.orders()] == ["expired"]


def test_an_order_waiting_for_its_bar_cannot_be_canceled(live, market):
    """A trader who has seen the day could take back the orders that lost."""
    order = live.send("a")
    live.clock.at = market(SESSION).open_at + HOUR
    with pytest.raises(Refused, match="being matched"):
        live.exchange.cancel(order.order_id)
    late = live.send("b", terms=MARKET_DAY)
    live.exchange.cancel(late.order_id)
    assert live.published == ["new", "new", "canceled"]


def test_an_order_sent_while_a_bar_is_awaited_is_late(live, market, owner):
    """An order sent after the open would take part in the auction, because the auction is computed later."""
    live.send("early", terms=MARKET_DAY)
    live.clock.at = market(SESSION).open_at + HOUR
    live.send("late", terms=MARKET_DAY)
    live.clock.at = market(SESSION).close_at + HOUR
    live.send("tomorrow")
    publish_bar(owner, market)
    live.exchange.run_due()
    filled = {o.client_order_id: o.filled_value / 100 for o in live.ledger.orders() if o.filled_qty}
    assert filled == {"early": Decimal("28.5"), "late": Decimal("28.7")}
    assert [o.client_order_id for o in live.ledger.open_orders()] == ["tomorrow"]


def test_a_change_that_fails_is_neither_stored_nor_published(live, monkeypatch):
    """Clients would hear of orders that the ledger does not have."""
    monkeypatch.setattr(live.ledger, "log", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        live.send("a")
    assert live.ledger.orders() == ()
    assert live.published == []
    monkeypatch.undo()
    live.send("b")
    assert live.published == ["new"]


def test_years_without_an_order_pass_at_once(live, settings, market, tmp_path):
    """Setting a replay's clock would take thousands of commits."""
    rules = HouseRules(initial_cash=Decimal(1000), start=start_of(settings.first_session))
    quiet = Market(settings, live.reader)
    ledger = Ledger(tmp_path / "replay.sqlite")
    replay = Exchange(ledger, quiet, rules, None, lambda _: None)
    assert replay.now().isoformat() == "2000-01-03T00:00:00+00:00"
    assert replay.move_clock(market(SESSION).open_at) == []
    assert replay.now() == market(SESSION).open_at
    ledger.close()


def test_a_live_split_waits_for_the_news_of_it(live, market, owner):
    """A split published with the day's bar would be missed: the position would lose half its value for good."""
    live.send("a")
    live.clock.at = market(SESSION).close_at + HOUR
    publish_bar(owner, market)
    live.exchange.run_due()
    following = market("2013-03-06")
    live.clock.at = following.open_at - HOUR
    live.send("new shares", qty=Decimal(50))
    live.clock.at = following.close_at + HOUR
    assert live.exchange.run_due() == []
    with owner.transaction() as connection, connection.cursor() as cursor:
        insert_bar(cursor, "MSFT", following.session, 14.0, 14.5, 13.9, 14.2, 20_000_000)
        cursor.execute(
            "insert into raw.corporate_actions select instrument_id, '2013-03-06', now(), now(), 'split', 0.5,"
            " 'test', %s from reference.instruments where symbol = 'MSFT'",
            ("0" * 64,),
        )
    live.exchange.run_due()
    (position,) = live.ledger.positions()
    assert (position.qty, position.avg_cost.normalize()) == (250, Decimal("14.2"))
    assert [o.status for o in live.ledger.orders()] == ["filled", "filled"]
