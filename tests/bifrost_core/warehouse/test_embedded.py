from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from bifrost_core.errors import WarehouseError
from bifrost_core.secrets import Secrets, load_or_create
from bifrost_core.warehouse import cluster, embedded
from bifrost_core.warehouse.serveruser import server_user
from tests import scratch

START = """
import sys
from pathlib import Path
from bifrost_core.secrets import load_or_create
from bifrost_core.warehouse import embedded
home = Path(sys.argv[1])
print(embedded.{function}(home, load_or_create(home)))
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = scratch.folder("be-")
    yield folder
    for data in folder.rglob("postgresql.conf"):
        embedded.stop(data.parent.parent.parent)
    shutil.rmtree(folder)


@pytest.fixture
def secrets(home: Path) -> Secrets:
    return load_or_create(home)


def one(home: Path, secrets: Secrets, sql: str) -> object:
    """The first column of the first row, as bifrost_owner."""
    with psycopg.connect(
        host=str(embedded.socket_folder(home)), user="bifrost_owner", password=secrets.owner_password, dbname="postgres"
    ) as connection:
        row = connection.execute(sql).fetchone()
        assert row is not None
        return row[0]


def in_another_process(home: Path, function: str = "start") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START.format(function=function), str(home)], stdout=subprocess.PIPE, text=True
    )


def wait_for(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("did not happen")


def test_start_twice_is_one_server(home: Path, secrets: Secrets) -> None:
    """A second part that starts would fight the first one for the cluster."""
    first = embedded.start(home, secrets)
    assert embedded.start(home, secrets).pid == first.pid
    assert embedded.status(home).state == "ready"


def test_stop_ends_it_and_start_finds_the_data_again(home: Path, secrets: Secrets) -> None:
    """A stop that loses data, or that leaves a process behind, loses a trading day."""
    pid = embedded.start(home, secrets).pid
    with psycopg.connect(
        host=str(embedded.socket_folder(home)), user="postgres", password=secrets.superuser_password, dbname="postgres"
    ) as connection:
        connection.execute("create table kept as select 42 as n; grant select on kept to public")
    assert embedded.stop(home) is True
    assert pid is not None and not psutil.pid_exists(pid)
    assert embedded.stop(home) is False
    embedded.start(home, secrets)
    assert one(home, secrets, "select n from kept") == 42


def test_stop_without_a_server_makes_nothing(tmp_path: Path) -> None:
    """`bifrost db stop` with a misspelt home would litter the disk."""
    assert embedded.stop(tmp_path / "nowhere") is False
    assert not (tmp_path / "nowhere").exists()


def test_killed_postmaster_that_nobody_buried(home: Path, secrets: Secrets) -> None:
    """After kill -9 a zombie's number is in postmaster.pid, and PostgreSQL takes it for a live server."""
    pid = embedded.start(home, secrets).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert not embedded.status(home).running
    again = embedded.start(home, secrets)
    assert again.pid != pid
    assert one(home, secrets, "select 1") == 1


def test_killed_postmaster_of_another_process(home: Path, secrets: Secrets) -> None:
    """The server outlives the command that started it, and its death is noticed by whoever comes next."""
    starter = in_another_process(home)
    assert starter.wait() == 0
    pid = embedded.status(home).pid
    assert pid is not None, "the server died with the process that started it"
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not embedded.status(home).running)
    assert embedded.start(home, secrets).pid != pid
    assert one(home, secrets, "select 1") == 1


def test_backends_that_outlive_a_killed_postmaster_are_ended_first(home: Path, secrets: Secrets) -> None:
    """A new server beside an old backend that still writes destroys the cluster."""
    pid = embedded.start(home, secrets).pid
    assert pid is not None
    busy = psycopg.connect(
        host=str(embedded.socket_folder(home)), user="bifrost_owner", password=secrets.owner_password, dbname="postgres"
    )
    backend = busy.info.backend_pid
    query = "do $$ begin for i in 1..2000000000 loop null; end loop; end $$"  # sees no postmaster death while it runs
    outcome: list[Exception] = []

    def work() -> None:
        try:
            busy.execute(query)
        except psycopg.OperationalError as error:
            outcome.append(error)

    runner = threading.Thread(target=work)
    runner.start()
    wait_for(lambda: psutil.Process(backend).cpu_percent(0.05) > 20)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not embedded.status(home).running)
    assert psutil.Process(backend).status() != psutil.STATUS_ZOMBIE, "the backend has to outlive the postmaster here"
    embedded.start(home, secrets)
    assert not psutil.pid_exists(backend) or psutil.Process(backend).status() == psutil.STATUS_ZOMBIE
    assert one(home, secrets, "select 1") == 1
    runner.join()
    busy.close()
    assert outcome


