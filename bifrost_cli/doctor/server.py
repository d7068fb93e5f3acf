"""PostgreSQL: it runs, its schema is current, every role can log in."""

from __future__ import annotations

from collections.abc import Iterator

from bifrost_cli.doctor.finding import Finding
from bifrost_core.settings import Settings
from bifrost_core.warehouse import embedded, migrate
from bifrost_core.warehouse.connect import Database, Role, connect


def postgresql(settings: Settings) -> Iterator[Finding]:
    """The server takes connections."""
    if settings.database_url is None:
        status = embedded.status(settings.home)
        detail = f"embedded, {status.state}" + (f", process {status.pid}" if status.pid else "")
        yield Finding("postgresql", status.state == "ready", detail, "Run `bifrost db start`, or `bifrost up`")
        return
    with migrate.maintenance(settings) as connection:
        info = connection.info
        yield Finding("postgresql", True, f"{info.host}:{info.port}, version {info.server_version // 10000}")


def migrations(settings: Settings) -> Iterator[Finding]:
    """The schema is this code's."""
    lacking = migrate.pending(settings)
    detail = f"lacks {', '.join(lacking)}" if lacking else f"{settings.database} at {migrate.head()}"
    yield Finding("migrations", not lacking, detail, "Run `bifrost db migrate`")


def roles(settings: Settings) -> Iterator[Finding]:
    """Every role can log in to what it uses."""
    wanted = [(role, Database.WAREHOUSE) for role in Role]
    wanted += [(Role.PIPELINE, Database.DAGSTER), (Role.PIPELINE, Database.MLFLOW)]
    for role, database in wanted:
        connect(settings, role, database).close()
    yield Finding("roles", True, ", ".join(role.removeprefix("bifrost_") for role in Role))
