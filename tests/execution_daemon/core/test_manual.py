"""Orders by hand: what is decided of a bracket, of an amendment of it, and of orders that cancel one another."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import Order, OrdStatus
from bifrost_core.trading.positions import Holdings, Position
from bifrost_core.trading.risk import Quote, RiskCode
from bifrost_core.trading.terms import OrdType, Release, Side, Terms
from execution_daemon.core.book import Book, signed_leaves
from execution_daemon.core.intents import decide_all, last_prices
from execution_daemon.core.manual import Desk, ManualOrder, amended, asked_for, closing, one_of
from tests.execution_daemon.core.conftest import CONTROLS, MARKET

D = Decimal
DESK = Desk("paper", uuid.UUID(int=7), MARKET)
FLAT = Book("paper", Holdings(D(1_000_000)))
LONG = Book("paper", Holdings(D(1_000_000), {"AAPL": Position(D(100), D(50))}))
PROFIT = ManualOrder("AAPL", Side.SELL, D(100), Terms(OrdType.LIMIT, limit_price=D(52), reduce_only=True), None)
LOSS = replace(PROFIT, terms=Terms(OrdType.STOP, stop_price=D(48), reduce_only=True))


def decided(book, asks):
    """The intents, and the code of each denial."""
    work = decide_all(book, asks, MARKET, CONTROLS, last_prices(MARKET))
    return work.intents, [one.denied.code if one.denied else None for one in work.intents]


def working(book, intents):
    """The book with these orders at the broker."""
    orders = {one.ticket.client_order_id: Order(one.ticket, OrdStatus.NEW) for one in intents}
    return replace(book, orders=orders)


def test_both_exits_of_a_bracket_are_accepted():
    """The second one seemed to sell what the first one sells already: the entry stayed without its stop."""
    bracket = ManualOrder("AAPL", Side.BUY, D(9000), Terms(), None, take_profit=D(52), stop_loss=D(48))
    assert decided(FLAT, asked_for(DESK, FLAT, bracket))[1] == [None, None, None]


def test_exits_that_cancel_one_another_sell_what_is_held_once():
    """A take profit and a stop over one position are one sale, whichever comes."""
    intents, denied = decided(LONG, one_of(DESK, LONG, (PROFIT, LOSS)))
    assert denied == [None, None]
    links = {one.ticket.contingency for one in intents}
    assert [(link.is_oco, link.after) for link in links] == [(True, "")]
    assert not any(one.ticket.increases_exposure for one in intents)
    assert signed_leaves(working(LONG, intents)) == {"AAPL": D(-100)}


def test_without_the_link_the_second_sale_is_one_too_many():
    """The exception is for orders that cancel one another alone."""
    other = replace(DESK, command_id=uuid.UUID(int=8))
    asks = (*asked_for(DESK, LONG, PROFIT), *asked_for(other, LONG, LOSS))
    assert decided(LONG, asks)[1] == [None, RiskCode.REDUCE_ONLY]


def test_one_exit_is_amended_beside_the_other():
    """A stop could not be moved, nor made smaller when the other exit was executed in part."""
    intents, _ = decided(LONG, one_of(DESK, LONG, (PROFIT, LOSS)))
    book = working(LONG, intents)
    stop = next(o for o in book.orders.values() if o.ticket.terms.order_type is OrdType.STOP)
    others = replace(book, orders={k: o for k, o in book.orders.items() if o is not stop})
    ask = amended(replace(DESK, command_id=uuid.UUID(int=8)), book, stop, None, None, D(49))
    assert decided(others, (ask,))[1] == [None]


def test_entries_that_cancel_one_another_count_each_in_full():
    """Both may be executed before the cancel arrives: neither is free."""
    entries = [
        ManualOrder("AAPL", Side.BUY, D(9000), Terms(OrdType.LIMIT, limit_price=D(price)), None) for price in (49, 50)
    ]
    assert decided(FLAT, one_of(DESK, FLAT, entries))[1] == [None, RiskCode.MAX_POSITION]


def test_an_amended_order_that_is_held_waits_for_the_same():
    """It would be sent at once: a stop without a position, a second order before its first."""
    bracket = ManualOrder("AAPL", Side.BUY, D(100), Terms(), None, stop_loss=D(48))
    intents, _ = decided(FLAT, asked_for(DESK, FLAT, bracket))
    entry, stop = (Order(one.ticket, OrdStatus.NEW) for one in intents)
    stop = replace(stop, status=OrdStatus.HELD)
    book = replace(FLAT, orders={one.ticket.client_order_id: one for one in (entry, stop)})
    ask = amended(replace(DESK, command_id=uuid.UUID(int=8)), book, stop, None, None, D(47))
    link = ask.ticket.contingency
    assert (link.after, link.replaces, link.is_oco) == (stop.ticket.client_order_id, True, True)
    assert ask.awaited == 100
    again = Order(ask.ticket, OrdStatus.HELD)
    ended = replace(stop, status=OrdStatus.CANCELED)
    orders = {one.ticket.client_order_id: one for one in (entry, ended, again)}
    once_more = replace(DESK, command_id=uuid.UUID(int=9))
    assert amended(once_more, replace(FLAT, orders=orders), again, None, None, D(46)).awaited == 100
    others = replace(book, orders={entry.ticket.client_order_id: entry})
    assert decided(others, (ask,))[1] == [None]


def test_an_exit_that_the_market_has_come_to_is_amended():
    """At the price of the entry it is off the market: the stop would be canceled once part of the profit is taken."""
    bracket = ManualOrder("AAPL", Side.BUY, D(100), Terms(), None, take_profit=D(57), stop_loss=D(45))
    intents, _ = decided(FLAT, asked_for(DESK, FLAT, bracket))
    _, _, stop = (Order(one.ticket, OrdStatus.NEW) for one in intents)
    risen = replace(MARKET, last_trades={"AAPL": Quote(D(57), MARKET.now - timedelta(hours=1), D("56.9"), D("57.1"))})
    ask = amended(replace(DESK, command_id=uuid.UUID(int=8), market=risen), LONG, stop, D(70), None, None)
    assert [one.denied for one in decide_all(LONG, (ask,), risen, CONTROLS, last_prices(risen)).intents] == [None]


def test_an_order_after_another_is_what_it_will_be_then():
    """A sale of what the first one has sold already is a short sale: counted as closing, no limit saw it."""
    first = ManualOrder("AAPL", Side.SELL, D(100), Terms(), None)
    intents, _ = decided(LONG, asked_for(DESK, LONG, replace(first, then=(first,))))
    assert [one.ticket.increases_exposure for one in intents] == [False, True]
    elsewhere = replace(first, symbol="IBM")
    bought = ManualOrder("AAPL", Side.BUY, D(100), Terms(), None, then=(elsewhere,))
    asks = asked_for(DESK, FLAT, bought)
    assert [ask.awaited for ask in asks] == [0, 0], "shares of one symbol are not sold in another"
    assert [ask.ticket.increases_exposure for ask in asks] == [True, True]


def test_what_follows_an_order_is_not_worked_in_slices():
    """Its schedule was dropped, and all of it sent at once."""
    later = ManualOrder("AAPL", Side.SELL, D(100), Terms(), None, schedule="twap")
    with pytest.raises(BrokerError, match="not worked in slices"):
        asked_for(DESK, FLAT, ManualOrder("AAPL", Side.BUY, D(100), Terms(), None, then=(later,)))


def test_flatten_waits_for_the_exits_that_are_being_canceled():
    """The stop fills before its cancel arrives, then the closing order: the position is turned."""
    intents, _ = decided(LONG, one_of(DESK, LONG, (PROFIT, replace(LOSS, qty=D(100)))))
    book = working(LONG, intents)
    exits = {key: replace(order, is_cancel_wanted=True) for key, order in book.orders.items()}
    desk = replace(DESK, command_id=uuid.UUID(int=9))
    (ask,) = closing(desk, replace(book, orders=exits), None)
    link = ask.ticket.contingency
    assert (ask.ticket.order_qty, link.after in exits, link.release, link.is_oco) == (100, True, Release.ENDED, True)
    half = {key: replace(order, ticket=replace(order.ticket, order_qty=D(30))) for key, order in exits.items()}
    one = dict(list(half.items())[:1])
    asks = list(closing(desk, replace(book, orders=one), None))
    assert [(a.ticket.order_qty, a.ticket.is_held) for a in asks] == [(30, True), (70, False)]
