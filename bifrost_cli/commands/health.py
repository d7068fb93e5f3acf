"""`bifrost doctor`."""

from __future__ import annotations

import typer

from bifrost_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(doctor)


def doctor() -> None:
    """Check every part, and say what is wrong and how to mend it; exits with 1 where anything is."""
    from bifrost_cli.doctor import examine

    bad = 0
    for finding in examine(load_settings()):
        print(finding.line(), flush=True)
        bad += not finding.ok
    raise typer.Exit(1 if bad else 0)
