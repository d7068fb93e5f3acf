"""`bifrost token ...`: who may use the daemon's API."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

import typer

from bifrost_core.settings import load_settings

app = typer.Typer(help="Tokens of the daemon's API: create, list, revoke.", no_args_is_help=True)
SCOPES = typer.Option(..., "--scope", help="read, trade, risk or admin; give it once for each.")


@app.command()
def create(
    name: str = typer.Argument(help="Who acts with it: the actor in the audit chain."),
    scope: list[str] = SCOPES,
    days: int = typer.Option(90, min=1, max=3650, help="How long it is in force."),
) -> None:
    """Make a token and print it, for the only time."""
    from bifrost_core.errors import BifrostError
    from bifrost_core.warehouse import tokens

    known = [one.value for one in tokens.Scope]
    if unknown := sorted(set(scope) - set(known)):
        raise BifrostError(f"there is no scope {unknown[0]!r}", f"Use {', '.join(known)}")
    scopes = tuple(map(tokens.Scope, dict.fromkeys(scope)))
    print(tokens.create(load_settings(), name, scopes, days, getpass.getuser()))


@app.command("list")
def list_tokens() -> None:
    """Print every token but its text, the newest first."""
    from bifrost_core.warehouse import tokens

    for one in tokens.listed(load_settings()):
        until = f"until {one.expires_at:%Y-%m-%d}" if one.expires_at else "without end"
        used = f"used on {one.last_used_on}" if one.last_used_on else "never used"
        print(f"{one.name:<20}  {one.standing(datetime.now(UTC)):<8}  {','.join(one.scopes):<22}  {until}, {used}")


@app.command()
def revoke(name: str) -> None:
    """End a token now."""
    from bifrost_core.warehouse import tokens

    tokens.revoke(load_settings(), name, getpass.getuser())
    print(f"{name} is revoked")
