"""A machine that runs the daemon: starts it, kills it, stops it, and has a clock of its own that may be wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from datetime import datetime, timedelta

from bifrost_core.settings import Settings
from execution_daemon.brokers.port import BrokerOrder
from execution_daemon.brokers.simulated import SimulatedBroker
from execution_daemon.shell.clock import Host
from execution_daemon.shell.daemon import Daemon
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.simulation.clock import WorldClock
from execution_daemon.simulation.loop import PROCESS, Process, State, VirtualLoop
from execution_daemon.simulation.warehouse.database import Database
from execution_daemon.simulation.warehouse.gateway import MemoryGateway, ServerFaults
from execution_daemon.simulation.wire import Network, Wire

GRACE_SECONDS = 0.25  # between the last look and the request's leaving: what nobody can close
Ended = Callable[["Machine", "BaseException | None"], None]


class Machine:
    """One host. `ended` is told when its daemon stops by itself, with the reason."""

    def __init__(
        self,
        name: str,
        loop: VirtualLoop,
        clock: WorldClock,
        settings: Settings,
        database: Database,
        server: ServerFaults,
        broker: SimulatedBroker,
        network: Network,
        sending: Callable[[Process, BrokerOrder, datetime | None], None],
        ended: Ended,
    ) -> None:
        self.name = name
        self.skew = timedelta()
        self.started = 0
        self.started_at = 0.0
        self.dies_at_point: tuple[FailPoint, int] | None = None
        self.on_point: tuple[FailPoint, Callable[[], None]] | None = None
        self.process: Process | None = None
        self.daemon: Daemon | None = None
        self.gateway: MemoryGateway | None = None
        self.wire: Wire | None = None
        self._loop, self._clock, self._settings = loop, clock, settings
        self._database, self._server = database, server
        self._broker, self._network = broker, network
        self._sending, self._ended = sending, ended

    @property
    def is_up(self) -> bool:
        """Whether a daemon runs, or is stopped."""
        return self.process is not None and self.process.is_alive

    @property
    def is_ready(self) -> bool:
        """Whether its daemon leads and has reconciled."""
        return self.is_up and self.daemon is not None and self.daemon.is_ready

    def now(self) -> datetime:
        """This machine's clock."""
        return self._clock.market() + self.skew

    def _sending_as_of(self, process: Process, order: BrokerOrder) -> None:
        """Tell that an order leaves, and the market time that the daemon knew when it last looked at it."""
        looked = self._clock.seconds - GRACE_SECONDS
        told = self.wire.told_before(looked) if self.wire is not None else None
        known = self._clock.market_at(looked) + self.skew
        self._sending(process, order, known if self._settings.clock == "system" else told)

    def start(self, dies_at: int | None = None) -> None:
        """A new daemon; it dies at that many steps."""
        self.started += 1
        self.started_at = self._clock.seconds
        process = self.process = Process(f"{self.name}.{self.started}")
        process.dies_at = dies_at
        self.gateway = MemoryGateway(self._database, process, self._server)
        wire = self.wire = Wire(self._broker, self._network, process, self._sending_as_of)
        host = Host(process.name, self.now)
        self.daemon = Daemon(self._settings, wire, self._reached, self.gateway, host)
        context = copy_context()
        context.run(PROCESS.set, process)
        task = self._loop.create_task(self.daemon.run(), name=process.name, context=context)
        task.add_done_callback(lambda done: self._stopped(process, done), context=copy_context())

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()

    def stop(self) -> None:
        """SIGSTOP."""
        if self.process is not None and self.process.state is State.RUNNING:
            self.process.state = State.STOPPED

    def go_on(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self._loop.go_on(self.process)

    def cut(self) -> None:
        """The server drops the daemon's connections."""
        if self.gateway is not None:
            self.gateway.cut()

    def _reached(self, point: FailPoint) -> None:
        """Die here if it was planned; what follows until the next wait touches nothing outside."""
        if self.on_point is not None and self.on_point[0] is point:
            action, self.on_point = self.on_point[1], None
            action()
        if self.dies_at_point is None or self.dies_at_point[0] is not point:
            return
        self.dies_at_point = (point, self.dies_at_point[1] - 1)
        if self.dies_at_point[1] <= 0 and self.process is not None:
            self.dies_at_point = None
            self.process.kill()

    def _stopped(self, process: Process, done: asyncio.Task[None]) -> None:
        if process is not self.process or not process.is_alive:
            return
        error = None if done.cancelled() else done.exception()
        process.kill()
        self._ended(self, error)
