"""Addresses and connections, by role and database."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

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
        where = quote(str(embedded.socket_folder(settings.home)), safe="/")
        return f"{driver}://{role}:{password(settings, role)}@/{name}?host={where}"
    parts = {k: str(v) for k, v in conninfo_to_dict(settings.database_url.get_secret_value()).items() if v is not None}
    user, secret = parts.pop("user", ""), parts.pop("password", "")
    if role is not Role.OWNER:
        user, secret = role, password(settings, role)
    parts.pop("dbname", None)
    query = "&".join(f"{key}={quote(value, safe='/')}" for key, value in parts.items())
    login = quote(user, safe="") + (f":{quote(secret, safe='')}" if secret else "")
    return f"{driver}://{login}@/{name}?{query}"


def connect(
    settings: Settings,
    role: Role,
    database: Database = Database.WAREHOUSE,
    *,
    first: str | None = None,
    autocommit: bool = False,
) -> psycopg.Connection:
    """A new psycopg connection (UTC); raises WarehouseError where the server cannot be used.

    `first` names another database than ours, for what has to happen before ours exist.
    """
    address = make_conninfo(url(settings, role, database), **({"dbname": first} if first else {}))
    try:
        return psycopg.connect(address, autocommit=autocommit, options="-c timezone=UTC", connect_timeout=10)
    except psycopg.OperationalError as error:
        raise unusable(settings, role, database, error) from error


def unusable(settings: Settings, role: Role, database: Database, error: Exception) -> WarehouseError:
    """What a failed connection means to a person."""
    reason = " ".join(str(error).split()).removeprefix("connection failed: ").rstrip("?.")
    external = settings.database_url is not None
    where = "the server in BIFROST_DATABASE_URL" if external else f"the embedded server under {settings.home}"
    if is_missing_database(error):
        return WarehouseError(f"{where} has no database {settings.database + database}", "Run `bifrost db migrate`")
    if "authentication failed" in reason:
        remedy = "Check user and password there" if external and role is Role.OWNER else "Run `bifrost db migrate`"
        return WarehouseError(f"{where} refuses {role}: {reason}", remedy)
    remedy = "Check the address and that the server runs" if external else "Run `bifrost db start`"
    return WarehouseError(f"cannot connect to {where} as {role}: {reason}", remedy)


def is_missing_database(error: Exception) -> bool:
    """Whether a connection failed because its database is not there (psycopg gives failed connections no code)."""
    return 'database "' in str(error) and "does not exist" in str(error)
