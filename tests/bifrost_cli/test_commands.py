from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from bifrost_core.environment import part_environment
from bifrost_core.secrets import load_or_create
from bifrost_core.settings import ROOT, Settings, load_settings
from bifrost_core.warehouse import embedded
from tests import scratch

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home() -> Iterator[Path]:
    folder = scratch.folder("bc-")
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder)


@pytest.fixture
def bifrost(home: Path) -> Run:
    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "BIFROST_HOME": str(home), **variables}
        command = [sys.executable, "-m", "bifrost_cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home)

    return run


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a failed command."""
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_life_of_a_server(bifrost: Run, home: Path) -> None:
    """The commands of the README, in order, each safe to repeat."""
    assert bifrost("db", "status").returncode == 3
    assert "started" in bifrost("db", "start").stdout
    assert "already runs" in bifrost("db", "start").stdout
    assert "empty -> " in bifrost("db", "migrate").stdout
    assert "up to date at " in bifrost("db", "migrate").stdout
    assert "up to date" in bifrost("db", "status").stdout
    assert bifrost("db", "psql", "--", "-Atc", "select current_user").stdout == "bifrost_reader\n"
    assert bifrost("db", "psql", "--role", "owner", "--", "-Atc", "select current_user").stdout == "bifrost_owner\n"
    assert "there is no role 'root'" in one_line(bifrost("db", "psql", "--role", "root"))
    assert bifrost("db", "stop").stdout == "PostgreSQL stopped\n"
    assert bifrost("db", "stop").stdout == "PostgreSQL was not running\n"
    assert "Run `bifrost db start`" in one_line(bifrost("db", "psql"))


@pytest.mark.parametrize(
    ("words", "variables", "says"),
    [
        (["config"], {"BIFROST_PROVIDER": "../evil"}, "setting 'provider' is wrong"),
        (["db", "migrate"], {"BIFROST_DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}, "Check the address"),
        (["db", "start"], {"BIFROST_DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}, "not ours to start or stop"),
        (["db", "start"], {"BIFROST_HOME": "/dev/null/home"}, "/dev/null/home"),
        (["nightly", "--session", "2013-03-02"], {}, "2013-03-02 is no session"),
    ],
)
def test_what_a_person_can_do_wrong(bifrost: Run, words: list[str], variables: dict[str, str], says: str) -> None:
    """One line with the thing and the remedy, exit code 1, no traceback."""
    assert says in one_line(bifrost(*words, **variables))


def test_read_only_home(bifrost: Run, home: Path) -> None:
    """A read-only disk is named; as root permissions do not stop us, so a file stands in the way."""
    (home / "postgres").write_text("")
    assert "Make the folder writable" in one_line(bifrost("db", "start"))
    (home / "postgres").unlink()


def test_config_shows_all_and_hides_secrets(bifrost: Run) -> None:
    """What is pasted into an issue."""
    said = bifrost("config", BIFROST_DATABASE_URL="postgresql://me:hunter2@h/x").stdout
    assert all(f"{name} = " in said for name in Settings.model_fields)
    assert "hunter2" not in said


def test_env_is_shell_and_complete(bifrost: Run, home: Path) -> None:
    """`eval "$(bifrost env)"` in a home with spaces and quotes must give what the parts themselves use."""
    odd = home / "it's a home"
    text = bifrost("env", BIFROST_HOME=str(odd)).stdout
    shown = subprocess.run(["sh", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)
    wanted = part_environment(load_settings(home=odd, artifacts=home / "artifacts"))
    assert {name: variables[name] for name in wanted} == wanted
    assert (odd / "dagster" / "dagster.yaml").read_bytes() == (ROOT / "dagster.yaml").read_bytes()
    assert all(line.startswith("export ") for line in text.splitlines() if not line.startswith(" "))
    assert shlex.split(text)


def test_env_gives_no_rights_but_the_pipelines_and_the_readers(bifrost: Run, home: Path) -> None:
    """A shell with the owner's or the trader's password in it is one typo from the book."""
    text = bifrost("env").stdout
    secrets = load_or_create(home)
    assert secrets.pipeline_password in text
    assert secrets.reader_password in text
    kept = {secrets.pipeline_password, secrets.reader_password}
    assert not [value for value in astuple(secrets) if value in text and value not in kept]


def test_help_names_every_command_without_loading_a_part() -> None:
    """`bifrost --help` that imports Dagster takes five seconds."""
    code = (
        "import sys\nfrom bifrost_cli.main import app\n"
        "heavy = {'dagster', 'mlflow', 'polars', 'pandas', 'psycopg', 'fastapi', 'streamlit', 'alembic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "bifrost_cli.main", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("db", "paper-exchange", "daemon", "dashboard", "demo", "up", "doctor", "env", "config", "explain"):
        assert re.search(rf"\b{command}\b", done.stdout), command


def test_doctor_says_what_to_do_first(bifrost: Run) -> None:
    """On a fresh machine everything is missing: the first remedy must be the one that helps."""
    done = bifrost("doctor", BIFROST_PROVDER="yahoo")
    assert done.returncode == 1
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert any("BIFROST_PROVDER" in line for line in bad)
    assert any("postgresql" in line and "Run `bifrost db start`" in line for line in bad)
    assert not any("the check failed" in line for line in bad), bad
