"""PostgreSQL behind the daemon's store: one connection for statements, one that only listens for the doorbell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
from psycopg.rows import DictRow, dict_row

from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, url
from execution_daemon.errors import LeaseLost, StoreFailed
from execution_daemon.shell.statements import SQL
from execution_daemon.shell.store import Asked, Statements

LEASE_LOST = "BF001"
CHANNEL = "bifrost_targets"


class Bell(Protocol):
    """Rings when a batch was written. It may be missed: who waits looks at the table either way."""

    async def wait(self, seconds: float) -> None:
        """Until it rings, or `seconds` pass. Raises StoreFailed."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


class Gateway(Protocol):
    """The way to the warehouse; the simulation has another one."""

    async def statements(self) -> Statements:
        """A new connection for the store. Raises StoreFailed."""
        ...

    async def bell(self) -> Bell:
        """A new listener. Raises StoreFailed."""
        ...


class PostgresGateway:
    """The warehouse of the settings, as bifrost_trader."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def statements(self) -> PostgresStatements:
        """A connection of its own: UTC, autocommit, durable commits."""
        return PostgresStatements(await connect(self._settings))

    async def bell(self) -> PostgresBell:
        """A connection that listens."""
        connection = await connect(self._settings)
        with store_failures():
            await connection.execute(f"listen {CHANNEL}")
        return PostgresBell(connection)


class PostgresStatements:
    """The statements of `sql/*.sql` on one autocommit connection, which they take in turn."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def rows(self, name: str, params: Mapping[str, Any]) -> list[DictRow]:
        """Run one statement."""
        async with self._turn:
            with store_failures():
                cursor = await self._connection.execute(SQL[name], params)
                return await cursor.fetchall()

    async def together(self, asked: Iterable[Asked]) -> list[list[DictRow]]:
        """Run statements in one transaction; the server works on one while the next is made."""
        async with self._turn:
            with store_failures():
                async with self._connection.pipeline(), self._connection.transaction():
                    cursors = [await self._connection.execute(SQL[name], params) for name, params in asked]
                return [await cursor.fetchall() for cursor in cursors]

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


class PostgresBell:
    """LISTEN on a connection that does nothing else."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def wait(self, seconds: float) -> None:
        """Until a notification comes, or `seconds` pass."""
        with store_failures():
            async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


async def connect(settings: Settings) -> psycopg.AsyncConnection[DictRow]:
    """A connection as bifrost_trader: UTC, autocommit, rows as dicts. Raises StoreFailed."""
    with store_failures():
        return await psycopg.AsyncConnection.connect(
            url(settings, Role.TRADER),
            autocommit=True,
            row_factory=dict_row,
            options="-c timezone=UTC -c synchronous_commit=on",
            connect_timeout=10,
        )


@contextmanager
def store_failures() -> Iterator[None]:
    """PostgreSQL's errors as ours: LeaseLost where another daemon leads, else StoreFailed."""
    try:
        yield
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        if error.sqlstate == LEASE_LOST:
            raise LeaseLost(reason, "This daemon has stopped; trading.leases names the leader") from error
        remedy = "Run `bifrost db start` and `bifrost db migrate`"
        raise StoreFailed(f"the warehouse cannot be used: {reason}", remedy) from error
