"""One shop for all system tests: the demo run twice over three sessions, in its own home, by real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse import embedded
from bifrost_core.warehouse.connect import Role, connect
from tests.ports import free_port

SESSIONS = 3
PORTS = ("dagster", "streamlit", "mlflow", "dbt_docs", "daemon", "paper_exchange")
COMPARED = (
    "raw.daily_bars",
    "raw.daily_bars_superseded",
    "raw.corporate_actions",
    "raw.payloads",
    "features.daily",
    "ml.model_versions",
    "ml.predictions",
    "signals.signals",
    "signals.target_batches",
    "signals.targets",
    "research.backtests",
    "research.backtest_trades",
    "trading.orders",
    "trading.order_events",
    "trading.fills",
    "trading.positions",
    "trading.risk_decisions",
    "audit.chain where kind not in ('lease', 'reconciliation')",  # what a daemon adds by starting
    "compliance.order_audit_trail",
    "compliance.limit_decisions",
    "quarantine.rows",
)


@dataclass(frozen=True)
class Shop:
    """An installation after the demo: its settings, what the two runs printed, and what each left behind."""

    settings: Settings
    environment: dict[str, str]
    first: str
    second: str
    first_contents: dict[str, tuple[int, str]]
    second_contents: dict[str, tuple[int, str]]

    def read(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with connect(self.settings, Role.READER) as connection:
            return connection.execute(sql, params).fetchall()

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A `bifrost` part of this shop, its output in the shop's logs."""
        log = self.settings.home / "logs" / f"test-{command[0]}.log"
        with log.open("ab") as out:
            return subprocess.Popen(bifrost(*command), env=self.environment, stdout=out, stderr=subprocess.STDOUT)


def outside_environment() -> dict[str, str]:
    """This process's environment without what the tests set in it: what a new user has."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BIFROST_")}


def bifrost(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bifrost_cli.main", *arguments]


def contents(settings: Settings) -> dict[str, tuple[int, str]]:
    """Rows of each table, and the hash of all that is in them."""
    with connect(settings, Role.READER) as connection:
        return {table: _content(connection, table) for table in COMPARED}


def _content(connection: psycopg.Connection, table: str) -> tuple[int, str]:
    name, _, where = table.partition(" where ")
    every = f"select count(*), coalesce(md5(string_agg(md5(t::text), '' order by t::text)), '') from {name} t"
    row = connection.execute(every + (f" where {where}" if where else "")).fetchone()  # names from COMPARED only
    assert row is not None
    return int(row[0]), str(row[1])


def _demo(environment: dict[str, str]) -> str:
    done = subprocess.run(
        bifrost("demo", "--sessions", str(SESSIONS)), env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"the demo failed\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root: Path = tmp_path_factory.mktemp("shop")
    ports = {f"{name}_port": free_port() for name in PORTS}
    settings = load_settings(home=root / "home", artifacts=root / "artifacts", **ports)
    environment = {
        **outside_environment(),
        "HOME": str(root),
        "BIFROST_HOME": str(settings.home),
        "BIFROST_ARTIFACTS": str(settings.artifacts),
        **{f"BIFROST_{name.upper()}": str(port) for name, port in ports.items()},
    }
    first = _demo(environment)
    embedded.start(settings.home, settings.secrets)
    try:
        first_contents = contents(settings)
        second = _demo(environment)
        yield Shop(settings, environment, first, second, first_contents, contents(settings))
    finally:
        embedded.stop(settings.home)