def test_an_unseen_live_server_is_never_robbed_of_its_pid_file(
    home: Path, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server in another container is invisible in /proc; only the inherited lock tells that it lives."""
    pid = embedded.start(home, secrets).pid
    monkeypatch.setattr(embedded, "_works_in", lambda *_: False)
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.2)
    with pytest.raises(WarehouseError, match="still in use"):
        embedded.start(home, secrets)
    monkeypatch.undo()
    assert embedded.status(home).pid == pid
    assert (embedded.data_folder(home) / "postmaster.pid").exists()


@pytest.mark.parametrize(
    "number",
    ["1", str(os.getpid()), "999999999", "-1", "garbage", ""],
    ids=("init", "ours", "none", "-1", "text", "empty"),
)
def test_stale_or_recycled_pid_file(home: Path, secrets: Secrets, number: str) -> None:
    """A number in postmaster.pid that now belongs to another program must neither be believed nor be killed."""
    embedded.start(home, secrets)
    embedded.stop(home)
    stale = f"{number}\n{embedded.data_folder(home)}\n1\n5432\n{embedded.socket_folder(home)}\n\n  1  2\nready\n"
    (embedded.data_folder(home) / "postmaster.pid").write_text(stale)
    assert not embedded.status(home).running
    assert embedded.stop(home) is False
    embedded.start(home, secrets)
    assert one(home, secrets, "select 1") == 1


def test_concurrent_starts_give_one_server(home: Path) -> None:
    """`make demo` and `make up` at once: two initdb in one folder, or two servers, would ruin it."""
    starters = [in_another_process(home) for _ in range(4)]
    assert [starter.wait() for starter in starters] == [0, 0, 0, 0]
    pids = {line.split("pid=")[1].split(",")[0] for line in (starter.communicate()[0] for starter in starters)}
    assert len(pids) == 1
    assert one(home, load_or_create(home), "select 1") == 1


def test_home_too_long_for_a_unix_socket(home: Path) -> None:
    """A socket path over 107 bytes cannot be bound: a deep home folder would have no server."""
    deep = home / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    secrets = load_or_create(deep)
    status = embedded.start(deep, secrets)
    try:
        assert len(os.fsencode(status.sockets / ".s.PGSQL.5432")) <= 103
        assert status.sockets.stat().st_mode & 0o077 == 0
        assert one(deep, secrets, "select 1") == 1
    finally:
        embedded.stop(deep)
        shutil.rmtree(status.sockets)


def test_socket_folder_that_someone_else_made(home: Path, secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared temporary folder another user could put a folder there first and pose as our server."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    theirs = home / "theirs"
    theirs.mkdir()
    os.chown(theirs, 54321, 54321)
    monkeypatch.setattr(embedded, "socket_folder", lambda _: theirs)
    with pytest.raises(WarehouseError, match="belongs to someone else"):
        embedded.start(home, secrets)


def test_home_that_is_a_file(tmp_path: Path) -> None:
    """A folder that cannot be made gives one line with its name, not a traceback."""
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(WarehouseError, match=r"cannot use .*home/postgres.*BIFROST_HOME"):
        embedded.start(tmp_path / "home", Secrets())


def test_full_disk_leaves_no_half_cluster(home: Path, secrets: Secrets) -> None:
    """A first start on a full disk must say so, and the next one, with room, must work."""
    limited = START.format(function="start").replace(
        "print(", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\nprint("
    )
    done = subprocess.run([sys.executable, "-c", limited, str(home)], capture_output=True, text=True)
    assert "WarehouseError: initdb failed in" in done.stderr
    assert not embedded.data_folder(home).exists()
    embedded.start(home, secrets)
    assert one(home, secrets, "select 1") == 1


def test_folder_with_other_files_is_not_overwritten(home: Path, secrets: Secrets) -> None:
    """initdb over someone's files would destroy them."""
    embedded.data_folder(home).mkdir(parents=True)
    (embedded.data_folder(home) / "thesis.txt").write_text("years of work")
    with pytest.raises(WarehouseError, match="not empty"):
        embedded.start(home, secrets)
    assert (embedded.data_folder(home) / "thesis.txt").read_text() == "years of work"


def test_broken_configuration_is_quoted_from_the_log(home: Path, secrets: Secrets) -> None:
    """A server that cannot start must say why in the message, not only in a log nobody knows."""
    embedded.start(home, secrets)
    embedded.stop(home)
    (embedded.data_folder(home) / "conf.d" / "local.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(WarehouseError, match=r"does not start: .*shared_buffers.*Read .*server\.log"):
        embedded.start(home, secrets)


def test_lost_secrets_are_replaced(home: Path, secrets: Secrets) -> None:
    """With secrets.json gone, the warehouse behind the old passwords would be lost as well."""
    embedded.start(home, secrets)
    embedded.stop(home)
    (home / "secrets.json").unlink()
    new = load_or_create(home)
    embedded.start(home, new)
    assert one(home, new, "select 1") == 1
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        one(home, secrets, "select 1")


def test_nobody_gets_in_without_a_password(home: Path, secrets: Secrets) -> None:
    """With `trust`, every role would be every other role on a laptop."""
    embedded.start(home, secrets)
    for user in ("postgres", "bifrost_owner"):
        with pytest.raises(psycopg.OperationalError, match=r"no password supplied|authentication failed"):
            psycopg.connect(host=str(embedded.socket_folder(home)), user=user, dbname="postgres")
    assert one(home, secrets, "select rolsuper from pg_roles where rolname = current_user") is False
    assert one(home, secrets, "show listen_addresses") == ""


def test_data_folder_is_private_and_never_roots(home: Path, secrets: Secrets) -> None:
    """PostgreSQL refuses to run as root and over an open data folder."""
    pid = embedded.start(home, secrets).pid
    found = embedded.data_folder(home).stat()
    assert found.st_mode & 0o077 == 0
    assert psutil.Process(pid).uids().real == found.st_uid != 0


def test_closed_parent_is_opened_for_traversal_only(home: Path) -> None:
    """Under root's 0700 folders the server's user reaches its cluster, but nobody may list them."""
    if os.getuid() != 0:
        pytest.skip("only root runs the server as another user")
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    embedded.start(closed, load_or_create(closed))
    assert closed.stat().st_mode & 0o777 == 0o701


def test_someone_elses_cluster_is_refused(home: Path, secrets: Secrets) -> None:
    """A user who points at another's home must learn whose it is."""
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    owner = psutil.Process(embedded.start(home, secrets).pid).uids().real
    embedded.stop(home)
    home.chmod(0o755)
    embedded.folder(home).chmod(0o755)
    os.seteuid(54321)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getuid", os.geteuid)
            with pytest.raises(WarehouseError, match=r"belongs to user \w+, and this is user 54321"):
                server_user(embedded.data_folder(home))
    finally:
        os.seteuid(0)
    assert owner not in (0, 54321)


def test_foreground_server_ends_cleanly_on_sigterm(home: Path) -> None:
    """A supervisor's SIGTERM is PostgreSQL's smart shutdown, which waits for every client, for ever."""
    secrets = load_or_create(home)
    supervisor = in_another_process(home, "run_foreground")
    wait_for(lambda: embedded.status(home).state == "ready")
    with psycopg.connect(
        host=str(embedded.socket_folder(home)), user="bifrost_owner", password=secrets.owner_password, dbname="postgres"
    ):
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(60) == 0
    assert not embedded.status(home).running
    assert "database system is shut down" in embedded.log_file(home).read_text()


def test_foreground_refuses_a_running_server(home: Path, secrets: Secrets) -> None:
    """Two supervisors over one cluster would restart each other's server."""
    embedded.start(home, secrets)
    with pytest.raises(WarehouseError, match="already runs"):
        embedded.run_foreground(home, secrets)


def test_memory_settings_fit_the_machine() -> None:
    """PostgreSQL's defaults use 128 MB of any machine; too much of a small one and it does not start."""
    lines = dict(line.split(" = ") for line in cluster.configuration().splitlines())
    buffers = int(lines["shared_buffers"].strip("'MB")) * 1024 * 1024
    assert 128 * 1024 * 1024 <= buffers <= max(cluster.memory_bytes() / 8, 128 * 1024 * 1024)
