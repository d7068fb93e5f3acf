"""`bifrost db ...`: the PostgreSQL server and its schema."""

from __future__ import annotations

import typer

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings, load_settings

app = typer.Typer(help="The PostgreSQL server and its schema.", no_args_is_help=True)


@app.command()
def start() -> None:
    """Start the embedded server, and leave it running."""
    from bifrost_core.warehouse import embedded

    settings = _embedded_only()
    ran = embedded.status(settings.home).running
    server = embedded.start(settings.home, settings.secrets)
    print(f"PostgreSQL {'already runs' if ran else 'started'}: process {server.pid}, socket folder {server.sockets}")


@app.command()
def stop() -> None:
    """Stop the embedded server."""
    from bifrost_core.warehouse import embedded

    stopped = embedded.stop(_embedded_only().home)
    print("PostgreSQL stopped" if stopped else "PostgreSQL was not running")


@app.command()
def status() -> None:
    """Say where the server is, whether it runs and which migrations it lacks; exits with 3 where it does not run."""
    from bifrost_core.warehouse import embedded, migrate

    settings = load_settings()
    if settings.database_url is None:
        server = embedded.status(settings.home)
        print(f"embedded server {server.state}" + (f", process {server.pid}" if server.pid else ""))
        print(f"data {server.data}\nsocket folder {server.sockets}\nlog {server.log}")
        if not server.running:
            raise typer.Exit(3)
    lacking = migrate.pending(settings)
    print(
        f"database {settings.database}: "
        + (f"lacks {', '.join(lacking)}; run `bifrost db migrate`" if lacking else "up to date")
    )


@app.command("run")
def run_in_foreground() -> None:
    """Run the embedded server in the foreground, for a supervisor; SIGTERM and Ctrl-C stop it cleanly."""
    from bifrost_core.warehouse import embedded

    settings = _embedded_only()
    raise typer.Exit(embedded.run_foreground(settings.home, settings.secrets))


@app.command("migrate")
def migrate_schema() -> None:
    """Make roles, databases and tables, or bring them up to date; starts the embedded server if it does not run."""
    from bifrost_core.warehouse import embedded, migrate

    settings = load_settings()
    if settings.database_url is None:
        embedded.start(settings.home, settings.secrets)
    done = migrate.upgrade(settings)
    what = f"up to date at {done.after}" if done.before == done.after else f"{done.before or 'empty'} -> {done.after}"
    print(f"database {settings.database}: {what}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context, role: str = typer.Option("reader", help="owner, pipeline, trader, api or reader.")
) -> None:
    """Open psql on the warehouse; what follows is passed on, as in `bifrost db psql -- -c 'select 1'`."""
    import os
    import shutil

    from bifrost_core.environment import libpq_environment
    from bifrost_core.warehouse import cluster
    from bifrost_core.warehouse.connect import Role, connect

    settings = load_settings()
    roles = {one.removeprefix("bifrost_"): one for one in Role}
    if role.removeprefix("bifrost_") not in roles:
        raise WarehouseError(f"there is no role {role!r}", f"Use one of {', '.join(roles)}")
    who = roles[role.removeprefix("bifrost_")]
    connect(settings, who).close()  # our words, not psql's, where it cannot
    program = shutil.which("psql") or str(cluster.binary("psql"))
    os.environ.update(libpq_environment(settings, who))  # keeps the password out of the process list
    os.execv(program, [program, *context.args])


def _embedded_only() -> Settings:
    settings = load_settings()
    if settings.database_url is not None:
        raise WarehouseError(
            "BIFROST_DATABASE_URL names an external server, which is not ours to start or stop",
            "Unset it for the embedded one",
        )
    return settings
