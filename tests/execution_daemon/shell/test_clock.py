"""Market time as the broker tells it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from execution_daemon.brokers.simulated import SimulatedBroker
from execution_daemon.shell.clock import MarketClock, this_host

OPEN = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)


class Late(SimulatedBroker):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__({}, Decimal(0), at=OPEN)
        self.may_answer = asyncio.Event()

    async def market_time(self):
        told = await super().market_time()
        await self.may_answer.wait()
        return told


async def test_an_answer_that_was_overtaken_does_not_take_the_time_back():
    """An order would leave after its target's end, on a market time of minutes ago."""
    broker = Late()
    clock = MarketClock(broker, "broker", this_host())
    overtaken, slow = asyncio.create_task(clock.read()), broker.may_answer
    await asyncio.sleep(0)
    broker.now += timedelta(hours=7)
    broker.may_answer = asyncio.Event()
    broker.may_answer.set()
    assert await clock.read() == OPEN + timedelta(hours=7)
    slow.set()
    assert await overtaken == clock.now() == OPEN + timedelta(hours=7)
