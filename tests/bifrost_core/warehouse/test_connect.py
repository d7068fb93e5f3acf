from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from pydantic import SecretStr

from bifrost_core.environment import libpq_environment
from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse import cluster
from bifrost_core.warehouse.connect import Database, Role, connect, url
from bifrost_core.warehouse.warehouse import Warehouse


def external(settings: Settings, address: str) -> Settings:
    return load_settings(home=settings.home, database=settings.database, database_url=SecretStr(address))


def test_wrong_address(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """One clear line, by psycopg and by ADBC alike: the setting, the reason, the remedy, and no password."""
    address = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/x"
    settings = load_settings(home=tmp_path, database_url=SecretStr(address))
    for use in (lambda: connect(settings, Role.READER), lambda: Warehouse(settings, Role.READER).read("select 1")):
        with pytest.raises(WarehouseError, match=r"BIFROST_DATABASE_URL.*[Rr]efused.*Check the address") as caught:
            use()
        assert "\n" not in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_embedded_server_not_running(tmp_path: Path) -> None:
    """Most users meet this one first: it has to name the command."""
    with pytest.raises(WarehouseError, match=r"embedded server under .*Run `bifrost db start`"):
        connect(load_settings(home=tmp_path), Role.READER)


def test_wrong_password(settings: Settings) -> None:
    """A wrong password in the URL is the URL's to mend, not `db migrate`'s."""
    host = psycopg.conninfo.conninfo_to_dict(url(settings, Role.OWNER))["host"]
    wrong = external(settings, f"postgresql://postgres:wrong@/postgres?host={host}")
    with pytest.raises(WarehouseError, match=r"refuses .*password authentication failed.*Check user and password"):
        connect(wrong, Role.OWNER)


def test_missing_database(settings: Settings) -> None:
    """A server without our tables is one command away from having them."""
    with pytest.raises(WarehouseError, match=r"no database nowhere\. Run `bifrost db migrate`"):
        connect(load_settings(home=settings.home, database="nowhere"), Role.READER)


def test_sql_errors_stay_themselves(reader: Warehouse) -> None:
    """A typo in a query must not be reported as a broken server."""
    with pytest.raises(Exception, match="nothing_here") as caught:
        reader.read("select * from nothing_here")
    assert not isinstance(caught.value, WarehouseError)


def test_addresses_serve_every_driver(all_databases: Settings) -> None:
    """psycopg, ADBC, psycopg2 through SQLAlchemy (Dagster, MLflow) and psql read the same server."""
    settings = all_databases
    assert Warehouse(settings, Role.READER).read("select current_user::text as who")["who"].to_list() == [
        "bifrost_reader"
    ]
    for database in Database:
        engine = sqlalchemy.create_engine(url(settings, Role.PIPELINE, database, "postgresql+psycopg2"))
        with engine.connect() as connection:
            name = connection.execute(sqlalchemy.text("select current_database()")).scalar()
        engine.dispose()
        assert name == settings.database + database
    command = [str(cluster.binary("psql")), "-Atc", "select current_user"]
    done = subprocess.run(
        command, env=libpq_environment(settings, Role.TRADER), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "bifrost_trader"


def test_odd_passwords_and_parameters_survive_the_url(tmp_path: Path) -> None:
    """A password with @, / or %, and sslmode, are what a managed server's URL has."""
    address = "postgresql://o%40wner:p%40ss%2F%25@db.example:6432/first?sslmode=require"
    settings = load_settings(home=tmp_path, database_url=SecretStr(address))
    owner = psycopg.conninfo.conninfo_to_dict(url(settings, Role.OWNER))
    assert owner == {
        "user": "o@wner",
        "password": "p@ss/%",
        "host": "db.example",
        "port": "6432",
        "dbname": "bifrost",
        "sslmode": "require",
    }
    reader = psycopg.conninfo.conninfo_to_dict(url(settings, Role.READER, Database.DAGSTER))
    assert reader == owner | {
        "user": "bifrost_reader",
        "password": settings.secrets.reader_password,
        "dbname": "bifrost_dagster",
    }


def test_times_are_utc(reader: Warehouse) -> None:
    """A server or a laptop in another zone must not move a session to another day."""
    with reader.transaction() as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)
