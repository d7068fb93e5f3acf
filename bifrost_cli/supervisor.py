"""Keeps parts running: honcho starts them and carries their output, this restarts those that end and stops them all."""

from __future__ import annotations

import os
import queue
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import psutil
from honcho.colour import get_colours
from honcho.printer import Message, Printer
from honcho.process import Process

from bifrost_cli.parts import Part

STEADY_SECONDS = 60.0  # who ran this long and then ended had no bad start
DELAY_MAX_SECONDS = 30.0
QUICK_ENDS_MAX = 8
STOP_SECONDS = 15.0
LEFTOVER_SECONDS = 3.0
TICK_SECONDS = 0.2


@dataclass(slots=True)
class Life:
    """One part's current process. `restart_at` is monotonic time; None while it runs or is given up."""

    part: Part
    colour: Any
    pid: int | None = None
    is_starting: bool = False
    started_at: float = 0.0
    quick_ends: int = 0
    restart_at: float | None = None


def delay_after(quick_ends: int) -> float:
    """Seconds to wait before a restart: 1, 2, 4 ... up to a limit, by the number of quick ends in a row."""
    return float(min(2.0 ** max(quick_ends - 1, 0), DELAY_MAX_SECONDS))


class Supervisor:
    """Runs parts until it is told to stop. `tick` is called about five times a second."""

    def __init__(self, environment: Mapping[str, str], logs: Path, width: int, output: TextIO | None = None) -> None:
        self.environment = dict(environment)
        self.logs = logs
        self.stopping = False
        self.lives: dict[str, Life] = {}
        self._events: queue.Queue[Any] = queue.Queue()
        self._printer = Printer(output or sys.stdout, width=width)
        self._colours = get_colours()
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, part: Part) -> None:
        """Start a part, now and whenever it has ended."""
        self.lives[part.name] = Life(part, next(self._colours))
        self._spawn(self.lives[part.name])

    def running(self, name: str) -> bool:
        """Whether the part has a live process."""
        return self.lives[name].pid is not None

    def say(self, text: str) -> None:
        """One line of our own among the parts' lines."""
        self._printer.write(Message("line", text, datetime.now().astimezone(), "bifrost", None))

    def run(self, tick: Callable[[], None], until: Callable[[], bool] = lambda: False) -> None:
        """Carry output and restart what ends, until told to stop or `until` holds."""
        while not self.stopping and not until():
            self._take_events(TICK_SECONDS)
            for life in self.lives.values():
                if life.restart_at is not None and time.monotonic() >= life.restart_at:
                    self._spawn(life)
            tick()

    def stop(self, last: str | None = None) -> None:
        """Stop every part and all that they started, the part `last` after the others."""
        self.stopping = True
        self._stop([life for life in self.lives.values() if life.part.name != last])
        self._stop([life for life in self.lives.values() if life.part.name == last])

    def _spawn(self, life: Life) -> None:
        life.restart_at, life.started_at = None, time.monotonic()
        command = "exec " + shlex.join(life.part.command)
        environment = {**self.environment, **life.part.environment}
        process = Process(command, name=life.part.name, colour=life.colour, env=environment)
        thread = threading.Thread(target=process.run, args=(self._events,), daemon=True)
        life.is_starting = True
        thread.start()
        while life.is_starting and thread.is_alive():
            self._take_events(TICK_SECONDS)
        self._take_events(0.0)
        if life.is_starting:  # the thread could not start the process, and died of it
            life.is_starting = False
            self._ended(life, -1)

    def _take_events(self, seconds: float) -> None:
        with suppress(queue.Empty):
            self._take(self._events.get(timeout=seconds))
            while True:
                self._take(self._events.get_nowait())

    def _take(self, event: Any) -> None:
        life = self.lives[event.name]
        if event.type == "line":
            self._printer.write(event)
            with (self.logs / f"{event.name}.log").open("ab") as log:
                log.write(event.data)
        elif event.type == "start":
            life.pid, life.is_starting = event.data["pid"], False
        else:
            self._ended(life, event.data["returncode"])

    def _ended(self, life: Life, code: int) -> None:
        life.pid = None
        if self.stopping:
            return
        steady = time.monotonic() - life.started_at >= STEADY_SECONDS
        life.quick_ends = 1 if steady else life.quick_ends + 1
        how = f"{life.part.name} ended with exit code {code}"
        if life.quick_ends > QUICK_ENDS_MAX:
            self.say(f"{how}, {life.quick_ends} times in a row: given up. Run `bifrost doctor`; the others go on")
            return
        delay = delay_after(life.quick_ends)
        life.restart_at = time.monotonic() + delay
        self.say(f"{how}; starting it again in {delay:.0f} s")

    def _stop(self, lives: list[Life]) -> None:
        """Ask each part's own process to end, which ends its children; then end what they all left behind."""
        pids = [life.pid for life in lives if life.pid is not None]
        families = [process for pid in pids for process in _family(pid)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self._wait(lambda: any(life.pid is not None for life in lives), STOP_SECONDS)
        for end, seconds in ((psutil.Process.terminate, LEFTOVER_SECONDS), (psutil.Process.kill, STOP_SECONDS)):
            for process in filter(_alive, families):
                with suppress(psutil.NoSuchProcess):
                    end(process)
            self._wait(lambda: any(map(_alive, families)), seconds)
        self._wait(lambda: any(life.pid is not None for life in lives), LEFTOVER_SECONDS)

    def _wait(self, unfinished: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while unfinished() and time.monotonic() < deadline:
            self._take_events(TICK_SECONDS)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants, also those in sessions of their own."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []
