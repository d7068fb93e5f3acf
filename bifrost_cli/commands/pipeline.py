"""`bifrost demo`, `bifrost nightly` and `bifrost explain`: the main job and its traces."""

from __future__ import annotations

import typer

from bifrost_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(demo)
    app.command()(nightly)
    app.command()(explain)


def demo(sessions: int = typer.Option(10, min=1, help="How many of the last sample sessions to trade.")) -> None:
    """Run everything once on real data: history, then ten sessions traded and reconciled. Safe to run again."""
    from bifrost_cli import demo as the_demo

    the_demo.run(load_settings(), sessions)


def nightly(session: str = typer.Option(..., help="The session to run, an ISO date.")) -> None:
    """Run the nightly job of one session in this process, as the schedule would."""
    import os

    from bifrost_cli.nightly import NightlyRunner
    from bifrost_core.calendar import parse_session
    from bifrost_core.environment import part_environment

    settings = load_settings()
    day = parse_session(settings.exchange, session)
    os.environ.update(part_environment(settings))
    ran = NightlyRunner().run_session(day)
    print(f"nightly {day}: {'done' if ran else 'was done before; materialize it in Dagster to do it again'}")


def explain(identifier: str = typer.Argument(help="A client order id, or a fill's execution id.")) -> None:
    """Trace an order or a fill back to the payloads of the bars it came from, or to the person who asked for it."""
    from bifrost_core.lineage import as_text
    from bifrost_core.lineage import explain as trace
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    print(as_text(trace(Warehouse(load_settings(), Role.READER), identifier)))
