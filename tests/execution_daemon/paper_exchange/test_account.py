"""The account's arithmetic."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.terms import Side
from execution_daemon.paper_exchange.account import (
    Commitment,
    Margin,
    Position,
    after_fill,
    after_split,
    buying_power,
    equity,
    opening_value,
)

D = Decimal


def test_average_cost_moves_only_when_the_position_grows():
    """Reported cost and unrealised profit would drift with every partial sale."""
    held = after_fill(Position("X", D(0), D(0)), Side.BUY, D(100), D(10))
    held = after_fill(held, Side.BUY, D(100), D(20))
    assert (held.qty, held.avg_cost) == (200, 15)
    held = after_fill(held, Side.SELL, D(50), D(99))
    assert (held.qty, held.avg_cost) == (150, 15)
    held = after_fill(held, Side.SELL, D(250), D(30))
    assert (held.qty, held.avg_cost) == (-100, 30)
    assert after_fill(held, Side.BUY, D(100), D(1)) == Position("X", D(0), D(0))


def test_a_split_gives_whole_shares_and_cash_for_the_rest():
    """A fraction of a share would stay that no order can sell, or value would vanish."""
    position, lieu = after_split(Position("X", D(101), D(30)), Fraction(2, 3), D(20))  # three for two
    assert (position.qty, position.avg_cost, lieu) == (151, 20, D("10.00"))
    position, lieu = after_split(Position("X", D(-7), D(10)), Fraction(10), D(100))  # one for ten
    assert (position.qty, lieu) == (0, D("-70.00"))


@given(
    st.integers(-10_000, 10_000),
    st.sampled_from([Fraction(1, 2), Fraction(1, 7), Fraction(2, 3), Fraction(3), Fraction(10)]),
)
def test_a_split_keeps_value_to_the_cent(qty, factor):
    """Splits would make or lose money."""
    price = D(60) * factor.numerator / factor.denominator
    position, lieu = after_split(Position("X", D(qty), D(60)), factor, price)
    assert abs(position.qty * price + lieu - D(qty) * 60) <= D("0.01")


def test_each_held_share_can_be_sold_once():
    """Two sales of the same shares would need no buying power: an unlimited short."""
    held = [Position("X", D(100), D(10))]
    sell = Commitment("X", Side.SELL, D(100), D(10))
    assert opening_value(held, [sell]) == 0
    assert opening_value(held, [sell, sell]) == 1000
    assert opening_value(held, [Commitment("X", Side.SELL, D(150), D(10))]) == 500
    assert opening_value([], [Commitment("X", Side.BUY, D(5), D(10))]) == 50


def test_buying_power_is_twice_equity_less_what_is_held_and_ordered():
    """Leverage would be unlimited, or an open order would not count."""
    held = [Position("X", D(100), D(10)), Position("Y", D(-50), D(20))]
    marks = {"X": D(11), "Y": D(18)}
    assert equity(D(1000), held, marks) == 1000 + 1100 - 900
    order = Commitment("X", Side.BUY, D(10), D(12))
    assert buying_power(D(1000), held, marks, [order], Margin()) == 2 * 1200 - (1100 + 900) - 120
