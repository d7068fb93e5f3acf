"""What every route works on, held by the application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from starlette.requests import HTTPConnection

from bifrost_core.settings import Settings
from execution_daemon.api.feed import Feed
from execution_daemon.api.once import Once
from execution_daemon.api.problems import Kind, ProblemError
from execution_daemon.api.warehouse import Warehouse
from execution_daemon.shell.commands import Commands
from execution_daemon.shell.daemon import Daemon

LOOKUP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Context:
    """The daemon, and the control plane's own way to the warehouse."""

    daemon: Daemon
    settings: Settings
    warehouse: Warehouse
    once: Once
    feed: Feed

    @property
    def commands(self) -> Commands:
        """What the daemon does for people. Raises BrokerError before the account is led and loaded."""
        return self.daemon.commands

    async def ensure_order(self, client_order_id: str) -> None:
        """Raise ProblemError where the account has no such order."""
        params = {"account": self.settings.account, "client_order_id": client_order_id}
        if await self.warehouse.row("order", params) is None:
            raise ProblemError(Kind.NOT_FOUND, f"no order {client_order_id} of account {self.settings.account}")

    async def ensure_symbols(self, symbols: Iterable[str]) -> None:
        """Raise ProblemError where one is no instrument: a broker is asked about what exists alone."""
        row = await self.warehouse.row("unknown_symbol", {"symbols": sorted(set(symbols))})
        if row is not None:
            raise ProblemError(Kind.NOT_FOUND, f"no instrument has the symbol {row['symbol']}")

    async def is_known(self, scope: str, key: str) -> bool | None:
        """Whether a switch of that scope and key can stop anything; None where the warehouse does not say it soon."""
        params = {"scope": scope, "key": key, "account": self.settings.account}
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                row = await self.warehouse.row("is_known", params)
        except (ProblemError, psycopg.Error, TimeoutError):
            return None
        return row is not None and bool(row["is_known"])


def context_of(connection: HTTPConnection) -> Context:
    """The dependency that gives a route its context."""
    context = connection.app.state.context
    assert isinstance(context, Context)
    return context
