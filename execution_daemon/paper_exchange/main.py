"""The paper exchange's process: `run(settings)` serves until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from bifrost_core.clock import SystemClock
from bifrost_core.errors import BifrostError, BrokerError
from bifrost_core.settings import Settings, load_settings
from execution_daemon.paper_exchange.api import make_app
from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.exchange import Exchange, HouseRules, start_of
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.market import Market, WarehouseReader
from execution_daemon.paper_exchange.stream import Hub

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST = "127.0.0.1"
DUE_EVERY_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection: none is closed under a request

log = logging.getLogger("bifrost.paper_exchange")


def ledger_path(settings: Settings) -> Path:
    """Where the ledger of this installation is."""
    return settings.home / "paper_exchange" / "ledger.sqlite"


def run(settings: Settings, ledger: Path | None = None) -> None:
    """Serve on 127.0.0.1:`paper_exchange_port` until SIGTERM or Ctrl-C.

    Raises BifrostError, before serving, where the port or the ledger is taken or the warehouse cannot be read.
    """
    path = ledger or ledger_path(settings)
    with _listening(settings.paper_exchange_port) as listener, _sole_owner(path):
        book = Ledger(path)
        reader = WarehouseReader(settings)
        try:
            _serve(_app(settings, book, reader), listener)
        finally:
            reader.close()
            book.close()


def _serve(app: FastAPI, listener: socket.socket) -> None:
    """Until SIGTERM or Ctrl-C, both of which are a normal end: uvicorn raises the signal again after its own."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=2
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _app(settings: Settings, book: Ledger, reader: WarehouseReader) -> FastAPI:
    market = Market(settings, reader)
    market.load()
    hub = Hub()
    wall = SystemClock() if settings.clock == "system" else None
    rules = HouseRules(initial_cash=settings.initial_cash, start=start_of(settings.first_session))
    exchange = Exchange(book, market, rules, wall, hub.publish)
    app = make_app(exchange, hub, Credentials.of(settings.secrets))
    if wall is not None:
        app.router.lifespan_context = _following(exchange)
    return app


def _following(exchange: Exchange):  # type: ignore[no-untyped-def]
    """A lifespan that runs what the wall clock makes due."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_follow(exchange))
        try:
            yield
        finally:
            task.cancel()

    return lifespan


async def _follow(exchange: Exchange) -> None:
    while True:
        try:
            exchange.run_due()
        except BifrostError as error:
            log.warning("%s", error)  # the warehouse is away: what is due stays due
        await asyncio.sleep(DUE_EVERY_SECONDS)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise BrokerError(
                f"port {port} is taken, so the paper exchange cannot start",
                "Stop what listens there, or set BIFROST_PAPER_EXCHANGE_PORT to a free port",
            ) from error
        yield listener


@contextmanager
def _sole_owner(path: Path) -> Iterator[None]:
    lock = path.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise BrokerError(f"the ledger {path} cannot be written: {error}", "Make the folder writable") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BrokerError(
                f"another paper exchange uses the ledger {path}", "Stop it, or set BIFROST_HOME to another folder"
            ) from error
        yield


def main() -> int:
    """`python -m execution_daemon.paper_exchange.main [LEDGER]`: one line and exit code 1 where it cannot run."""
    try:
        run(load_settings(), *map(Path, sys.argv[1:2]))
    except BifrostError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command's one line
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
