"""`bifrost up`: every part, supervised, with the addresses printed once they answer."""

from __future__ import annotations

import os
import signal
import time

from bifrost_cli import parts
from bifrost_cli.parts import Part
from bifrost_cli.supervisor import Supervisor
from bifrost_core.environment import part_environment
from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse import cluster, embedded, migrate

PATIENCE_SECONDS = 60.0


def run(settings: Settings) -> int:
    """Run every part until SIGINT or SIGTERM; returns the exit code. Raises BifrostError for what is wrong before."""
    every = parts.all_parts(settings)
    for part in every:
        parts.ensure_port_free(part)
    environment = {**os.environ, **part_environment(settings), "PYTHONUNBUFFERED": "1"}
    supervisor = Supervisor(environment, settings.home / "logs", max(len(part.name) for part in every))
    for word in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(word, lambda *_: setattr(supervisor, "stopping", True))
    database = parts.postgresql()
    try:
        _start_database(settings, supervisor, database)
        supervisor.run(Opening(supervisor, every))
    finally:
        supervisor.say("stopping every part")
        supervisor.stop(last=database.name)
        supervisor.say("stopped")
    return 0


def _start_database(settings: Settings, supervisor: Supervisor, database: Part) -> None:
    """The embedded server as our child, unless it runs already or is elsewhere; then the migrations."""
    if settings.database_url is None and not embedded.status(settings.home).running:
        supervisor.say("starting PostgreSQL")
        supervisor.start(database)
        supervisor.run(lambda: _ensure_starting(settings, supervisor, database), lambda: _ready(settings))
    if not supervisor.stopping:
        done = migrate.upgrade(settings)
        supervisor.say(f"warehouse {settings.database} at revision {done.after}")


def _ready(settings: Settings) -> bool:
    return embedded.status(settings.home).state == "ready"


def _ensure_starting(settings: Settings, supervisor: Supervisor, database: Part) -> None:
    if not supervisor.running(database.name):
        log = embedded.log_file(settings.home)
        raise WarehouseError(f"PostgreSQL does not start: {cluster.last_words(log)}", f"Read {log}")


class Opening:
    """Starts the parts as what they come after answers, and says once that all answer, and where."""

    def __init__(self, supervisor: Supervisor, every: tuple[Part, ...]) -> None:
        self.supervisor = supervisor
        self.patience_ends = time.monotonic() + PATIENCE_SECONDS
        self.waiting = list(every)
        self.silent = [part for part in every if part.port is not None]
        self.pages = [part for part in every if part.shows]

    def __call__(self) -> None:
        for part in [part for part in self.waiting if self._is_due(part)]:
            self.waiting.remove(part)
            self.supervisor.start(part)
        if self.silent:
            self._listen()

    def _is_due(self, part: Part) -> bool:
        return part.after is None or parts.answers(part.after) or time.monotonic() > self.patience_ends

    def _listen(self) -> None:
        self.silent = [part for part in self.silent if part.port is None or not parts.answers(part.port)]
        if not self.silent:
            self.supervisor.say("every part answers; Ctrl-C stops all")
            for part in self.pages:
                self.supervisor.say(f"  {part.name:<10} {part.address}  {part.shows}")
