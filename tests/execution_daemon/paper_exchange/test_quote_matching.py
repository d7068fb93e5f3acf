"""Matching against a recorded book."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.fill_models import FillModel, LimitFills
from execution_daemon.paper_exchange.quote_matching import Shown, match
from execution_daemon.paper_exchange.recorded import parse
from execution_daemon.paper_exchange.refusals import Refused
from execution_daemon.paper_exchange.tape import Quote
from execution_daemon.paper_exchange.working import Outcome, WorkingOrder

D = Decimal
AT = datetime(2013, 2, 20, 15, tzinfo=UTC)
QUOTE = Quote(AT, D("10.00"), D(300), D("10.02"), D(200))
QUEUE = FillModel(LimitFills.QUEUE)


def order(name: str, side: Side = Side.BUY, leaves: int = 100, limit: str | None = None, **terms: object):
    kind = OrdType.MARKET if limit is None else OrdType.LIMIT
    price = None if limit is None else D(limit)
    return WorkingOrder(name, side, D(leaves), Terms(**({"order_type": kind, "limit_price": price} | terms)))


def traded(outcome: Outcome) -> list[tuple[str, int, str]]:
    return [(e.order_id, int(e.qty), str(e.price)) for e in outcome.executions]


def test_orders_take_what_is_shown_in_price_and_time_priority():
    """A later order would be served before an earlier one, or more than is there."""
    book = [order("limit", limit="10.02"), order("first", leaves=150), order("second")]
    assert traded(match(book, Shown(QUOTE))) == [("first", 150, "10.02"), ("second", 50, "10.02")]
    assert traded(match([order("s", Side.SELL)], Shown(QUOTE, sold=D(250)))) == [("s", 50, "10.00")]


def test_immediate_orders_fill_or_go():
    """Fill-or-kill would leave half a hedge."""
    terms = {"time_in_force": TimeInForce.FOK}
    outcome = match(
        [order("fok", leaves=201, **terms), order("ioc", leaves=201, time_in_force=TimeInForce.IOC)], Shown(QUOTE)
    )
    assert traded(outcome) == [("ioc", 200, "10.02")]
    assert outcome.decided == ("fok", "ioc")


def test_post_only_is_rejected_when_it_would_take():
    """An order that was to earn the spread would pay it."""
    outcome = match(
        [order("takes", limit="10.02", post_only=True), order("rests", limit="10.01", post_only=True)], Shown(QUOTE)
    )
    assert (outcome.rejected, traded(outcome)) == (("takes",), [])


def rested(limit: str = "10.00") -> WorkingOrder:
    (name, live), *_ = match([order("rests", limit=limit)], Shown(QUOTE)).live
    return replace(order(name, limit=limit), live=live)


def test_a_resting_order_waits_its_turn():
    """It would be filled by trades that were for those before it."""
    waiting = rested()
    assert waiting.live.queue_ahead == 300
    trade = replace(QUOTE, last=D("10.00"), last_size=D(350))
    assert traded(match([waiting], Shown(trade), QUEUE)) == [("rests", 50, "10.00")]
    assert traded(match([waiting], Shown(trade))) == []  # touch knows no queue: only a price that comes to it
    assert rested("10.01").live.queue_ahead == 0


def test_a_price_that_comes_to_a_resting_order_fills_it_at_its_own():
    """A maker would be given a taker's price."""
    fallen = Quote(AT, D("9.90"), D(100), D("9.95"), D(70))
    assert traded(match([rested()], Shown(fallen))) == [("rests", 70, "10.00")]


def test_stops_watch_the_last_trade():
    """A stop would be set off by a quote that nobody traded at."""
    stop = order("stop", Side.SELL, order_type=OrdType.STOP, stop_price=D("9.99"))
    assert traded(match([stop], Shown(QUOTE))) == []
    outcome = match([stop], Shown(replace(QUOTE, last=D("9.99"), last_size=D(1))))
    assert traded(outcome) == [("stop", 100, "10.00")]
    assert dict(outcome.live)["stop"].is_triggered


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 400), st.none() | st.integers(990, 1010)), max_size=8))
def test_never_more_than_shown_and_never_beyond_a_limit(asked):
    """The exchange would invent shares, or trade at a price that was refused."""
    book = [order(f"o{n}", side, qty, None if c is None else str(D(c) / 100)) for n, (side, qty, c) in enumerate(asked)]
    outcome = match(book, Shown(QUOTE))
    by_name = {o.order_id: o for o in book}
    for side, size in ((Side.BUY, QUOTE.ask_size), (Side.SELL, QUOTE.bid_size)):
        assert sum(e.qty for e in outcome.executions if by_name[e.order_id].side is side) <= size
    for e in outcome.executions:
        limit = by_name[e.order_id].limit
        assert e.qty <= by_name[e.order_id].leaves
        assert limit is None or by_name[e.order_id].side.sign * (limit - e.price) >= 0


HEADER = "at,symbol,bid,bid_size,ask,ask_size,last,last_size\n"


def test_a_recording_is_read_exactly():
    """Prices would pass through a float."""
    read = parse(HEADER + "2013-02-20T15:00:00Z,msft,10.00,300,10.02,200,,\n")
    assert read == {"MSFT": [QUOTE]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at,symbol,bid\n", "bid_size, ask, ask_size is not there"),
        (HEADER + "2013-02-20T15:00:00,MSFT,10,1,11,1,,\n", "line 2"),
        (HEADER + "2013-02-20T15:00:00Z,MSFT,11,1,10,1,,\n", "no book"),
        (HEADER + "2013-02-20T15:00:00Z,MSFT,x,1,10,1,,\n", "line 2"),
        (HEADER + "2013-02-20T15:00:00Z,MSFT,9,1,10,1,9,\n", "go together"),
    ],
)
def test_a_recording_that_is_none_says_where(text, says):
    """A damaged file would trade at whatever could be read of it."""
    with pytest.raises(Refused, match=says):
        parse(text)
