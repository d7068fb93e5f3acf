"""`bifrost quarantine ...`: rows that were held or are doubted, and what a person says of them."""

from __future__ import annotations

import getpass

import typer

from bifrost_core.settings import load_settings

app = typer.Typer(help="Rows that were held or are doubted: list, release, drop.", no_args_is_help=True)
IDS = typer.Argument(help="Ids, as `bifrost quarantine list` shows them.")
BECAUSE = typer.Option(..., help="Why: it is kept in the audit trail.")
ACTOR = typer.Option(default_factory=getpass.getuser, help="Who decides.")


@app.command("list")
def list_rows(
    status: str = typer.Option("undecided", help="held, flagged, released, dropped, undecided or all."),
    symbol: str = typer.Option("", help="One symbol alone."),
    limit: int = typer.Option(50, min=1, help="The newest so many."),
) -> None:
    """Print rows with their reasons, the newest first."""
    from bifrost_core import quarantine
    from bifrost_core.errors import BifrostError
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    known = ("held", "flagged", "released", "dropped", "undecided", "all")
    if status not in known:
        raise BifrostError(f"there is no status {status!r}", f"Use one of {', '.join(known)}")
    rows = quarantine.listed(Warehouse(load_settings(), Role.READER), status, symbol.upper(), limit)
    for row in rows.iter_rows(named=True):
        decided = f" ({row['actor']}: {row['because']})" if row["actor"] else ""
        where = f"{row['source']} {row['subject']} {row['session'] or 'no session'}"
        print(f"{row['quarantine_id']:>6}  {row['status']:<8}  {where}  {row['reason']}{decided}")
    if rows.is_empty():
        print("nothing" if status == "all" else f"nothing is {status}")


@app.command()
def release(ids: list[int] = IDS, because: str = BECAUSE, actor: str = ACTOR) -> None:
    """Say that rows are right: a held bar is stored, a flagged one is no longer doubted."""
    from bifrost_core.quarantine import Decision

    _decide(ids, Decision.RELEASE, because, actor)


@app.command()
def drop(ids: list[int] = IDS, because: str = BECAUSE, actor: str = ACTOR) -> None:
    """Say that rows are wrong: a held bar is never stored, a flagged one is withdrawn."""
    from bifrost_core.quarantine import Decision

    _decide(ids, Decision.DROP, because, actor)


def _decide(ids: list[int], decision: str, because: str, actor: str) -> None:
    from bifrost_core import quarantine

    done = quarantine.decide(load_settings(), ids, quarantine.Decision(decision), because, actor)
    before = len(set(ids)) - done
    print(f"{done} {decision}" + (f", {before} before" if before else ""))
