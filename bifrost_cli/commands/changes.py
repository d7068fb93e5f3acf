"""`bifrost proposals`, `approve`, `apply` and `governance ...`: changes that loosen, and what they take.

The actor is the login of whoever runs the command, for what is proposed as for what is approved.
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import typer

from bifrost_core.errors import SettingsError
from bifrost_core.settings import load_settings

if TYPE_CHECKING:
    from bifrost_cli.governance import Proposal
    from bifrost_core.settings import Settings

NUMBER = typer.Argument(help="The number of a proposal.")
governance_app = typer.Typer(help="What it takes to loosen a limit or to release a kill switch.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    for function in (proposals, approve, apply):
        app.command()(function)
    app.add_typer(governance_app, name="governance")


def proposals() -> None:
    """Print the changes that wait: looser limits, kill switches to release, weaker governance."""
    from bifrost_cli import governance

    waiting = governance.proposals(load_settings())
    print("\n".join(str(one) for one in waiting) if waiting else "nothing waits")


def approve(number: int = NUMBER) -> None:
    """Apply somebody else's proposal."""
    from bifrost_cli import governance

    settings = load_settings()
    answer = governance.approve(settings, _proposal(settings, number), getpass.getuser())
    print(f"{governance.described(answer['diff'])}: applied by a second person")


def apply(number: int = NUMBER) -> None:
    """Apply a proposal whose cool-off is over."""
    from bifrost_cli import governance

    settings = load_settings()
    answer = governance.apply(settings, _proposal(settings, number), getpass.getuser())
    print(f"{governance.described(answer['diff'])}: applied after the cool-off, seen by nobody else")


@governance_app.command()
def show() -> None:
    """Print the mode in force."""
    from bifrost_cli import governance

    print(governance.in_force(load_settings()))


@governance_app.command("set")
def set_governance(
    mode: str = typer.Argument(help="two_person, or cool_off."),
    cool_off_seconds: int | None = typer.Option(None, min=1, help="Seconds; as they are if left out."),
) -> None:
    """Strengthen it at once, or propose to weaken it: that takes what is in force."""
    from bifrost_cli import governance

    settings = load_settings()
    seconds = cool_off_seconds or governance.in_force(settings).cool_off_seconds
    print(governance.told(governance.set_governance(settings, mode, seconds, getpass.getuser())))


def _proposal(settings: Settings, number: int) -> Proposal:
    from bifrost_cli import governance

    for one in governance.proposals(settings):
        if one.proposal_id == number:
            return one
    raise SettingsError(f"proposal {number} does not wait", "See `bifrost proposals`")
