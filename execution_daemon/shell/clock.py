"""Market time: this machine's clock, or the broker's, which stands still in a replay until it is moved."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from execution_daemon.brokers.port import Broker


@dataclass(frozen=True, slots=True)
class Host:
    """Where the daemon runs: the name it leads under, another for each process, and the machine's clock, UTC."""

    name: str
    now: Callable[[], datetime]


def this_host() -> Host:
    """This process on this machine."""
    return Host(f"{socket.gethostname()}:{os.getpid()}", lambda: datetime.now(UTC))


class MarketClock:
    """`read()` asks the source; `now()` is the latest answer, so that what follows from one look has one time.

    The market's time does not go back: an answer that was overtaken by a later one is not believed any more.
    """

    def __init__(self, broker: Broker, source: str, host: Host) -> None:
        self._broker = broker
        self._host = host
        self._is_system = source == "system"
        self._last: datetime | None = None

    async def read(self) -> datetime:
        """Market time, UTC. Raises BrokerUnclear where the broker's clock does not answer."""
        if self._is_system:
            self._last = self._host.now()
        else:
            told = await self._broker.market_time()
            self._last = max(told, self._last or told)
        return self._last

    def now(self) -> datetime:
        """The latest time read; on the machine's clock, now."""
        if self._is_system:
            return self._host.now()
        if self._last is None:
            raise RuntimeError("the market clock was not read yet")
        return self._last

    @property
    def is_system(self) -> bool:
        """Whether this machine's clock is the market's, so that it can differ from the broker's."""
        return self._is_system

    @property
    def last(self) -> datetime | None:
        """The latest time read, or None before the first."""
        return self._last
