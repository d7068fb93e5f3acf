"""The embedded PostgreSQL server: started, watched and stopped here, from the binaries of a wheel.

One server per home folder, reached through a unix socket only. Files: `<home>/postgres/data` (the cluster),
`server.log`, `lock` (held while one process starts or stops the server) and `alive` (held, through an inherited
descriptor, by the postmaster and every process it forks: whoever can take it knows that none of them lives, also
across containers).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bifrost_core.errors import WarehouseError
from bifrost_core.secrets import Secrets
from bifrost_core.warehouse import cluster
from bifrost_core.warehouse.serveruser import server_user

SOCKET_PATH_MAX_BYTES = 103  # of sun_path on the strictest system, macOS
READY_SECONDS = 300.0  # crash recovery of a large warehouse included
STOP_SECONDS = 60.0
ORPHAN_SECONDS = 10.0
POLL_SECONDS = 0.02
LOG_BYTES_MAX = 20_000_000

_started: dict[Path, subprocess.Popen[bytes]] = {}  # servers this process is the parent of: it has to bury them


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The server of one home. `state` is `stopped`, or PostgreSQL's own word (`ready`, `starting`, `stopping`)."""

    running: bool
    state: str
    pid: int | None
    data: Path
    sockets: Path
    log: Path


def folder(home: Path) -> Path:
    """Where the server of `home` keeps everything."""
    return home / "postgres"


def data_folder(home: Path) -> Path:
    """The cluster's data folder."""
    return folder(home) / "data"


def log_file(home: Path) -> Path:
    """What the server says."""
    return folder(home) / "server.log"


