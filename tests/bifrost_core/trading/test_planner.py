"""The planner: properties over any targets and holdings."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.planner import Leg, PlanKey, plan, target_shares
from bifrost_core.trading.targets import Target
from bifrost_core.trading.terms import Side

KEY = PlanKey("paper", uuid.UUID(int=7))
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
WEIGHTS = st.decimals("-1", "1", places=8)
PRICES = st.decimals("0.01", "5000", places=2)
TARGETS = st.lists(
    st.builds(Target, st.sampled_from(SYMBOLS), WEIGHTS, PRICES, st.just({})), unique_by=lambda t: t.symbol, max_size=5
)
HELD = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(-20_000, 20_000).map(Decimal))
EQUITY = st.decimals("0", "10000000", places=2)


def target(weight: str, price: str = "10", symbol: str = "AAPL") -> Target:
    return Target(symbol, Decimal(weight), Decimal(price), {})


def result(held, orders):
    after = dict(held)
    for order in orders:
        after[order.symbol] = after.get(order.symbol, Decimal(0)) + order.signed_qty
    return after


@given(TARGETS, HELD, EQUITY)
def test_the_plan_reaches_the_targets_and_touches_nothing_else(targets, held, equity):
    """Shares would be lost between the plan and the orders."""
    after = result(held, plan(KEY, targets, held, equity))
    wanted = {t.symbol: target_shares(t.target_weight, equity, t.reference_price) for t in targets}
    assert all(after.get(s, Decimal(0)) == q for s, q in wanted.items())
    assert all(after[s] == q for s, q in held.items() if s not in wanted)


@given(TARGETS, HELD, EQUITY)
def test_rounding_never_exceeds_the_target(targets, held, equity):
    """A book of many cheap shares would grow over its gross limit by rounding alone."""
    after = result(held, plan(KEY, targets, held, equity))
    for t in targets:
        assert abs(after.get(t.symbol, Decimal(0))) * t.reference_price <= abs(t.target_weight) * equity


@given(TARGETS, HELD, EQUITY)
def test_no_order_crosses_zero_and_sells_come_first(targets, held, equity):
    """Brokers refuse an order that sells a long position and shorts at once; buys first would need cash we lack."""
    now = dict(held)
    sides = []
    for order in plan(KEY, targets, held, equity):
        before = now.get(order.symbol, Decimal(0))
        after = now[order.symbol] = before + order.signed_qty
        assert before * after >= 0
        assert (abs(after) < abs(before)) is (order.leg is Leg.CLOSE)
        assert order.qty > 0
        assert order.qty == order.qty.to_integral_value()
        sides.append(order.side is Side.BUY)
    assert sides == sorted(sides)


@given(TARGETS, HELD, EQUITY)
def test_the_same_plan_has_the_same_ids(targets, held, equity):
    """A plan made again after a crash must be the same orders, or they are sent twice."""
    first = plan(KEY, targets, held, equity)
    again = plan(KEY, list(reversed(targets)), dict(reversed(held.items())), equity)
    assert first == again
    ids = [o.client_order_id for o in first]
    assert len(set(ids)) == len(ids)
    assert all(len(i) <= 48 for i in ids)


def test_ids_differ_by_everything_that_matters():
    """Two different orders under one id would be one order at the broker."""
    keys = [KEY, PlanKey("other", KEY.batch_id), PlanKey("paper", uuid.UUID(int=8)), PlanKey("paper", KEY.batch_id, 1)]
    ids = {k.order_id(s, leg) for k in keys for s in ("AAPL", "IBM") for leg in Leg}
    assert len(ids) == len(keys) * 2 * 2


def test_small_trades_wait_but_flattening_never_does():
    """Commissions eat trades of a few dollars; a position that should be gone must go, however small."""
    held = {"AAPL": Decimal(100)}
    assert plan(KEY, [target("0.0101")], held, Decimal(100_000), Decimal(100)) == ()
    assert len(plan(KEY, [target("0.0111")], held, Decimal(100_000), Decimal(100))) == 1
    (flat,) = plan(KEY, [target("0")], {"AAPL": Decimal(1)}, Decimal(100_000), Decimal(100))
    assert (flat.side, flat.qty, flat.leg) == (Side.SELL, Decimal(1), Leg.CLOSE)


def test_crossing_zero_is_two_orders():
    """Long 100 to short 50."""
    close, opened = plan(KEY, [target("-0.005")], {"AAPL": Decimal(100)}, Decimal(100_000))
    assert (close.leg, close.signed_qty) == (Leg.CLOSE, Decimal(-100))
    assert (opened.leg, opened.signed_qty) == (Leg.OPEN, Decimal(-50))


def test_working_orders_count_as_held():
    """A second batch would order what the first is still buying."""
    working = {"AAPL": Decimal(60)}
    (rest,) = plan(KEY, [target("0.01")], {"AAPL": Decimal(30)}, Decimal(100_000), working=working)
    assert rest.signed_qty == Decimal(10)


def test_a_ruined_account_flattens():
    """Negative equity must not turn the signs of the targets."""
    (flat,) = plan(KEY, [target("0.5")], {"AAPL": Decimal(30)}, Decimal(-5))
    assert flat.signed_qty == Decimal(-30)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "0", "-1"])
def test_no_size_without_a_price(bad):
    """NaN compares false with everything and would slip through."""
    with pytest.raises(ValueError, match="cannot size"):
        plan(KEY, [target("0.5", bad)], {}, Decimal(1000))
