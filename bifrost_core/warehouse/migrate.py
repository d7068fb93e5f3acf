"""Brings a server to the schema this code needs: roles, databases, then Alembic's revisions, under one lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse import databases, tokens
from bifrost_core.warehouse.connect import Database, Role, connect, is_missing_database

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x42494652  # "BIFR": two migrations of one server never overlap


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Revisions before and after; equal where nothing was to be done. `before` is None on a new database."""

    before: str | None
    after: str


@cache
def head() -> str:
    """The revision this code needs: files are named by revision, so the last one is it."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(settings: Settings) -> str | None:
    """The warehouse's revision; None where the database or its tables are not made yet."""
    try:
        with connect(settings, Role.OWNER) as connection:
            row = connection.execute("select version_num from public.alembic_version").fetchone()
            return str(row[0]) if row else None
    except psycopg.errors.UndefinedTable:
        return None
    except WarehouseError as error:
        if isinstance(error.__cause__, psycopg.OperationalError) and is_missing_database(error.__cause__):
            return None
        raise


def pending(settings: Settings) -> tuple[str, ...]:
    """Revisions this code has and the warehouse lacks, in order."""
    have = current(settings) or ""
    names = {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    return tuple(sorted(name for name in names if name > have))


def upgrade(settings: Settings) -> Upgraded:
    """Make or bring up to date everything on the server; nothing to do costs a few logins.

    Raises WarehouseError where the server cannot be reached or set up, or is newer than this code.
    """
    with _maintenance(settings) as connection:
        before = current(settings)
        if before is not None and before > head():
            raise WarehouseError(
                f"database {settings.database} is at revision {before}, newer than this code's {head()}",
                "Update the code",
            )
        if before != head() or _missing_databases(settings, connection):
            databases.ensure_all(settings, connection)
            _run_alembic(settings)
        databases.ensure_passwords(settings, connection)
        tokens.register_local(settings)
    return Upgraded(before, head())


def _missing_databases(settings: Settings, connection: psycopg.Connection) -> bool:
    names = [settings.database + database for database in Database]
    row = connection.execute("select count(*) from pg_database where datname = any(%s)", (names,)).fetchone()
    return row is None or row[0] < len(names)


@contextmanager
def _maintenance(settings: Settings) -> Iterator[psycopg.Connection]:
    """The owner's autocommit connection to the server's first database, holding the migration lock."""
    with maintenance(settings) as connection:
        connection.execute("select pg_advisory_lock(%s)", (LOCK,))
        yield connection


def maintenance(settings: Settings) -> psycopg.Connection:
    """The owner's autocommit connection to a database that is always there: the one named in the URL, or `postgres`."""
    named = settings.database_url.get_secret_value() if settings.database_url else ""
    first = conninfo_to_dict(named).get("dbname") or "postgres"
    return connect(settings, Role.OWNER, first=str(first), autocommit=True)


def _run_alembic(settings: Settings) -> None:
    """Alembic's `upgrade head` in one transaction on the warehouse."""
    import alembic.command
    import sqlalchemy
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: connect(settings, Role.OWNER), poolclass=sqlalchemy.pool.NullPool
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")
