"""The sender's pace follows the limits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bifrost_core.trading.limits import DEFAULT_LIMITS, LimitCode, Limits
from execution_daemon.shell.sender import Sender

PACE = (LimitCode.MESSAGE_RATE, LimitCode.MESSAGE_BURST, LimitCode.CANCEL_RESERVE)


def limits(**changed: int) -> Limits:
    return Limits(
        [replace(lim, value=Decimal(changed[lim.code])) if lim.code in changed else lim for lim in DEFAULT_LIMITS]
    )


@pytest.mark.parametrize("code", PACE)
def test_each_of_the_three_is_heeded(code):
    """A reserve that somebody raised would be ignored, and cancels wait behind orders."""
    sender = Sender(None, None, None, 1.0)
    sender.heed(limits())
    before = sender.throttle
    sender.heed(limits())
    assert sender.throttle is before
    sender.heed(limits(**{code: 7}))
    found = sender.throttle
    assert (found.per_second, found.burst, found.reserve)[PACE.index(code)] == 7.0
