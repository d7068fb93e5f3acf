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


def kill_at(chosen: str) -> Reached:
    """`kill -9` this process when it reaches a failpoint: `name`, or `name:n` for the n-th time that it does.

    Raises ValueError for what names no failpoint or no n of at least 1.
    """
    name, _, nth = chosen.partition(":")
    point, left = FailPoint(name), int(nth or 1)
    if left < 1:
        raise ValueError(f"{chosen}: failpoints are counted from 1")

    def reached(here: FailPoint) -> None:
        nonlocal left
        if here is point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
