"""Places where a test can have the process killed, to prove that it goes on exactly where it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum


class FailPoint(StrEnum):
    """Where: after a batch was accepted, intents committed, an order sent, an event recorded."""

    BATCH_ACCEPTED = "batch_accepted"
    INTENT_COMMITTED = "intent_committed"
    ORDER_SENT = "order_sent"
    EVENT_RECORDED = "event_recorded"


Reached = Callable[[FailPoint], None]


def none_set(_point: FailPoint) -> None:
    """Nothing happens: production."""


def kill_at(name: str) -> Reached:
    """`kill -9` this process when it first reaches the failpoint `name`; raises ValueError for a name that is none."""
    chosen = FailPoint(name)

    def reached(point: FailPoint) -> None:
        if point is chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached
