"""The server's roles and databases: what has to be there before the first migration."""

from __future__ import annotations

import psycopg
from psycopg import sql

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Database, Role, connect, password

LOGINS = (Role.PIPELINE, Role.TRADER, Role.API, Role.READER)
CONNECTS = {
    Database.WAREHOUSE: LOGINS,
    Database.DAGSTER: (Role.PIPELINE, Role.READER),
    Database.MLFLOW: (Role.PIPELINE,),
}
OWNERS = {Database.WAREHOUSE: Role.OWNER, Database.DAGSTER: Role.PIPELINE, Database.MLFLOW: Role.PIPELINE}


def ensure_all(settings: Settings, connection: psycopg.Connection) -> None:
    """Make the roles and databases that are missing. `connection` is the owner's, in autocommit, to any database."""
    try:
        ensure_roles(settings, connection)
        for database in Database:
            ensure_database(settings, connection, database)
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"user {connection.info.user} may not set up the server: {' '.join(str(error).split())}",
            "Give it CREATEROLE and CREATEDB, or run `bifrost db migrate` with a superuser in BIFROST_DATABASE_URL",
        ) from error


def ensure_roles(settings: Settings, connection: psycopg.Connection) -> None:
    """Make the login roles, with the passwords of this installation's secrets."""
    for role in LOGINS:
        if _role_exists(connection, role):
            continue
        command = sql.SQL("create role {} login password {}")
        connection.execute(command.format(sql.Identifier(role), sql.Literal(password(settings, role))))
    # dbt's schemas belong to the pipeline, so the owner acts for it
    connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(Role.PIPELINE)))


def ensure_database(settings: Settings, connection: psycopg.Connection, database: Database) -> None:
    """Make one of the three databases if it is missing; only our roles can connect to it."""
    name = settings.database + database
    if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is None:
        owner = connection.info.user if OWNERS[database] is Role.OWNER else OWNERS[database]
        command = sql.SQL("create database {} owner {} template template0 encoding 'UTF8'")
        connection.execute(command.format(sql.Identifier(name), sql.Identifier(owner)))
    grant_database(connection, name, database)
    if database is Database.DAGSTER:
        _show_to_reader(settings, database)


def _show_to_reader(settings: Settings, database: Database) -> None:
    """Let bifrost_reader read what Dagster stores there now and later: freshness, checks and runs for the app."""
    with connect(settings, Role.OWNER, database) as connection:
        later = "alter default privileges for role {pipeline} in schema public grant select on tables to {reader}"
        for command in ("grant select on all tables in schema public to {reader}", later):
            roles = {"pipeline": sql.Identifier(Role.PIPELINE), "reader": sql.Identifier(Role.READER)}
            connection.execute(sql.SQL(command).format(**roles))


def grant_database(connection: psycopg.Connection, name: str, database: Database) -> None:
    """Say who may connect to database `name`; a copy made from a template needs it again."""
    who = CONNECTS[database]
    for command in ("revoke all on database {name} from public", "grant connect on database {name} to {who}"):
        roles = sql.SQL(", ").join(map(sql.Identifier, who))
        connection.execute(sql.SQL(command).format(name=sql.Identifier(name), who=roles))
    grant = sql.SQL("grant temporary on database {} to {}")
    connection.execute(grant.format(sql.Identifier(name), sql.Identifier(Role.PIPELINE)))


def ensure_passwords(settings: Settings, connection: psycopg.Connection) -> None:
    """See that each role can log in with this installation's password.

    The embedded server belongs to one installation, so there a wrong password is set again (the secrets were lost);
    on a shared server it is another installation's, which would be locked out.
    """
    for role in LOGINS:
        if _logs_in(settings, role):
            continue
        if settings.database_url is not None:
            raise WarehouseError(
                f"role {role} of the server in BIFROST_DATABASE_URL has another password than {settings.home} has",
                f"Copy secrets.json from the installation that made the role, or drop role {role} there",
            )
        command = sql.SQL("alter role {} with login password {}")
        connection.execute(command.format(sql.Identifier(role), sql.Literal(password(settings, role))))


def _role_exists(connection: psycopg.Connection, role: Role) -> bool:
    return connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is not None


def _logs_in(settings: Settings, role: Role) -> bool:
    try:
        connect(settings, role).close()
    except WarehouseError as error:
        if "authentication failed" in str(error) or "not permitted to log in" in str(error):
            return False
        raise
    return True
