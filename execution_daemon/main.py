"""Starts the daemon: broker, book and control plane in one process and one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings, load_settings
from execution_daemon.api.app import create_app
from execution_daemon.brokers.choose import broker_of
from execution_daemon.brokers.port import Broker
from execution_daemon.errors import PortTaken
from execution_daemon.shell.daemon import Daemon
from execution_daemon.shell.failpoints import Reached, kill_at, none_set

HOST = "127.0.0.1"
FAILPOINT = "BIFROST_FAILPOINT"
GARBAGE_OBJECTS = 50_000  # made between two collections: a rebalance of 500 is not interrupted by dozens
log = logging.getLogger("bifrost.daemon")


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int) -> socket.socket:
    """A socket on the loopback interface. Raises PortTaken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise PortTaken(
            f"port {port} for the execution daemon {why}",
            "Set BIFROST_DAEMON_PORT to a free port, or stop the other process",
        ) from error
    return listener


def run(settings: Settings) -> None:
    """Trade until SIGTERM or SIGINT. Raises BifrostError where something stopped it."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """The daemon against the broker of the settings, with its control plane, until it is told to stop."""
    gc.freeze()  # what was imported stays: no collection needs to look through it again
    gc.set_threshold(GARBAGE_OBJECTS)
    listener = listen(settings.daemon_port)
    broker = broker_of(settings)
    try:
        await serve_with(settings, broker, listener, _failpoint())
    finally:
        await broker.close()


def _failpoint() -> Reached:
    name = os.environ.get(FAILPOINT)
    return kill_at(name) if name else none_set


async def serve_with(settings: Settings, broker: Broker, listener: socket.socket, reached: Reached = none_set) -> None:
    """The daemon against `broker`, its control plane on `listener`."""
    daemon = Daemon(settings, broker, reached)
    app = create_app(daemon, settings)
    server = _Server(
        uvicorn.Config(
            app,
            ws="execution_daemon.api.sockets:FeedSocket",
            log_level="warning",
            lifespan="off",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    try:
        async with asyncio.TaskGroup() as group:
            trading = group.create_task(daemon.run(), name="daemon")
            group.create_task(_until_stopped(server, listener, trading), name="api")
    except BaseExceptionGroup as group:
        ours, defects = group.split(BifrostError)
        if ours is None or defects is not None:
            raise
        raise _first(ours) from group
    finally:
        await app.state.context.warehouse.close()


async def _until_stopped(server: uvicorn.Server, listener: socket.socket, trading: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    try:
        await server.serve(sockets=[listener])
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        trading.cancel()


def _first(group: BaseExceptionGroup[BifrostError]) -> BifrostError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    try:
        run(load_settings())
    except BifrostError as error:
        sys.exit(str(error))
