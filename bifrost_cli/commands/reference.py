"""`bifrost reference ...`: instruments, their symbols, listings and sectors, the universe, the restricted list."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bifrost_core.errors import SettingsError
from bifrost_core.reference import Blocks
from bifrost_core.settings import load_settings

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

app = typer.Typer(help="Instruments, their symbols and listings, the universe, restrictions.", no_args_is_help=True)
universe = typer.Typer(help="Who is in the universe, from when until when.", no_args_is_help=True)
app.add_typer(universe, name="universe")

SYMBOL = typer.Argument(help="A symbol, as it was on the day in question.")
FILE = typer.Argument(help="A CSV file with the columns symbol, valid_from, valid_to.")
BLOCKS = typer.Option(Blocks.OPENING, help="Whether positions may still be closed.")
SECTORS = typer.Argument(help="A CSV file with the columns symbol, sector.")
ON = typer.Option(None, help="The day, as 2013-03-01; today if left out.")


@app.command()
def show(symbol: str = SYMBOL, on: str | None = ON) -> None:
    """Print what is known of a symbol: instrument, aliases, listing, memberships, restrictions, actions, changes."""
    from bifrost_assets.market_data.reference.shown import show as lines

    with _warehouse().transaction() as connection:
        for line in lines(connection, symbol.upper(), _day(on)):
            print(line)


@app.command()
def register(symbol: str = typer.Argument(help="A symbol that another instrument had before.")) -> None:
    """Give a symbol that is free again to the instrument that has it now, as the provider describes it."""
    from bifrost_assets.market_data.providers import provider_of
    from bifrost_assets.market_data.reference.instruments import register_again

    warehouse = _warehouse()
    instrument = register_again(warehouse, provider_of(warehouse.settings), symbol.upper(), _actor())
    print(f"{symbol.upper()} is instrument {instrument}")


@app.command()
def rename(
    old: str = typer.Argument(help="The symbol before."),
    new: str = typer.Argument(help="The symbol from then on."),
    on: str = typer.Option(..., help="The first session under the new symbol."),
) -> None:
    """Say that an instrument changed its symbol, or what its symbol was before."""
    from bifrost_assets.market_data.reference import listings

    warehouse, day = _warehouse(), _day(on)
    with warehouse.transaction() as connection:
        is_news = listings.rename(connection, warehouse.settings, old.upper(), new.upper(), day, _actor())
    print(f"{old.upper()} is {new.upper()} from {day} on" + ("" if is_news else ": known already"))


@app.command()
def delist(
    symbol: str = SYMBOL,
    on: str = typer.Option(..., help="The first session in which it is no longer traded."),
    value: float | None = typer.Option(None, help="What a holder got for a share in the end; 0 for nothing."),
) -> None:
    """Say that an instrument is no longer traded."""
    from bifrost_assets.market_data.reference import listings

    warehouse, day = _warehouse(), _day(on)
    with warehouse.transaction() as connection:
        is_news = listings.delist(connection, warehouse.settings, symbol.upper(), day, value, _actor())
    print(f"{symbol.upper()} is not traded from {day} on" + ("" if is_news else ": known already"))


@app.command()
def undo(symbol: str = SYMBOL, on: str | None = ON) -> None:
    """Take back the last rename or delisting of an instrument."""
    from bifrost_assets.market_data.reference import listings

    with _warehouse().transaction() as connection:
        print(f"undone: {listings.undo(connection, symbol.upper(), _day(on), _actor())}")


@app.command()
def restrict(
    symbol: str = SYMBOL,
    because: str = typer.Option(..., help="Why it must not be traded."),
    since: str | None = typer.Option(None, "--from", help="The first day, as 2013-03-01; today if left out."),
    until: str | None = typer.Option(None, help="The first day on which it may be traded again; open if left out."),
    blocks: Blocks = BLOCKS,
) -> None:
    """Put an instrument on the restricted list: its targets are 0, and the daemon sends no order that opens."""
    from bifrost_assets.market_data.reference import restricted

    end = _day(until) if until else None
    with _warehouse().transaction() as connection:
        restricted.restrict(connection, symbol.upper(), _day(since), end, because, _actor(), blocks)
    print(f"{symbol.upper()} is restricted ({blocks}) from {_day(since)} until {end or 'further notice'}: {because}")


@app.command()
def unrestrict(symbol: str = SYMBOL, on: str | None = ON) -> None:
    """Take an instrument off the restricted list."""
    from bifrost_assets.market_data.reference import restricted

    with _warehouse().transaction() as connection:
        restricted.unrestrict(connection, symbol.upper(), _day(on), _actor())
    print(f"{symbol.upper()} may be traded from {_day(on)} on")


@app.command()
def sectors(file: Path = SECTORS, on: str | None = ON) -> None:
    """Set the sectors of the instruments in a file; lines that are wrong are told, and the others kept."""
    from bifrost_assets.market_data.reference.sectors import import_sectors

    with _warehouse().transaction() as connection:
        done = import_sectors(connection, file, _day(on), _actor())
    print(f"{done.changed} sectors set, {done.unchanged} as they were, {len(done.problems)} lines left out")
    for problem in done.problems:
        print(f"bifrost: {file}: {problem}", file=sys.stderr)
    if done.problems:
        raise typer.Exit(1)


@universe.command("import")
def import_members(file: Path = FILE) -> None:
    """Take the members from a file, whoever was one at the time, instead of from the settings."""
    from bifrost_assets.market_data.reference.universe import import_universe

    with _warehouse().transaction() as connection:
        added, removed = import_universe(connection, file, _actor())
    print(f"{added} memberships added, {removed} removed")


@universe.command("show")
def show_members(on: str | None = ON) -> None:
    """Print the members on a day, under the symbols of that day."""
    from bifrost_assets.market_data.reference.universe import members_as_of

    with _warehouse().transaction() as connection:
        members = members_as_of(connection, _day(on))
    print("\n".join(members) if members else f"nobody is in the universe on {_day(on)}")


@universe.command()
def reset() -> None:
    """Let the universe follow BIFROST_UNIVERSE again from today on; its past stays as imported."""
    from bifrost_assets.market_data.reference.universe import reset_universe

    warehouse = _warehouse()
    with warehouse.transaction() as connection:
        changed = reset_universe(connection, warehouse.settings.universe, _actor())
    print(f"the universe follows BIFROST_UNIVERSE: {changed} memberships changed")


def _warehouse() -> Warehouse:
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    return Warehouse(load_settings(), Role.PIPELINE)


def _actor() -> str:
    return getpass.getuser()


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is not a date", "Write it as 2013-03-01") from error
