from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from bifrost_core.environment import dagster_home, part_environment
from bifrost_core.errors import SettingsError
from bifrost_core.settings import load_settings


def test_a_part_sees_the_settings_of_who_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon of a demo with other settings would trade another account in another database."""
    settings = load_settings(
        home=tmp_path / "a home",
        artifacts=tmp_path / "reports",
        database_url=SecretStr("postgresql://me:p%40ss@db/x?sslmode=require"),
        universe=("IBM", "MSFT"),
        initial_cash="250000.50",
        account="second",
    )
    for name, value in part_environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert load_settings() == settings


def test_tools_get_the_address_of_an_external_server(tmp_path: Path) -> None:
    """dbt and psql take host, port and TLS mode apart, not as a URL."""
    settings = load_settings(
        home=tmp_path, database_url=SecretStr("postgresql://me:x@db.example:6432/x?sslmode=require")
    )
    environment = part_environment(settings)
    wanted = {"HOST": "db.example", "PORT": "6432", "SSLMODE": "require"}
    for name, value in wanted.items():
        assert environment[f"DBT_{name}"] == environment[f"PG{name}"] == value
    assert (environment["DBT_USER"], environment["PGUSER"]) == ("bifrost_pipeline", "bifrost_reader")
    assert environment["DBT_DBNAME"] == environment["PGDATABASE"] == "bifrost"
    assert environment["MLFLOW_TRACKING_URI"].startswith("postgresql+psycopg2://bifrost_pipeline:")


def test_dagsters_configuration_follows_the_projects(tmp_path: Path) -> None:
    """An old dagster.yaml in the home folder would survive every upgrade."""
    settings = load_settings(home=tmp_path)
    installed = dagster_home(settings) / "dagster.yaml"
    current = installed.read_bytes()
    installed.write_text("storage: {}\n")
    dagster_home(settings)
    assert installed.read_bytes() == current


def test_home_that_cannot_be_made(tmp_path: Path) -> None:
    """One line with the folder and the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"Dagster's home .* cannot be made.*BIFROST_HOME"):
        dagster_home(load_settings(home=tmp_path / "file"))
