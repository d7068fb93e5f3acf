"""How fast messages may go to the broker: a token bucket, of which a part is kept for cancels. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Left(NamedTuple):
    """Messages that any order may still take, and those that only cancels may."""

    orders: float
    cancels: float


@dataclass(slots=True)
class Throttle:
    """At most `burst` messages at once, then `per_second`; new orders leave `reserve` of the burst to cancels."""

    per_second: float
    burst: float
    reserve: float
    _tokens: float = -1.0
    _at: float = 0.0

    def take(self, now: float, is_cancel: bool = False) -> float:
        """0 if a message may go at `now` (seconds, monotonic), which is then counted; else the seconds to wait."""
        held = self.tokens(now)
        kept = 0.0 if is_cancel else self._kept
        if held - kept >= 1:
            self._tokens, self._at = held - 1, now
            return 0.0
        return (1 + kept - held) / self.per_second

    def left(self, now: float) -> Left:
        """What may go at once, parted by whom it is for."""
        held = self.tokens(now)
        return Left(max(held - self._kept, 0.0), min(held, self._kept))

    @property
    def _kept(self) -> float:
        return min(self.reserve, self.burst - 1)

    def tokens(self, now: float) -> float:
        """Messages that may go at once, all of them cancels."""
        if self._tokens < 0:
            return self.burst
        return min(self._tokens + max(now - self._at, 0.0) * self.per_second, self.burst)
