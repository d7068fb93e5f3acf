"""The pace, the patience and the end of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bifrost_assets.market_data.providers.base import ProviderDown
from bifrost_assets.market_data.providers.politeness import (
    GIVEN_UP_MAX,
    PoliteCaller,
    TokenBucket,
    TryAgain,
    bucket_of,
    pause_before,
    seconds_asked,
)
from bifrost_core.settings import Settings


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def taken(bucket: TokenBucket, clock: Clock, n: int) -> list[float]:
    times = []
    for _ in range(n):
        bucket.take()
        times.append(round(clock.now - 100, 6))
    return times


def test_a_burst_and_then_the_pace() -> None:
    """A backfill of 500 symbols would be blocked by the vendor; a night of five would be slowed for nothing."""
    clock = Clock()
    bucket = TokenBucket(2.0, burst=3, clock=clock, sleep=clock.sleep)
    assert taken(bucket, clock, 6) == [0, 0, 0, 0.5, 1.0, 1.5]
    clock.sleep(60)
    assert taken(bucket, clock, 4) == [61.5, 61.5, 61.5, 62.0]


def test_a_hold_stops_everybody() -> None:
    """One thread would wait as the server asked, and the three others go on."""
    clock = Clock()
    bucket = TokenBucket(2.0, burst=3, clock=clock, sleep=clock.sleep)
    bucket.hold(30)
    assert taken(bucket, clock, 2) == [30.0, 30.5]


def test_a_server_has_one_bucket_in_a_process() -> None:
    """Minutes and days, fetched at the same time, would go at twice the pace."""
    assert bucket_of("http://one", 2.0) is bucket_of("http://one", 2.0)
    assert bucket_of("http://one", 2.0) is not bucket_of("http://other", 2.0)


def test_pauses_grow_are_jittered_and_bounded() -> None:
    """Everybody who failed together would come back together, or after hours."""
    for attempt, longest in [(0, 1.0), (3, 8.0), (10, 60.0)]:
        pauses = [pause_before(attempt, 1.0, 60.0) for _ in range(500)]
        assert 0 <= min(pauses) < longest / 4
        assert longest * 3 / 4 < max(pauses) <= longest


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-reset": str(int(datetime(2026, 11, 23, 10, 0, 12, tzinfo=UTC).timestamp()))}, 12.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """It would be asked again before it wants to be, or at a date that is no number."""
    assert seconds_asked(headers, datetime(2026, 11, 23, 10, tzinfo=UTC)) == seconds


class Failing:
    """Something to ask that fails as told, then answers."""

    def __init__(self, *errors: TryAgain) -> None:
        self.errors = list(errors)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_tries_are_bounded(hasty: Callable[..., Settings]) -> None:
    """A vendor that is down for the night would be asked all night."""
    ask = Failing(*[TryAgain("answered 503")] * 9)
    with pytest.raises(ProviderDown, match="http://bounded answered 503, 3 times"):
        PoliteCaller(hasty(), "http://bounded", 1000).call(ask)
    assert ask.asked == 3


def test_a_wait_beyond_the_bound_is_not_waited_for(hasty: Callable[..., Settings]) -> None:
    """A run would sleep for the hour that a server asks for, and hold its place in the queue."""
    ask = Failing(TryAgain("answered 429", after=3600))
    with pytest.raises(ProviderDown, match="asks to wait 3600 seconds"):
        PoliteCaller(hasty(), "http://patient", 1000).call(ask)
    assert ask.asked == 1


def test_a_server_that_is_down_is_left_alone(hasty: Callable[..., Settings]) -> None:
    """Each of 500 symbols would be tried to the end, against a server that answers nobody."""
    caller = PoliteCaller(hasty(), "http://down", 1000)
    ask = Failing(*[TryAgain("answered 503")] * 1000)
    for _ in range(GIVEN_UP_MAX):
        with pytest.raises(ProviderDown, match="answered 503"):
            caller.call(ask)
    with pytest.raises(ProviderDown, match="left alone"):
        caller.call(ask)
    assert ask.asked == GIVEN_UP_MAX * 3


def test_a_success_in_between_forgives(hasty: Callable[..., Settings]) -> None:
    """Failures scattered over a night would add up to a server that is down."""
    caller = PoliteCaller(hasty(), "http://moody", 1000)
    for _ in range(GIVEN_UP_MAX + 1):
        with pytest.raises(ProviderDown):
            caller.call(Failing(*[TryAgain("answered 503")] * 3))
        assert caller.call(Failing()) == "answer"
