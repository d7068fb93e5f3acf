"""Parts started as child processes for the length of a command: spawned, watched, logged, stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bifrost_core.errors import BifrostError

STOP_SECONDS = 10.0
TAIL_LINES = 4


class Child:
    """One part running in its own process, its output in `log`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.log_start = log_start

    def ensure_alive(self) -> None:
        """Raise BifrostError with the part's last words if it has ended."""
        if (code := self.process.poll()) is not None:
            said = self.log.read_bytes()[self.log_start :].decode(errors="replace")
            words = said.strip().splitlines()[-TAIL_LINES:]
            raise BifrostError(
                f"{self.name} ended with exit code {code}: {' | '.join(words) or 'it said nothing'}",
                f"Read {self.log}, mend the cause and run the command again; what was done is kept",
            )

    def stop(self) -> None:
        """Ask the part to end, then make it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def bifrost_part(name: str, logs: Path, environment: Mapping[str, str]) -> Iterator[Child]:
    """`bifrost <name>` in a child process for the length of the block."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as out:
        start = out.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "bifrost_cli.main", name],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
        )
    child = Child(name, process, log, start)
    try:
        yield child
    finally:
        child.stop()


def wait_until(done: Callable[[], bool], what: str, children: tuple[Child, ...], seconds: float = 60.0) -> None:
    """Poll `done` until it holds; raises BifrostError if a child ends first or `seconds` pass."""
    deadline = time.monotonic() + seconds
    while not done():
        for child in children:
            child.ensure_alive()
        if time.monotonic() > deadline:
            logs = ", ".join(str(child.log) for child in children)
            raise BifrostError(f"waited {seconds:.0f} s for {what}", f"Read {logs}")
        time.sleep(0.02)
