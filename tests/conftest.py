"""One embedded server for the whole session; every test that asks gets its own database, cloned from a migrated one."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse import databases, embedded, migrate
from bifrost_core.warehouse.connect import Database, Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests import ports, scratch, sharing

TEMPLATE = "bifrost_template"


# No setting of the person who runs the tests reaches them; every session is a partition of its own; nobody waits long
# before a vendor is asked again.
for _name in [name for name in os.environ if name.startswith(("BIFROST_", "DAGSTER_", "DBT_", "MLFLOW_", "PG"))]:
    del os.environ[_name]
os.environ.update(
    BIFROST_TOML="/nonexistent/bifrost.toml",
    BIFROST_FIRST_PARTITION="2000-01-03",
    BIFROST_PROVIDER_BACKOFF_SECONDS="0.01",
)
scratch.use()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    return sharing.Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        sharing.longest_first(items)


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """A running server with a migrated template database; its settings name that database. Nobody writes to it."""
    home = scratch.folder("bt-")
    settings = load_settings(home=home, artifacts=home / "artifacts", database=TEMPLATE)
    embedded.start(home, settings.secrets)
    try:
        migrate.upgrade(settings)
        yield settings
    finally:
        embedded.stop(home)
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def _maintenance(server: Settings) -> Iterator[psycopg.Connection]:
    with migrate.maintenance(server) as connection:
        yield connection


@pytest.fixture
def settings(server: Settings, _maintenance: psycopg.Connection, tmp_path: Path) -> Iterator[Settings]:
    """Settings whose `database` is new, migrated and empty; dropped after the test."""
    name = f"t_{uuid.uuid4().hex[:16]}"
    clone = sql.SQL("create database {} template {} strategy file_copy")
    _maintenance.execute(clone.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    databases.grant_database(_maintenance, name, Database.WAREHOUSE)
    yield load_settings(home=server.home, artifacts=tmp_path / "artifacts", database=name)
    for database in Database:
        drop = sql.SQL("drop database if exists {}")  # waits for backends that are on their way out
        _maintenance.execute(drop.format(sql.Identifier(name + database)))


@pytest.fixture
def all_databases(settings: Settings, _maintenance: psycopg.Connection) -> Settings:
    """`settings`, with Dagster's and MLflow's databases made as well."""
    for database in (Database.DAGSTER, Database.MLFLOW):
        databases.ensure_database(settings, _maintenance, database)
    return settings


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    """The warehouse as the assets see it: bifrost_pipeline."""
    return Warehouse(settings, Role.PIPELINE)


@pytest.fixture
def owner(settings: Settings) -> Warehouse:
    """The warehouse as bifrost_owner: sets up what no part may."""
    return Warehouse(settings, Role.OWNER)


@pytest.fixture
def trader(settings: Settings) -> Warehouse:
    """The warehouse as the daemon sees it: bifrost_trader."""
    return Warehouse(settings, Role.TRADER)


@pytest.fixture
def reader(settings: Settings) -> Warehouse:
    """The warehouse as the app sees it: bifrost_reader."""
    return Warehouse(settings, Role.READER)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives loopback ports nobody listens on, never the same one twice in a test."""
    given: set[int] = set()

    def one() -> int:
        while (port := ports.free_port()) in given:
            pass
        given.add(port)
        return port

    return one
