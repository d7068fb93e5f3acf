"""Orders by hand: what is decided of a bracket, of an amendment of it, and of orders that cancel one another."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal

from bifrost_core.trading.orders import Order, OrdStatus
from bifrost_core.trading.positions import Holdings, Position
from bifrost_core.trading.risk import RiskCode
from bifrost_core.trading.terms import OrdType, Side, Terms
from execution_daemon.core.book import Book, signed_leaves
from execution_daemon.core.intents import decide_all, last_prices
from execution_daemon.core.manual import Desk, ManualOrder, amended, asked_for, one_of
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
    ask = amended(replace(DESK, command_id=uuid.UUID(int=8)), stop, None, None, D(49))
    assert decided(others, (ask,))[1] == [None]


def test_entries_that_cancel_one_another_count_each_in_full():
    """Both may be executed before the cancel arrives: neither is free."""
    entries = [
        ManualOrder("AAPL", Side.BUY, D(9000), Terms(OrdType.LIMIT, limit_price=D(price)), None) for price in (49, 50)
    ]
    assert decided(FLAT, one_of(DESK, FLAT, entries))[1] == [None, RiskCode.MAX_POSITION]
