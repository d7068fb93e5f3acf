"""`bifrost limits ...`: what is in force, setting it, and what other limits would have done."""

from __future__ import annotations

import getpass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

import typer

from bifrost_core.errors import SettingsError
from bifrost_core.settings import load_settings

app = typer.Typer(help="Risk limits: see, tighten, propose to loosen, try.", no_args_is_help=True)
ACCOUNT = typer.Option(None, help="The account; of this installation if left out.")
FOR = typer.Option("*", "--account", help="The account it is for; all of them if left out.")
FILE = typer.Argument(help="A TOML file of CODE = value lines, or a CSV file with columns code,value.")


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

    settings = load_settings()
    governance.ensure_account(settings, account)
    answer = governance.set_limit(settings, account, code.upper(), _number(value), _actor())
    print(governance.told(answer))


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
