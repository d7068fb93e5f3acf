"""What goes wrong between the simulated broker and its client: planned, or by its rate with a seeded generator."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Fault(StrEnum):
    """One kind of misfortune; the broker's own ledger is always right, only its client hears otherwise."""

    LOST_REQUEST = "lost_request"  # an order or a cancel never arrives; the client sees a timeout
    LOST_ANSWER = "lost_answer"  # it arrives; the client sees a timeout
    LATE_REQUEST = "late_request"  # the client sees a timeout, and may be told that it is absent; then it arrives
    LOST_REPORT = "lost_report"  # the stream drops a report
    DUPLICATE_REPORT = "duplicate_report"  # the stream says it twice
    REORDERED_REPORT = "reordered_report"  # the stream says it after the next one
    PARTIAL_FILL = "partial_fill"  # an execution comes in two parts
    DISCONNECT = "disconnect"  # the stream is cut: what it had not delivered is lost
    SLOW_ANSWER = "slow_answer"  # request or answer takes up to `slow_seconds`; nothing where that is zero
    REFUSED_READ = "refused_read"  # a question is not answered
    STALE_READ = "stale_read"  # a question is answered as things stood before the last change


class Faults:
    """Which faults strike. The same seed and the same occasions give the same faults."""

    def __init__(self, seed: int, rates: Mapping[Fault, float]) -> None:
        self.random = random.Random(seed)
        self._rates = dict(rates)
        self._planned: Counter[Fault] = Counter()

    def plan(self, fault: Fault, times: int) -> None:
        """Let `fault` strike at its next `times` occasions."""
        self._planned[fault] += times

    def heal(self) -> None:
        """No more faults."""
        self._planned.clear()
        self._rates.clear()

    def may_strike(self, fault: Fault) -> bool:
        """Whether it is planned or has a rate."""
        return self._planned[fault] > 0 or self._rates.get(fault, 0.0) > 0

    def strikes(self, fault: Fault) -> bool:
        """Whether it strikes at this occasion."""
        if self._planned[fault] > 0:
            self._planned[fault] -= 1
            return True
        rate = self._rates.get(fault, 0.0)
        return rate > 0 and self.random.random() < rate
