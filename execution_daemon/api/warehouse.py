"""The warehouse as the control plane uses it: bifrost_api, on connections that are not the daemon's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, url
from execution_daemon.api.problems import Kind, ProblemError
from execution_daemon.shell import statements

CONNECTIONS_MAX = 4
WAIT_SECONDS = 5.0
STATEMENT_TIMEOUT = "10s"
OF_DECISIONS = ("session_from", "risk_day", "risk_facts", "risk_recent", "risk_restricted")  # read as the daemon does
SQL = {**statements.load(Path(__file__).parent / "sql"), **{name: statements.SQL[name] for name in OF_DECISIONS}}
RULE_BROKEN = "BF"  # the class of SQLSTATEs that our own functions raise

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]


class Warehouse:
    """Runs the named statements of `SQL`, each a transaction. Connects when it is first asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def rows(self, name: str, params: Mapping[str, Any] | None = None) -> list[DictRow]:
        """The rows of a statement. Raises ProblemError: what our rules do not allow, or a warehouse that is away."""
        pool = await self._opened()
        try:
            async with pool.connection() as connection:
                cursor = await connection.execute(SQL[name], params)
                return await cursor.fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            remedy = "Run `bifrost db start` and `bifrost db migrate`"
            raise ProblemError(Kind.WAREHOUSE_UNAVAILABLE, f"{_line(error)}. {remedy}") from error
        except psycopg.DataError as error:
            raise ProblemError(Kind.INVALID, _line(error)) from error
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith(RULE_BROKEN):
                raise ProblemError(Kind.REFUSED, _line(error)) from error
            raise

    async def row(self, name: str, params: Mapping[str, Any] | None = None) -> DictRow | None:
        """The first row of a statement, or None."""
        found = await self.rows(name, params)
        return found[0] if found else None

    async def _opened(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                pool: Pool = AsyncConnectionPool(
                    url(self._settings, Role.API),
                    connection_class=psycopg.AsyncConnection[DictRow],
                    kwargs={
                        "autocommit": True,
                        "row_factory": dict_row,
                        "options": f"-c timezone=UTC -c synchronous_commit=on -c statement_timeout={STATEMENT_TIMEOUT}",
                        "connect_timeout": 10,
                    },
                    min_size=1,
                    max_size=CONNECTIONS_MAX,
                    timeout=WAIT_SECONDS,
                    check=AsyncConnectionPool.check_connection,
                    open=False,
                )
                await pool.open()
                self._pool = pool
            return self._pool

    async def close(self) -> None:
        """Let go of the connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


def _line(error: Exception) -> str:
    """The first line of what PostgreSQL said, without its context."""
    diagnosis = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(diagnosis or next(iter(str(error).splitlines()), type(error).__name__))
