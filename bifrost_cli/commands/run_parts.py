"""`bifrost paper-exchange`, `daemon`, `deadman`, `dashboard`, `up`: the always-on parts, one by one or all together."""

from __future__ import annotations

import typer

from bifrost_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("paper-exchange")(paper_exchange)
    app.command()(daemon)
    app.command()(deadman)
    app.command()(dashboard)
    app.command()(up)


def paper_exchange() -> None:
    """Run the paper exchange: the Alpaca trading API over real bars, with its own ledger."""
    from execution_daemon.paper_exchange.main import run

    run(load_settings())


def daemon() -> None:
    """Run the execution daemon: plans, checks risk, sends orders, reconciles."""
    from execution_daemon.main import run

    run(load_settings())


def deadman() -> None:
    """Run the dead-man switch: halts and cancels when the daemon goes silent."""
    from execution_daemon.deadman import run

    run(load_settings())


def dashboard() -> None:
    """Run the Streamlit app on its loopback port."""
    import os

    from bifrost_cli import parts
    from bifrost_core.environment import part_environment

    settings = load_settings()
    part = parts.dashboard(settings)
    parts.ensure_port_free(part)
    os.environ.update(part_environment(settings))
    os.execv(part.command[0], part.command)


def up() -> None:
    """Run every part, supervised, until Ctrl-C."""
    from bifrost_cli.up import run

    raise typer.Exit(run(load_settings()))