def socket_folder(home: Path) -> Path:
    """The folder of the unix socket: under `home`, or a short one in the temporary folder where that is too long."""
    wanted = folder(home) / "run"
    if len(os.fsencode(wanted / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX_BYTES:
        return wanted
    key = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"bifrost-{os.getuid()}-{key}"


def status(home: Path) -> ServerStatus:
    """Whether the server of `home` runs, and as which process; never raises for a server that does not."""
    pid, state = _postmaster(home)
    return ServerStatus(pid is not None, state, pid, data_folder(home), socket_folder(home), log_file(home))


def start(home: Path, secrets: Secrets) -> ServerStatus:
    """The running server of `home`: created, mended and started as needed, and left running when this process ends.

    Raises WarehouseError where it cannot be.
    """
    with _only_one(home):
        if not status(home).running:
            _started[home] = _launch(home, secrets, detached=True)
        _wait_ready(home, _started.get(home))
    return status(home)


def stop(home: Path) -> bool:
    """Stop the server of `home`, rolling back what is unfinished; returns whether it ran."""
    if not folder(home).exists():
        return False
    with _only_one(home):
        pid, _ = _postmaster(home)
        if pid is None:
            return False
        for word in (signal.SIGINT, signal.SIGQUIT):  # fast shutdown, then immediate
            _signal(pid, word)
            if _wait_gone(home, pid, STOP_SECONDS):
                _reap(home)
                return True
    raise WarehouseError(
        f"PostgreSQL process {pid} does not stop", f"Read {log_file(home)} and end the process by hand"
    )


def run_foreground(home: Path, secrets: Secrets) -> int:
    """Start the server as this process's child and wait for its end: for a supervisor. Returns its exit code.

    SIGTERM, SIGINT and SIGHUP become PostgreSQL's fast shutdown.
    """
    with _only_one(home):
        if (running := status(home)).running:
            raise WarehouseError(f"PostgreSQL already runs as process {running.pid}", "Run `bifrost db stop` first")
        process = _launch(home, secrets, detached=False)
        stopping = _forward_stops(process)
        try:
            _wait_ready(home, process)
        except WarehouseError:
            if not stopping.is_set():
                raise
    return process.wait()


def _forward_stops(process: subprocess.Popen[bytes]) -> threading.Event:
    """From now on the signals that end this process shut the server down; the event tells that one came."""
    stopping = threading.Event()

    def stop_server(*_: object) -> None:
        stopping.set()
        _signal(process.pid, signal.SIGINT)

    for word in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(word, stop_server)
    return stopping


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the start/stop lock of `home`; the kernel lets go of it if this process dies."""
    try:
        folder(home).mkdir(parents=True, exist_ok=True)
        with (folder(home) / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise WarehouseError(
            f"the embedded server cannot use {error.filename or folder(home)}: {error.strerror or error}",
            "Make the folder writable and see that its disk is not full, or set BIFROST_HOME to another one",
        ) from error


def _postmaster(home: Path) -> tuple[int | None, str]:
    """Process id and state of the live postmaster of `home`, by its postmaster.pid and what that process really is."""
    try:
        lines = (data_folder(home) / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None, "stopped"
    if pid <= 0 or not _works_in(pid, data_folder(home)):  # negative: single-user mode, while passwords are set
        return None, "stopped"
    return pid, lines[7].strip() if len(lines) > 7 else "starting"


def _works_in(pid: int, data: Path) -> bool:
    """Whether `pid` is a live PostgreSQL process (no zombie, no recycled number) in folder `data`."""
    try:
        process = psutil.Process(pid)
        alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
        return alive and Path(process.cwd()).samefile(data)
    except (psutil.Error, OSError):
        return False


def _launch(home: Path, secrets: Secrets, *, detached: bool) -> subprocess.Popen[bytes]:
    """Prepare the cluster and spawn the postmaster."""
    _reap(home)
    data, sockets = data_folder(home), socket_folder(home)
    user = server_user(data)
    alive = os.open(folder(home) / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _bury(home, alive)
        cluster.prepare(folder(home), sockets, secrets, user)
        with log_file(home).open("ab") as log:
            return subprocess.Popen(
                [str(cluster.binary("postgres")), "-D", str(data), "-k", str(sockets)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                env=cluster.ENVIRONMENT,
                start_new_session=detached,
                pass_fds=(alive,),
                **user.as_process(),
            )
    finally:
        os.close(alive)


def _bury(home: Path, alive: int) -> None:
    """Take the `alive` lock and remove a dead server's lock files, once nothing of that server is left.

    Backends outlive a postmaster that was killed, for a moment or for the length of a statement; PostgreSQL on top
    of them would destroy the cluster.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    orphans = _processes_in(data_folder(home))
    for pid in orphans:
        _signal(pid, signal.SIGQUIT)
    while not _locked(alive) or (orphans := _processes_in(data_folder(home))):
        if time.monotonic() > deadline:
            who = ", ".join(map(str, orphans)) or "a process this one cannot see (another container?)"
            raise WarehouseError(
                f"{data_folder(home)} is still in use by what a dead server left: {who}", "End it and try again"
            )
        time.sleep(POLL_SECONDS)
    for left in (data_folder(home) / "postmaster.pid", *socket_folder(home).glob(".s.PGSQL.*")):
        left.unlink(missing_ok=True)  # PostgreSQL takes a zombie's number in them for a live server
    if log_file(home).exists() and log_file(home).stat().st_size > LOG_BYTES_MAX:
        log_file(home).replace(log_file(home).with_suffix(".log.1"))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _processes_in(data: Path) -> list[int]:
    return [pid for pid in psutil.pids() if _works_in(pid, data)]


def _wait_ready(home: Path, process: subprocess.Popen[bytes] | None) -> None:
    """Until the server takes connections; `process` is the postmaster where it is this process's child."""
    deadline = time.monotonic() + READY_SECONDS
    while (now := status(home)).state != "ready":
        ended = not now.running if process is None else process.poll() is not None
        if ended or time.monotonic() > deadline:
            raise WarehouseError(
                f"PostgreSQL does not start: {cluster.last_words(log_file(home))}", f"Read {log_file(home)}"
            )
        time.sleep(POLL_SECONDS)


def _wait_gone(home: Path, pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _works_in(pid, data_folder(home)):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _reap(home: Path) -> None:
    if process := _started.pop(home, None):
        process.poll()


def _signal(pid: int, word: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, word)
