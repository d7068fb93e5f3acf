"""The switch that kills the daemon between two steps."""

from __future__ import annotations

import os
import signal

import pytest

from execution_daemon.shell.failpoints import FailPoint, kill_at


def ends_with(chosen: str, reached: list[FailPoint]) -> int:
    """Signal that ended a process which goes through `reached`, 0 for none."""
    child = os.fork()
    if child == 0:
        point = kill_at(chosen)
        for one in reached:
            point(one)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_nth_time_kills_and_no_other():
    """A campaign could only ever kill the first order of a batch."""
    twice = [FailPoint.ORDER_SENT, FailPoint.BEFORE_SEND, FailPoint.ORDER_SENT]
    assert ends_with("order_sent", twice[:1]) == -signal.SIGKILL
    assert ends_with("order_sent:2", twice[:2]) == 0
    assert ends_with("order_sent:2", twice) == -signal.SIGKILL


@pytest.mark.parametrize("chosen", ["nowhere", "order_sent:0", "order_sent:x"])
def test_what_names_no_failpoint_is_refused(chosen):
    """A misspelt point would never be reached, and its scenario would pass for ever."""
    with pytest.raises(ValueError):
        kill_at(chosen)
