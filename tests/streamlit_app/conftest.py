"""A shop for the pages: tests/world.py, its marts built by dbt, its reports and checks by Dagster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from bifrost_assets.compliance.definitions import defs
from bifrost_core.environment import dagster_home, part_environment
from bifrost_core.settings import ROOT, Settings, load_settings
from bifrost_core.warehouse import databases
from bifrost_core.warehouse.connect import Database, Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests import world
from tests.conftest import TEMPLATE
from tests.ports import free_port

Factory = pytest.TempPathFactory


def fresh_database(server: Settings, maintenance: psycopg.Connection, name: str, folder: Path, **more: Any) -> Settings:
    """A migrated, empty shop of its own on the session's server, reports under `folder`; `more` settings as given."""
    for database in Database:
        maintenance.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name + database)))
    clone = sql.SQL("create database {} template {} strategy file_copy")
    maintenance.execute(clone.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    databases.grant_database(maintenance, name, Database.WAREHOUSE)
    ports = {"streamlit_port": free_port(), "daemon_port": free_port()}
    settings = load_settings(home=server.home, artifacts=folder / "artifacts", database=name, **ports, **more)
    databases.ensure_database(settings, maintenance, Database.DAGSTER)
    return settings


@pytest.fixture(scope="session")
def empty_shop(server: Settings, _maintenance: psycopg.Connection, tmp_path_factory: Factory) -> Settings:
    """A migrated warehouse with nothing in it."""
    return fresh_database(server, _maintenance, "ui_empty", tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="session")
def full_shop(server: Settings, _maintenance: psycopg.Connection, tmp_path_factory: Factory) -> world.World:
    """A shop that traded three sessions."""
    settings = fresh_database(server, _maintenance, "ui_full", tmp_path_factory.mktemp("full"))
    built = world.build(settings)
    _build_marts(settings)
    _run_compliance(settings, built)
    return built


def _build_marts(settings: Settings) -> None:
    folders = ["--project-dir", str(ROOT / "dbt_project"), "--profiles-dir", str(ROOT / "dbt_project")]
    target = [
        "--target-path",
        str(settings.artifacts.parent / "dbt"),
        "--log-path",
        str(settings.artifacts.parent / "dbt"),
    ]
    command = [sys.executable, "-m", "dbt.cli.main", "run", *folders, *target]
    done = subprocess.run(command, env={**os.environ, **part_environment(settings)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _run_compliance(settings: Settings, built: world.World) -> None:
    """The compliance assets and their checks, recorded in Dagster's real storage."""
    upstream = {key for asset in defs.assets for key in asset.dependency_keys}  # type: ignore[union-attr]
    job = dg.Definitions(
        assets=[*defs.assets, *(dg.AssetSpec(key) for key in sorted(upstream))],  # type: ignore[misc]
        asset_checks=defs.asset_checks,
        resources={"warehouse": Warehouse(settings, Role.PIPELINE)},
    ).resolve_implicit_global_asset_job_def()
    first, last = built.traded[0], built.traded[-1]
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in part_environment(settings).items():
            patch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(dagster_home(settings))) as instance:
            assert job.execute_in_process(instance=instance, tags=tags).success


@pytest.fixture
def _the_apps_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing cached by the app from another test's shop."""
    import streamlit as st

    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()
