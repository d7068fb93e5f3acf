from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bifrost_cli import parts
from bifrost_core.settings import Settings
from bifrost_core.warehouse import embedded
from tests import scratch

pytestmark = pytest.mark.system
PORTS = [name for name in Settings.model_fields if name.endswith("_port")]
WAIT_SECONDS = 240.0


@pytest.fixture
def home() -> Iterator[Path]:
    folder = scratch.folder("bu-")
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder)


@pytest.fixture
def environment(home: Path, free_port: Callable[[], int]) -> dict[str, str]:
    ports = {f"BIFROST_{name.upper()}": str(free_port()) for name in PORTS}
    return {**os.environ, "BIFROST_HOME": str(home), "BIFROST_ARTIFACTS": str(home / "artifacts"), **ports}


def bifrost(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bifrost_cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture
def up(environment: dict[str, str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "up.log").open("wb") as log:
        command = [sys.executable, "-m", "bifrost_cli.main", "up"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


def wait_for(holds: Callable[[], bool], home: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, (home / "up.log").read_text(errors="replace")[-4000:]
        time.sleep(0.2)


def test_everything_comes_up_heals_and_goes_down(
    up: subprocess.Popen[bytes], environment: dict[str, str], home: Path
) -> None:
    """One command starts every part, one that dies comes back, and Ctrl-C leaves no process and no port."""
    said = home / "up.log"
    wait_for(lambda: "every part answers" in said.read_text(errors="replace"), home)
    lines = bifrost(environment, "doctor").stdout.splitlines()
    names = {part.name for part in parts.all_parts(Settings(home=home)) if part.port is not None}
    for name in (*names, "postgresql", "migrations", "roles", "code location"):
        assert any(line.startswith(f"ok   {name} ") for line in lines), (name, lines)

    second = bifrost(environment, "up")
    assert second.returncode == 1
    assert "another `bifrost up`?" in second.stderr

    victim = _postmaster(home)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: embedded.status(home).state == "ready" and _postmaster(home) != victim, home)

    family = psutil.Process(up.pid).children(recursive=True)
    up.send_signal(signal.SIGINT)
    assert up.wait(WAIT_SECONDS) == 0
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert not embedded.status(home).running
    assert not any(parts.answers(int(environment[f"BIFROST_{name.upper()}"])) for name in PORTS)


def _postmaster(home: Path) -> int:
    pid = embedded.status(home).pid
    return -1 if pid is None else pid
