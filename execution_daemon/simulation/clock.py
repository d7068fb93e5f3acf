"""The simulated world's time: the loop's virtual seconds, and market time, which also skips ahead."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from bifrost_core.calendar import Session
from execution_daemon.simulation.loop import VirtualLoop

FIRST_DAY = date(2013, 2, 18)
BEFORE_OPEN = timedelta(minutes=30)
SESSIONS_MAX = 8


class WorldClock:
    """`wall` runs with the loop; `market` also skips. Both UTC."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start
        self._skips: list[tuple[float, timedelta]] = [(0.0, timedelta())]

    @property
    def seconds(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.time()

    def wall(self) -> datetime:
        """The warehouse's clock."""
        return self._start + timedelta(seconds=self._loop.time())

    def market(self) -> datetime:
        """Market time."""
        return self.wall() + self._skips[-1][1]

    def market_at(self, seconds: float) -> datetime:
        """Market time as it was at these virtual seconds."""
        skipped = next((by for at, by in reversed(self._skips) if at <= seconds), timedelta())
        return self._start + timedelta(seconds=seconds) + skipped

    def skip_to(self, at: datetime) -> None:
        """Let market time be `at`; it never goes back."""
        skipped = self._skips[-1][1] + max(at - self.market(), timedelta())
        self._skips.append((self._loop.time(), skipped))


def sessions() -> tuple[Session, ...]:
    """Sessions as New York has them in winter, on the weekdays from the first day."""
    days = (FIRST_DAY + timedelta(days=n) for n in range(2 * SESSIONS_MAX))
    trading = [day for day in days if day.weekday() < 5][:SESSIONS_MAX]
    return tuple(_session(day) for day in trading)


def _session(day: date) -> Session:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Session(day, midnight + timedelta(hours=14, minutes=30), midnight + timedelta(hours=21), False)
