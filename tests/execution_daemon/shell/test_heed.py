"""The sender's pace follows the limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from bifrost_core.trading.limits import DEFAULT_LIMITS, LimitCode, Limits
from bifrost_core.trading.orders import Order, OrdStatus
from bifrost_core.trading.throttle import Throttle
from execution_daemon.core.book import Book
from execution_daemon.shell.sender import Sender
from tests.execution_daemon.core.conftest import ticket

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


async def test_a_cancel_does_not_wait_behind_orders():
    """What is to be stopped would have left before the word to stop it."""
    asked: list[str] = []

    async def cancel(key: str) -> None:
        asked.append(key)

    book = Book("paper", orders={"id": Order(ticket("id"), OrdStatus.NEW)})
    sender = Sender(SimpleNamespace(cancel=cancel), SimpleNamespace(book=book), None, 1.0)
    sender.throttle = Throttle(per_second=0.001, burst=2.0, reserve=1.0)
    assert sender.throttle.take(asyncio.get_running_loop().time()) == 0
    async with asyncio.timeout(1):
        await sender.cancel("id")
    assert asked == ["id"]
