"""Good manners towards a vendor's server: a steady pace, patience with failures that may pass, and an end to it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from bifrost_assets.market_data.providers.base import ProviderDown

if TYPE_CHECKING:
    from bifrost_core.settings import Settings

T = TypeVar("T")

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
BURST = 20  # requests that a server gets at once after a pause: a small universe is never slowed down
GIVEN_UP_MAX = 5  # requests in a row that were given up, after which the server counts as down for a while


class TryAgain(Exception):
    """The same request may succeed in a moment. `after` is how many seconds the server asked to wait."""

    def __init__(self, problem: str, after: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.after = after


class TokenBucket:
    """Lets `per_second` requests a second through, and up to `burst` at once after a pause. For many threads."""

    def __init__(
        self,
        per_second: float,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._step = 1 / per_second
        self._slack = (burst - 1) * self._step
        self._clock = clock
        self._sleep = sleep
        self._next = float("-inf")
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for the next free place."""
        with self._lock:
            now = self._clock()
            mine = max(self._next, now - self._slack)
            self._next = mine + self._step
        if mine > now:
            self._sleep(mine - now)

    def hold(self, seconds: float) -> None:
        """Give nobody a place for so long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


@lru_cache(maxsize=16)
def bucket_of(server: str, per_second: float) -> TokenBucket:  # noqa: ARG001 - the key of the cache
    """The bucket that everything in this process shares which asks `server`."""
    return TokenBucket(per_second)


class PoliteCaller:
    """Asks one server: at its pace, again after a failure that may pass, and not at all while it is down."""

    def __init__(self, settings: Settings, server: str, per_second: float) -> None:
        self._server = server
        self._tries = settings.provider_tries
        self._base = settings.provider_backoff_seconds
        self._longest = settings.provider_backoff_max_seconds
        self._bucket = bucket_of(server, per_second)
        self._given_up = 0
        self._down_until = float("-inf")

    def call(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, which raises TryAgain for another try; raises ProviderDown when there is no use in it."""
        for attempt in range(self._tries):
            self._raise_if_down()
            self._bucket.take()
            try:
                answer = ask()
            except TryAgain as error:
                self._wait(error, attempt)
            else:
                self._given_up = 0
                return answer
        raise AssertionError("the last try returns or raises")

    def _wait(self, error: TryAgain, attempt: int) -> None:
        if error.after is not None and error.after > self._longest:
            raise self._gives_up(f"{error.problem} and asks to wait {error.after:.0f} seconds") from error
        if attempt + 1 == self._tries:
            raise self._gives_up(f"{error.problem}, {self._tries} times") from error
        if error.after is not None:
            self._bucket.hold(error.after)
        else:
            time.sleep(pause_before(attempt, self._base, self._longest))

    def _gives_up(self, problem: str) -> ProviderDown:
        self._given_up += 1
        if self._given_up >= GIVEN_UP_MAX:
            self._down_until = time.monotonic() + self._longest
        return ProviderDown(f"{self._server} {problem}", "Check the network, or try again later")

    def _raise_if_down(self) -> None:
        if time.monotonic() < self._down_until:
            raise ProviderDown(
                f"{self._server} failed {self._given_up} requests in a row and is left alone for a while",
                "Try again later",
            )


def pause_before(attempt: int, base: float, longest: float) -> float:
    """Seconds to wait after failed try `attempt` (0 the first): exponential backoff with full jitter."""
    return random.uniform(0, min(longest, base * 2**attempt))


def seconds_asked(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long the server asks to wait: Retry-After in seconds or as a date, or X-RateLimit-Reset in Unix time."""
    now = now or datetime.now(UTC)
    if text := headers.get("retry-after"):
        try:
            return max(0.0, float(text) if text.strip().isdigit() else _until(parsedate_to_datetime(text), now))
        except ValueError:
            return None
    reset = headers.get("x-ratelimit-reset", "")
    return max(0.0, float(reset) - now.timestamp()) if reset.isdigit() else None


def _until(then: datetime, now: datetime) -> float:
    return (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
