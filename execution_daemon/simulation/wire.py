"""The broker as one process reaches it: requests travel by themselves, whatever becomes of who sent them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from bifrost_core.errors import BrokerError
from execution_daemon.brokers.port import (
    Adjustment,
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerUnclear,
    ExecutionReport,
    LastTrade,
    StreamEvent,
    Tradability,
)
from execution_daemon.brokers.simulated import SimulatedBroker
from execution_daemon.simulation.loop import Process

T = TypeVar("T")
Sending = Callable[[Process, BrokerOrder], None]


@dataclass(slots=True)
class Network:
    """Between the machines and the broker. Latencies in seconds, each way.

    `slow` is the rate at which one leg takes up to `slow_seconds`: longer than the client waits, never longer than the
    proof of an absence takes. While `is_out` nothing gets through.
    """

    random: random.Random
    latency_seconds: float = 0.01
    slow: float = 0.0
    slow_seconds: float = 0.0
    is_out: bool = False
    in_flight: Counter[str] = field(default_factory=Counter)

    def leg(self) -> float:
        """How long one way takes this time."""
        if self.slow > 0 and self.random.random() < self.slow:
            return self.random.random() * self.slow_seconds
        return self.random.random() * self.latency_seconds


class Wire:
    """The `Broker` port over a network, for one process."""

    def __init__(self, broker: SimulatedBroker, network: Network, process: Process, sending: Sending) -> None:
        self._broker = broker
        self._network = network
        self._process = process
        self._sending = sending
        self._told: list[tuple[float, datetime]] = []

    @property
    def name(self) -> str:
        """The broker's."""
        return self._broker.name

    async def _call(self, ask: Callable[[], Awaitable[T]], about: str = "") -> T:
        """Carry a request and its answer outside the process that sent it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if self._process.is_alive:
            self._network.in_flight[about] += 1
            loop.create_task(self._carry(ask, answer, about), context=Context())  # noqa: RUF006 - the loop keeps it
        return await answer

    async def _carry(self, ask: Callable[[], Awaitable[T]], answer: asyncio.Future[T], about: str) -> None:
        network, failure = self._network, None
        try:
            await asyncio.sleep(network.leg())
            told = await self._reach(ask)
        except BrokerError as error:
            failure = error
        finally:
            network.in_flight[about] -= 1  # what is left to come is the answer
        await asyncio.sleep(network.leg())
        if answer.done():
            return
        if failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(told)

    async def _reach(self, ask: Callable[[], Awaitable[T]]) -> T:
        if self._network.is_out:
            raise BrokerUnclear("the network is down")
        return await ask()

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """Send the order."""
        self._sending(self._process, order)
        return await self._call(lambda: self._broker.submit(order), order.client_order_id)

    async def cancel(self, client_order_id: str) -> None:
        """Ask to cancel."""
        await self._call(lambda: self._broker.cancel(client_order_id))

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """Look the order up."""
        return await self._call(lambda: self._broker.find(client_order_id))

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """Ask for them."""
        return await self._call(self._broker.open_orders)

    async def lists_from(self) -> datetime | None:
        """Known without asking."""
        return await self._broker.lists_from()

    def recall(self, commissions: Mapping[str, Decimal]) -> None:
        """Nothing is asked."""
        self._broker.recall(commissions)

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """Ask for them."""
        return await self._call(lambda: self._broker.orders(since))

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """Ask for them."""
        return await self._call(lambda: self._broker.fills(since))

    async def adjustments(self, since: datetime | None = None) -> tuple[Adjustment, ...]:
        """Ask for them."""
        return await self._call(lambda: self._broker.adjustments(since))

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """Ask for them."""
        return await self._call(self._broker.positions)

    async def account(self) -> BrokerAccount:
        """Ask for it."""
        return await self._call(self._broker.account)

    async def market_time(self) -> datetime:
        """Ask for it; `told_before` remembers the answers."""
        told = await self._call(self._broker.market_time)
        self._told.append((asyncio.get_running_loop().time(), told))
        return told

    def told_before(self, seconds: float) -> datetime | None:
        """The last market time that was told by then."""
        return next((told for at, told in reversed(self._told) if at <= seconds), None)

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """Ask for them."""
        wanted = tuple(symbols)
        return await self._call(lambda: self._broker.last_trade(wanted))

    async def tradability(self, symbols: Iterable[str]) -> Mapping[str, Tradability]:
        """Ask for it."""
        wanted = tuple(symbols)
        return await self._call(lambda: self._broker.tradability(wanted))

    async def events(self) -> AsyncIterator[StreamEvent]:
        """The stream, as it comes through the network; it ends with its process."""
        heard: asyncio.Queue[StreamEvent] = asyncio.Queue()
        pump = asyncio.get_running_loop().create_task(self._pump(heard), context=Context())
        self._process.on_death.append(lambda: _ignore(pump.cancel()))
        try:
            while True:
                yield await heard.get()
        finally:
            pump.cancel()

    async def _pump(self, heard: asyncio.Queue[StreamEvent]) -> None:
        async for event in self._broker.events():
            await asyncio.sleep(self._network.leg())
            heard.put_nowait(event)

    async def close(self) -> None:
        """Nothing to let go of."""


def _ignore(_was_running: bool) -> None:
    """A pump that has ended already is fine."""
