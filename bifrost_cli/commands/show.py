"""`bifrost env` and `bifrost config`: what other programs, and people, need to know."""

from __future__ import annotations

import typer

from bifrost_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("env")(env)
    app.command("config")(config)


def env() -> None:
    """Print export lines for `eval "$(bifrost env)"`: then `dagster dev -w workspace.yaml`, `dbt` and `psql` work."""
    from shlex import quote

    from bifrost_core.environment import part_environment

    for name, value in part_environment(load_settings()).items():
        print(f"export {name}={quote(value)}")


def config() -> None:
    """Print every setting in force, secrets masked, with where it comes from and what it means."""
    from bifrost_core.settings import described

    for setting in described(load_settings()):
        print(
            f"{setting.name} = {setting.value}  # {setting.source}"
            + (f"; {setting.meaning}" if setting.meaning else "")
        )
