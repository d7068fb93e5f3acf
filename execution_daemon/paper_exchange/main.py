"""The paper exchange's process: `run(settings)` serves until it is told to stop."""

from __future__ import annotations

import errno
import fcntl
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from bifrost_core.clock import SystemClock
from bifrost_core.errors import BifrostError, BrokerError
from bifrost_core.settings import Settings, load_settings
from execution_daemon.paper_exchange.api import make_app
from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.exchange import Exchange, HouseRules, start_of
from execution_daemon.paper_exchange.faults import Faults
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.market import Market, WarehouseReader
from execution_daemon.paper_exchange.request_log import RequestLog
from execution_daemon.paper_exchange.stream import Hub

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection: none is closed under a request


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
        log = RequestLog(path.with_suffix(".requests.jsonl"))
        reader = WarehouseReader(settings)
        try:
            _serve(_app(settings, book, log, reader), listener)
        finally:
            reader.close()
            log.close()
            book.close()


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    """Until SIGTERM or Ctrl-C, both of which are a normal end: uvicorn raises the signal again after its own."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=2
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _app(settings: Settings, book: Ledger, log: RequestLog, reader: WarehouseReader) -> ASGIApp:
    market = Market(settings, reader)
    market.load()
    hub = Hub()
    faults = Faults()
    hub.faults = faults
    wall = SystemClock() if settings.clock == "system" else None
    rules = HouseRules(initial_cash=settings.initial_cash, start=start_of(settings.first_session))
    exchange = Exchange(book, market, rules, wall, hub.publish, faults)
    return make_app(exchange, hub, Credentials.of(settings.secrets), log)


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
