"""How parents are spread over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.schedules import Algo, Schedule, due_shares, profile_between, slice_at

D = Decimal
START = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
END = START + timedelta(hours=6)
PROFILE = tuple(D(n) for n in ("0.4", "0.1", "0.1", "0.4"))
ALL = [
    Schedule(Algo.TWAP, 4),
    Schedule(Algo.VWAP, 4, PROFILE),
    Schedule(Algo.POV, 4, participation=D("0.1"), start_volume=D(1000)),
    Schedule(Algo.IS, 4),
]


def due(schedule, qty=1000, volume=None):
    return [due_shares(schedule, D(qty), n, volume) for n in range(schedule.slices)]


def test_each_schedule_by_hand():
    """A curve that is wrong trades at the wrong time of the day."""
    assert due(ALL[0]) == [250, 500, 750, 1000]
    assert due(ALL[1]) == [400, 500, 600, 1000]
    assert due_shares(ALL[2], D(1000), 0, D(3005)) == 200
    assert due_shares(ALL[2], D(1000), 3, D(100_000)) == 1000
    assert due_shares(ALL[2], D(1000), 3, None) == 0
    # k = 1.5: 1 - sinh(1.5 (1 - t)) / sinh(1.5)
    assert due(ALL[3]) == [352, 613, 819, 1000]


def test_shortfall_is_front_loaded_against_twap():
    """Waiting is what implementation shortfall is to avoid."""
    assert all(a > b for a, b in zip(due(ALL[3])[:-1], due(ALL[0])[:-1], strict=True))


@given(st.sampled_from(ALL), st.integers(1, 10_000), st.integers(0, 10**6))
def test_what_is_due_grows_and_never_exceeds_the_parent(schedule, qty, volume):
    """A slice would be negative, or the children more than their parent."""
    shares = due(schedule, qty, D(volume))
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= qty
    assert schedule.algo is Algo.POV or shares[-1] == qty


def test_the_slices_of_the_day():
    """A slice would be sent before its time, or after the end."""
    assert [slice_at(ALL[0], START, END, START + timedelta(hours=h)) for h in (-1, 0, 2, 5, 6)] == [None, 0, 1, 3, None]


@pytest.mark.parametrize(
    "wrong",
    [Schedule(Algo.TWAP, 0), Schedule(Algo.VWAP, 4), Schedule(Algo.POV, 4), Schedule(Algo.IS, 4, urgency=D(0))],
)
def test_nonsense_is_named(wrong):
    """It would fail in the middle of the day."""
    assert wrong.objection()


@given(st.integers(0, 99), st.integers(1, 100))
def test_the_profile_of_a_part_sums_to_one(begin, length):
    """An order would be left over, or asked for twice."""
    part = profile_between(PROFILE, D(begin) / 100, D(min(begin + length, 100)) / 100)
    assert len(part) == len(PROFILE)
    assert abs(sum(part) - 1) < D("1e-20")
    assert min(part) >= 0


def test_a_part_without_volume_is_even():
    """There would be no schedule at all."""
    assert profile_between((D(1), D(0)), D("0.5"), D(1)) == (D("0.5"), D("0.5"))
