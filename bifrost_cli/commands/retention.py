"""`bifrost retention ...`: how long each table keeps its rows."""

from __future__ import annotations

import typer

from bifrost_core.settings import load_settings

app = typer.Typer(help="How long each table keeps its rows.", invoke_without_command=True)


@app.callback()
def show(context: typer.Context) -> None:
    """List the policies; tables that are not listed keep everything."""
    if context.invoked_subcommand:
        return
    from bifrost_core.warehouse import retention
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    for policy in retention.policies(Warehouse(load_settings(), Role.READER)):
        kept = "for ever" if policy.keep_days is None else f"{policy.keep_days} days by {policy.time_column}"
        print(f"{policy.table}: {kept}  # {policy.reason} ({policy.changed_by}, {policy.changed_at:%Y-%m-%d})")


@app.command("apply")
def apply_policies(
    really: bool = typer.Option(False, "--really", help="Remove; without it only say what would be removed."),
) -> None:
    """Remove what is past its time, whole partitions where a table has them; a dry run unless told `--really`."""
    from bifrost_core.warehouse import retention
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    settings = load_settings()
    if really:
        removed = retention.apply(Warehouse(settings, Role.PIPELINE), print)
        print(f"{sum(piece.rows for piece in removed)} rows removed")
        return
    pieces = retention.expired(Warehouse(settings, Role.READER))
    for piece in pieces:
        print(f"{piece.table}: {piece.rows} rows would go with {piece.name}")
    print(f"dry run: {sum(piece.rows for piece in pieces)} rows would be removed; `--really` removes them")


@app.command("set")
def change_policy(
    table: str = typer.Argument(help="A table that `bifrost retention` lists."),
    days: int = typer.Option(0, min=0, help="Keep rows for so many days; 0 is for ever."),
    reason: str = typer.Option(..., help="Why; it goes into the audit chain with the change."),
) -> None:
    """Change how long a table keeps its rows; nothing is removed before the next `apply`."""
    from bifrost_core.warehouse import retention
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    retention.change(Warehouse(load_settings(), Role.OWNER), table, days or None, reason)
    print(f"{table}: kept {f'{days} days' if days else 'for ever'}")
