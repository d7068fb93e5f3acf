"""`bifrost limits ...`: what is in force, changes to it, and what other limits would have done."""

from __future__ import annotations

import getpass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bifrost_core.errors import SettingsError
from bifrost_core.settings import load_settings

if TYPE_CHECKING:
    from bifrost_cli.governance import Proposal
    from bifrost_core.settings import Settings

app = typer.Typer(help="Risk limits: see, tighten, propose to loosen, try.", no_args_is_help=True)
ACCOUNT = typer.Option(None, help="The account; of this installation if left out.")
FOR = typer.Option("*", "--account", help="The account it is for; all of them if left out.")
FILE = typer.Argument(help="A TOML file of CODE = value lines, or a CSV file with columns code,value.")
NUMBER = typer.Argument(help="The number of a proposal.")


@app.command()
def show(account: str | None = ACCOUNT) -> None:
    """Print the limits in force."""
    from bifrost_cli import governance

    settings = load_settings()
    for row in governance.limits(settings, account or settings.account):
        print(f"{row.code:<22}{row.value.normalize():>12f}  {row.unit:<22}version {row.version}")


@app.command("set")
def set_limit(
    code: str = typer.Argument(help="A code of `bifrost limits show`."),
    value: str = typer.Argument(help="The new value, in the limit's unit."),
    account: str = FOR,
) -> None:
    """Tighten a limit at once, or propose to loosen it and print what that needs."""
    from bifrost_cli import governance

    answer = governance.set_limit(load_settings(), account, code.upper(), _number(value), _actor())
    print(f"{governance.described(answer['diff'])}: {answer['outcome']}")
    if answer["outcome"] == "proposed":
        print(f"proposal {answer['proposal_id']} needs {answer['needs']}; it expires at {answer['expires_at'][:16]}")


@app.command()
def proposals() -> None:
    """Print the changes that wait."""
    from bifrost_cli import governance

    waiting = governance.proposals(load_settings())
    print("\n".join(str(one) for one in waiting) if waiting else "nothing waits")


@app.command()
def approve(number: int = NUMBER) -> None:
    """Apply somebody else's proposal."""
    from bifrost_cli import governance

    settings = load_settings()
    answer = governance.approve(settings, _proposal(settings, number), _actor())
    print(f"{governance.described(answer['diff'])}: applied by a second person")


@app.command()
def apply(number: int = NUMBER) -> None:
    """Apply a proposal whose cool-off is over."""
    from bifrost_cli import governance

    settings = load_settings()
    answer = governance.apply(settings, _proposal(settings, number), _actor())
    print(f"{governance.described(answer['diff'])}: applied after the cool-off, seen by nobody else")


@app.command("try")
def try_limits(
    file: Path = FILE,
    since: str = typer.Option(..., help="Replay decisions from this day on, as 2013-03-01."),
    account: str | None = ACCOUNT,
) -> None:
    """Replay past orders against other limits: what would have been denied, and what would have passed."""
    from bifrost_cli import governance
    from bifrost_cli.what_if.files import read_limits
    from bifrost_cli.what_if.history import read_history
    from bifrost_cli.what_if.replay import replay
    from bifrost_cli.what_if.report import lines
    from bifrost_core.trading.limits import Limits

    settings = load_settings()
    name = account or settings.account
    now = Limits(governance.limits(settings, name))
    tried = now.with_rows(read_limits(file))
    for line in lines(replay(read_history(settings, name, _day(since)), now, tried)):
        print(line)


@app.command()
def codes() -> None:
    """Print every reason code: docs/denial-codes.md is this."""
    from bifrost_core.trading.risk.published import page

    print(page(), end="")


def _proposal(settings: Settings, number: int) -> Proposal:
    from bifrost_cli import governance

    for one in governance.proposals(settings):
        if one.proposal_id == number:
            return one
    raise SettingsError(f"proposal {number} does not wait", "See `bifrost limits proposals`")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise SettingsError(f"{text!r} is not a number", "Write it as 1.5") from error


def _actor() -> str:
    return getpass.getuser()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is not a date", "Write it as 2013-03-01") from error
