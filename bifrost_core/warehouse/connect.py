"""Addresses and connections, by role and database."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse import embedded


class Role(StrEnum):
    """Who connects. Each part uses its own role, and no other."""

    OWNER = "bifrost_owner"
    PIPELINE = "bifrost_pipeline"
    TRADER = "bifrost_trader"
    API = "bifrost_api"
    READER = "bifrost_reader"


class Database(StrEnum):
    """The three databases of the one server: suffixes of the `database` setting."""

    WAREHOUSE = ""
    DAGSTER = "_dagster"
    MLFLOW = "_mlflow"


def password(settings: Settings, role: Role) -> str:
    """The generated password of `role`."""
    return str(getattr(settings.secrets, f"{role.removeprefix('bifrost_')}_password"))


def url(settings: Settings, role: Role, database: Database = Database.WAREHOUSE, driver: str = "postgresql") -> str:
    """A libpq URL for `role` on `database`; holds a password, so never log it.

    `driver` is the URL scheme: `postgresql` for libpq, psycopg and ADBC, `postgresql+psycopg2` for SQLAlchemy.
    On an external server the owner is the user of `database_url`; the database named there is only where
    the first connection goes.
    """
    name = settings.database + database
    if settings.database_url is None:
        where = quote(str(embedded.socket_folder(settings.home)), safe="")
        return f"{driver}://{role}:{password(settings, role)}@/{name}?host={where}"
    parts = {k: str(v) for k, v in conninfo_to_dict(settings.database_url.get_secret_value()).items() if v is not None}
    user, secret = parts.pop("user", ""), parts.pop("password", "")
    if role is not Role.OWNER:
        user, secret = role, password(settings, role)
    parts.pop("dbname", None)
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parts.items())
    login = quote(user, safe="") + (f":{quote(secret, safe='')}" if secret else "")
    return f"{driver}://{login}@/{name}?{query}"


def connect(settings: Settings, role: Role, database: Database = Database.WAREHOUSE) -> psycopg.Connection:
    """A new psycopg connection (UTC, not autocommit); raises WarehouseError where the server cannot be used."""
    try:
        return psycopg.connect(url(settings, role, database), options="-c timezone=UTC", connect_timeout=10)
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        where = "BIFROST_DATABASE_URL" if settings.database_url else f"the embedded server under {settings.home}"
        remedy = "Check the address and that the server runs" if settings.database_url else "Run `bifrost db start`"
        raise WarehouseError(f"cannot connect to {where} as {role}: {reason}", remedy) from error
