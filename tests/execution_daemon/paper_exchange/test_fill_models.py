"""The fill models: more careful than a touch, never beyond the bar."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.terms import OrdType, Side, Terms
from execution_daemon.paper_exchange.fill_models import FillModel, LimitFills, Slippage, mean_impact, taken_at
from execution_daemon.paper_exchange.matching import Liquidity, after_open, at_open
from execution_daemon.paper_exchange.tape import Bar
from execution_daemon.paper_exchange.working import WorkingOrder

D = Decimal
BAR = Bar(*map(D, ("10", "12", "8", "11", "1000")))
QUEUE = FillModel(LimitFills.QUEUE, queue_fraction=D("0.1"))
ROOT = FillModel(slippage=Slippage.SQUARE_ROOT)


def bid(limit: str, leaves: int = 500) -> WorkingOrder:
    return WorkingOrder("o", Side.BUY, D(leaves), Terms(OrdType.LIMIT, limit_price=D(limit)))


def test_the_queue_is_served_before_us():
    """A strategy that rests would look better than it is: it would have everything that traded at its price."""
    outcome = after_open([bid("9")], Liquidity(BAR, D(1000), QUEUE))
    (execution,) = outcome.executions  # a quarter of the range: 250 shares, after 100 before us
    assert (execution.qty, execution.price) == (150, 9)
    assert dict(outcome.live)["o"].queue_ahead == 0


def test_a_queue_that_is_not_served_is_shorter_the_next_time():
    """A resting order would begin at the end of the queue with every bar."""
    behind = FillModel(LimitFills.QUEUE, queue_fraction=D("0.3"))
    outcome = after_open([bid("9")], Liquidity(BAR, D(1000), behind))
    assert outcome.executions == ()
    assert dict(outcome.live)["o"].queue_ahead == 50


def test_a_touch_alone_fills_by_chance_and_repeats():
    """A touched limit would always fill, or a replay would fill otherwise than the first run."""
    model = FillModel(LimitFills.CHANCE, fill_probability=D("0.5"), seed=3)
    drawn = [bool(after_open([bid("8")], Liquidity(BAR, D(1000), model, f"day {n}")).executions) for n in range(200)]
    assert 60 < sum(drawn) < 140
    again = [bool(after_open([bid("8")], Liquidity(BAR, D(1000), model, f"day {n}")).executions) for n in range(200)]
    assert drawn == again
    assert after_open([bid("8.01")], Liquidity(BAR, D(1000), model)).executions  # traded through


def test_taking_more_costs_more():
    """Size would be free, and capacity unlimited."""
    costs = [taken_at(ROOT, Side.BUY, D(10), D(qty), BAR, "") for qty in (1, 100, 400)]
    assert D(10) < costs[0] < costs[1] < costs[2] <= BAR.high
    assert abs(mean_impact(D(400), BAR) / mean_impact(D(100), BAR) - 2) < D("1e-20")
    assert taken_at(ROOT, Side.SELL, D(10), D(100), BAR, "") < 10


@given(st.sampled_from(Side), st.integers(1, 1000), st.sampled_from(list(Slippage)), st.integers(0, 50))
def test_slippage_is_never_a_gift_and_never_outside_the_bar(side, qty, slippage, seed):
    """A model would make money, or fill at a price that did not exist."""
    price = taken_at(FillModel(slippage=slippage, seed=seed), side, BAR.open, D(qty), BAR, "x")
    assert BAR.low <= price <= BAR.high
    assert side.sign * (price - BAR.open) >= 0


def test_a_limit_is_kept_under_slippage():
    """A limit order would pay more than its limit."""
    (execution,) = at_open([bid("10")], Liquidity(BAR, D(1000), ROOT)).executions
    assert execution.price == 10


def test_nonsense_is_refused():
    """A typing error would fill everything, or nothing."""
    assert FillModel().objection() == ""
    assert "fill_probability" in FillModel(fill_probability=D(2)).objection()
    assert "impact" in FillModel(impact=D(-1)).objection()
