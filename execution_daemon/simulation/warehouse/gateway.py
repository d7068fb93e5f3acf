"""The way of one process to the warehouse in memory: latency, broken connections, commits whose answer is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from execution_daemon.errors import StoreFailed
from execution_daemon.shell.statements import SQL
from execution_daemon.shell.store import Asked
from execution_daemon.simulation.loop import Process
from execution_daemon.simulation.warehouse import batches, events, intents, leases, reads, risk
from execution_daemon.simulation.warehouse.database import STATEMENTS, Database, Session
from execution_daemon.simulation.warehouse.tables import Row

PARTS = (batches, events, intents, leases, reads, risk)  # each registers its statements
WRITES = frozenset(name for name, text in SQL.items() if b"select" in text and b"_v1(" in text)


class ConnectionLost(StoreFailed):
    """The server or the network is gone in the middle of something."""

    def __init__(self) -> None:
        super().__init__("the warehouse cannot be used: the connection is lost", "Start again")


@dataclass(slots=True)
class ServerFaults:
    """`broken`: the rate at which a write's connection dies, half of the times after the commit. Latency in seconds."""

    random: random.Random
    latency_seconds: float = 0.001
    broken: float = 0.0
    bells: list[MemoryBell] = field(default_factory=list)


class MemoryStatements:
    """One connection of a process."""

    def __init__(self, database: Database, session: Session, process: Process, faults: ServerFaults) -> None:
        self._database = database
        self._session = session
        self._process = process
        self._faults = faults

    async def rows(self, name: str, params: Mapping[str, Any]) -> list[Row]:
        """Run one statement; it takes effect at one instant between the question and the answer."""
        (rows,) = await self.together([(name, params)])
        return rows

    async def together(self, asked: Iterable[Asked]) -> list[list[Row]]:
        """Run statements in one transaction, which takes effect at one instant."""
        faults, statements = self._faults, list(asked)
        await self._travel()
        writes = any(name in WRITES for name, _ in statements)
        breaks = faults.broken > 0 and writes and faults.random.random() < faults.broken
        if breaks and faults.random.random() < 0.5:
            self._database.disconnect(self._session)
            raise ConnectionLost
        rows = self._database.run_together(self._session, statements)
        if breaks:
            self._database.disconnect(self._session)
            raise ConnectionLost
        await self._travel()
        return rows

    async def _travel(self) -> None:
        if not self._process.is_alive:
            raise ConnectionLost
        await asyncio.sleep(self._faults.random.random() * self._faults.latency_seconds)
        if not self._session.is_open:
            raise ConnectionLost

    async def close(self) -> None:
        """Let go of the connection."""
        self._database.disconnect(self._session)


class MemoryBell:
    """A listener; `ring` is the notification."""

    def __init__(self, session: Session, faults: ServerFaults, database: Database) -> None:
        self._session = session
        self._faults = faults
        self._database = database
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Tell whoever waits."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it rings, or `seconds` pass."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()
        if not self._session.is_open:
            raise ConnectionLost

    async def close(self) -> None:
        """Stop listening."""
        self._database.disconnect(self._session)
        if self in self._faults.bells:
            self._faults.bells.remove(self)


class MemoryGateway:
    """What `PostgresGateway` is, for one simulated process: its connections end with it."""

    def __init__(self, database: Database, process: Process, faults: ServerFaults) -> None:
        self._database = database
        self._process = process
        self._faults = faults
        self.sessions: list[Session] = []
        process.on_death.append(self.cut)

    def cut(self) -> None:
        """The server drops every connection of the process."""
        for session in self.sessions:
            self._database.disconnect(session)
        self.sessions.clear()

    def _connect(self) -> Session:
        session = self._database.connect(self._process.name)
        self.sessions.append(session)
        return session

    async def statements(self) -> MemoryStatements:
        """A new connection."""
        await asyncio.sleep(self._faults.latency_seconds)
        return MemoryStatements(self._database, self._connect(), self._process, self._faults)

    async def bell(self) -> MemoryBell:
        """A new listener."""
        await asyncio.sleep(self._faults.latency_seconds)
        bell = MemoryBell(self._connect(), self._faults, self._database)
        self._faults.bells.append(bell)
        return bell


def unimplemented() -> list[str]:
    """Statements of `shell/sql` that have no double here, and doubles of statements that are no more."""
    return sorted(set(SQL) ^ set(STATEMENTS))
