from __future__ import annotations

import io
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from bifrost_cli import supervisor as module
from bifrost_cli.parts import Part
from bifrost_cli.supervisor import Supervisor, delay_after


def python(name: str, code: str) -> Part:
    return Part(name, (sys.executable, "-u", "-c", code))


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, output: io.StringIO) -> Supervisor:
    return Supervisor(os.environ, tmp_path / "logs", width=8, output=output)


def run_until(supervisor: Supervisor, holds: object) -> None:
    deadline = time.monotonic() + 60
    supervisor.run(lambda: None, lambda: bool(holds()) or time.monotonic() > deadline)  # type: ignore[operator]
    assert holds()  # type: ignore[operator]


def lines(supervisor: Supervisor, name: str) -> list[str]:
    log = supervisor.logs / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_part_that_dies_is_started_again(supervisor: Supervisor) -> None:
    """A daemon that dies at night must be back before the open."""
    supervisor.start(python("steady", "import os, time; print(os.getpid()); time.sleep(600)"))
    run_until(supervisor, lambda: len(lines(supervisor, "steady")) == 1)
    os.kill(int(lines(supervisor, "steady")[0]), signal.SIGKILL)
    run_until(supervisor, lambda: len(lines(supervisor, "steady")) == 2)
    assert len(set(lines(supervisor, "steady"))) == 2
    supervisor.stop()


def test_a_part_that_cannot_start_is_given_up_and_the_others_go_on(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, output: io.StringIO
) -> None:
    """An endless restart loop burns the machine and hides the message; ending all for one takes the daemon down."""
    monkeypatch.setattr(module, "delay_after", lambda _: 0.0)
    monkeypatch.setattr(module, "QUICK_ENDS_MAX", 3)
    supervisor.start(python("other", "import time; time.sleep(600)"))
    supervisor.start(python("broken", "raise SystemExit('no licence')"))
    run_until(supervisor, lambda: "given up" in output.getvalue())
    assert lines(supervisor, "broken") == ["no licence"] * 4
    assert supervisor.running("other")
    supervisor.stop()


def test_delays_grow_to_a_limit() -> None:
    """The first restart is quick, the tenth does not come every second."""
    assert [delay_after(n) for n in (1, 2, 3, 6, 50)] == [1.0, 2.0, 4.0, 30.0, 30.0]


def test_stop_ends_children_in_sessions_of_their_own(supervisor: Supervisor) -> None:
    """A worker left behind by Ctrl-C keeps its port, and the next start fails."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(child.pid); time.sleep(600)"
    )
    supervisor.start(python("parent", code))
    run_until(supervisor, lambda: lines(supervisor, "parent"))
    grandchild = psutil.Process(int(lines(supervisor, "parent")[0]))
    supervisor.stop()
    assert not supervisor.running("parent")
    assert not module._alive(grandchild)


def test_stop_kills_what_ignores_it(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One part that hangs must not keep the terminal for ever."""
    monkeypatch.setattr(module, "STOP_SECONDS", 1.0)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    supervisor.start(python("deaf", code))
    run_until(supervisor, lambda: lines(supervisor, "deaf"))
    supervisor.stop()
    assert not supervisor.running("deaf")


def test_the_database_is_stopped_last(supervisor: Supervisor) -> None:
    """Parts that lose the database while they stop cannot write their last state."""
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n    time.sleep(0.3); print(time.monotonic()); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up'); time.sleep(600)"
    )
    supervisor.start(python("database", code))
    supervisor.start(python("daemon", code))
    run_until(supervisor, lambda: lines(supervisor, "database") and lines(supervisor, "daemon"))
    supervisor.stop(last="database")
    assert float(lines(supervisor, "daemon")[1]) < float(lines(supervisor, "database")[1])
