"""The message throttle: how fast, how many at once, and what is kept for cancels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.throttle import Throttle


def test_burst_then_rate():
    """The broker bans who sends faster than it allows."""
    throttle = Throttle(per_second=2.0, burst=3.0, reserve=0.0)
    assert [throttle.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert throttle.take(0.25) == 0.25
    assert throttle.take(0.5) == 0.0


def test_cancels_have_a_reserve():
    """A flood of new orders must not keep us from taking them back."""
    throttle = Throttle(per_second=1.0, burst=3.0, reserve=2.0)
    assert throttle.take(0.0) == 0.0
    assert throttle.take(0.0) == 1.0
    assert [throttle.take(0.0, is_cancel=True) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_what_is_left_is_parted_by_whom_it_is_for():
    """The gauge of a full bucket beside orders that wait would explain nothing."""
    throttle = Throttle(per_second=1.0, burst=5.0, reserve=2.0)
    assert throttle.left(0.0) == (3.0, 2.0)
    assert [throttle.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert throttle.left(0.0) == (0.0, 2.0)
    assert throttle.take(0.0, is_cancel=True) == 0.0
    assert throttle.left(0.0) == (0.0, 1.0)
    assert throttle.left(2.5) == (1.5, 2.0)


def test_a_reserve_of_everything_lets_an_order_through_in_the_end():
    """A limit that was typed too high must not stop trading for ever."""
    assert Throttle(per_second=1.0, burst=2.0, reserve=5.0).take(0.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), min_size=1, max_size=60))
def test_no_window_holds_more_than_burst_and_rate(asked):
    """What leaves in any span of time is at most the burst and the rate of that span."""
    throttle, now, sent = Throttle(per_second=3.0, burst=5.0, reserve=2.0), 0.0, []
    for wait, is_cancel in asked:
        now += wait
        if throttle.take(now, is_cancel) == 0.0:
            sent.append(now)
    for i, start in enumerate(sent):
        for j in range(i, len(sent)):
            assert j - i + 1 <= 5 + 3 * (sent[j] - start) + 1e-6
