"""`bifrost lineage ...`: every version of a row of market data, down to the record in what the provider sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bifrost_core.errors import BifrostError, SettingsError
from bifrost_core.settings import load_settings

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.lineage.vintages import History, Vintage

app = typer.Typer(help="Where a row of market data came from, version by version.", no_args_is_help=True)

SYMBOL = typer.Argument(help="A symbol, as it was in the session or is now.")
SESSION = typer.Argument(help="The session, as 2013-02-01.")
PAYLOAD = typer.Option(False, "--payload", help="Show the record in each stored payload; checks its SHA-256.")
OUT = typer.Option(None, help="Write the newest version's payload, as the provider sent it, to this file.")


@app.command()
def bar(symbol: str = SYMBOL, session: str = SESSION, payload: bool = PAYLOAD, out: Path | None = OUT) -> None:
    """Print every version of a daily bar, and of the corporate actions of its session."""
    _print(symbol, session, payload, out, actions_only=False)


@app.command()
def action(symbol: str = SYMBOL, session: str = SESSION, payload: bool = PAYLOAD, out: Path | None = OUT) -> None:
    """Print every version of the corporate actions that took effect in a session."""
    _print(symbol, session, payload, out, actions_only=True)


def _print(symbol: str, session: str, payload: bool, out: Path | None, *, actions_only: bool) -> None:
    from dataclasses import replace
    from datetime import date

    from bifrost_core.lineage.vintages import as_lines, history
    from bifrost_core.warehouse.connect import Role, connect

    try:
        day = date.fromisoformat(session)
    except ValueError as error:
        raise SettingsError(f"{session!r} is not a date", "Write it as 2013-03-01") from error
    with connect(load_settings(), Role.READER) as connection:
        found = history(connection, symbol.upper(), day)
        if actions_only:
            found = replace(found, bars=())
        rows = [*found.bars, *found.actions]
        if not rows:
            problem = f"{symbol.upper()} had no corporate action on {day}"
            raise BifrostError(problem, "`bifrost lineage bar` tells of its bar")
        print("\n".join(as_lines(found)))
        if payload:
            _print_records(connection, found, rows)
        if out is not None:
            _write(connection, (found.bars or found.actions)[-1], out)


def _print_records(connection: psycopg.Connection, found: History, rows: Iterable[Vintage]) -> None:
    from bifrost_core.lineage.payload import Wanted, read_payload, records_in

    wanted = Wanted(set(found.subject.symbols), found.session, found.subject.timezone)
    for digest in dict.fromkeys(row.payload_sha256 for row in rows):
        stored = read_payload(connection, digest)
        print(f"\npayload sha256:{digest} (verified)")
        print(f"  {stored.provider}, {stored.subject}, {stored.content_type}, {len(stored.body)} bytes")
        records = records_in(stored, wanted)
        lines = records or ["nothing in it is dated so, in a form that is known here: --out FILE writes it"]
        print("\n".join(f"  {line}" for line in lines))


def _write(connection: psycopg.Connection, newest: Vintage, out: Path) -> None:
    from bifrost_core.lineage.payload import read_payload

    stored = read_payload(connection, newest.payload_sha256)
    try:
        out.write_bytes(stored.body)
    except OSError as error:
        raise BifrostError(f"{out} cannot be written: {error.strerror}", "Name another file") from error
    print(f"\n{len(stored.body)} bytes of {stored.content_type} written to {out}")
