"""Places where a test can have the process killed, to prove that it goes on exactly where it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum


class FailPoint(StrEnum):
    """Where: each lies between two steps whose order matters."""

    BATCH_ACCEPTED = "batch_accepted"
    BEFORE_INTENT = "before_intent"
    INTENT_COMMITTED = "intent_committed"
    BEFORE_SEND = "before_send"
    DURING_SEND = "during_send"
    ORDER_SENT = "order_sent"
    BEFORE_EVENT = "before_event"
    EVENT_RECORDED = "event_recorded"
    BEFORE_FILL = "before_fill"
    FILL_RECORDED = "fill_recorded"
    MID_RECONCILE = "mid_reconcile"
    KILL_COMMITTED = "kill_committed"
    LEASE_RENEWAL = "lease_renewal"


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
