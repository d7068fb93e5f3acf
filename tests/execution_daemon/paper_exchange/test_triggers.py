"""Stops, trailing stops and touched orders along the two paths through a bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.terms import OrdType, Side, Terms
from execution_daemon.paper_exchange.tape import Bar
from execution_daemon.paper_exchange.triggers import through_bar, trigger_price
from execution_daemon.paper_exchange.working import Live, WorkingOrder, accepts

D = Decimal
BAR = Bar(*map(D, ("10", "12", "8", "11", "1000")))
BUY, SELL = Side.BUY, Side.SELL


def order(side: Side, kind: str, mark: str | None = None, **prices: str) -> WorkingOrder:
    terms: dict[str, Any] = {name: D(value) for name, value in prices.items()}
    live = Live(high_water=None if mark is None else D(mark))
    return WorkingOrder("o", side, D(1), Terms(OrdType(kind), **terms), live=live)


CASES = [
    ("a stop in the range trades at its price", order(BUY, "stop", stop_price="11.5"), "11.5"),
    ("a stop that the open jumped over trades at the open", order(BUY, "stop", stop_price="9.5"), "10"),
    ("a stop out of reach waits", order(BUY, "stop", stop_price="12.01"), None),
    ("a sell stop falls to its price", order(SELL, "stop", stop_price="8.5"), "8.5"),
    ("a stop limit trades at its trigger", order(BUY, "stop_limit", stop_price="11", limit_price="11.2"), "11"),
    ("a gap beyond its limit rests there", order(BUY, "stop_limit", stop_price="9", limit_price="9.5"), "9.5"),
    ("a limit below the trigger needs a later low", order(BUY, "stop_limit", stop_price="11.5", limit_price="9"), None),
    ("a touched purchase trades where it is touched", order(BUY, "market_if_touched", stop_price="9"), "9"),
    ("a touched sale trades where it is touched", order(SELL, "market_if_touched", stop_price="11.5"), "11.5"),
    ("a touched limit is reached after it", order(BUY, "limit_if_touched", stop_price="9", limit_price="8.5"), "8.5"),
    ("a touched limit out of reach waits", order(BUY, "limit_if_touched", stop_price="9", limit_price="7.5"), None),
    ("a trailing sale trades at the worse path's price", order(SELL, "trailing_stop", "10", trail_offset="1"), "9"),
    ("a trail wider than one path's fall waits", order(SELL, "trailing_stop", "10", trail_offset="3"), None),
    ("a trailing purchase", order(BUY, "trailing_stop", "10", trail_offset="1.5"), "11.5"),
    ("an old mark jumped over trades at the open", order(SELL, "trailing_stop", "13", trail_offset="2"), "10"),
]


@pytest.mark.parametrize(("working", "price"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_kind_has_its_price(working, price):
    """A stop would trade at a price that the bar does not prove, or better than its owner could have had."""
    assert through_bar(working, BAR).price == (None if price is None else D(price))


def test_a_trailing_stop_remembers_its_mark():
    """The stop would start again from each bar, and never follow."""
    walked = through_bar(order(SELL, "trailing_stop", "10", trail_offset="5"), BAR)
    assert (walked.price, walked.live.high_water) == (None, D(12))
    percent = WorkingOrder("o", SELL, D(1), Terms(OrdType.TRAILING_STOP, trail_offset=D(1)), False, D(10), walked.live)
    assert trigger_price(percent) == D("10.8")


def test_a_trailing_stop_limit_has_its_limit_from_its_trigger():
    """It would trade at any price once triggered, or never."""
    walked = through_bar(order(SELL, "trailing_stop_limit", "10", trail_offset="1", limit_offset="0.5"), BAR)
    assert (walked.price, walked.live.is_triggered, walked.live.active_limit) == (9, True, D("8.5"))


prices = st.integers(100, 2_000).map(lambda cents: D(cents) / 100)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, *between, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    first, last = draw(st.permutations(between))
    return Bar(first, high, low, last, D(1000))


@st.composite
def conditional(draw: st.DrawFn) -> WorkingOrder:
    kind = draw(st.sampled_from([k for k in OrdType if k not in (OrdType.MARKET, OrdType.LIMIT)]))
    side, trail = draw(st.sampled_from(Side)), kind.value.startswith("trailing")
    terms = Terms(
        kind,
        limit_price=draw(prices) if kind in (OrdType.STOP_LIMIT, OrdType.LIMIT_IF_TOUCHED) else None,
        stop_price=None if trail else draw(prices),
        trail_offset=draw(prices) / 4 if trail else None,
        limit_offset=D("0.1") if kind is OrdType.TRAILING_STOP_LIMIT else None,
    )
    assert not terms.objection()
    return WorkingOrder("o", side, D(1), terms, live=Live(high_water=draw(prices) if trail else None))


@given(conditional(), bars())
def test_a_triggered_order_trades_inside_the_bar_and_its_limit(working, bar):
    """Fills would be at prices that did not exist, or worse than allowed."""
    walked = through_bar(working, bar)
    if walked.price is not None:
        assert walked.live.is_triggered
        assert bar.low <= walked.price <= bar.high
        limit = working.terms.limit_price if walked.live.active_limit is None else walked.live.active_limit
        assert accepts(working.side, limit, walked.price)


@given(conditional(), bars())
def test_a_mark_only_improves(working, bar):
    """A trailing stop would move away from the price it protects."""
    before, after = working.live.high_water, through_bar(working, bar).live.high_water
    if before is not None and after is not None:
        assert working.side.other.sign * (after - before) >= 0
