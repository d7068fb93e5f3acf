"""`bifrost revisions`: the revision radar, printed."""

from __future__ import annotations

import typer

from bifrost_core.settings import load_settings

LATEST = """
    select e.revised_at, i.symbol, e.revised_sessions, e.largest_change, e.feature_rows, e.signals, e.targets,
        e.largest_weight_change, e.fills
    from research.revision_effects e
    join reference.instruments i using (instrument_id)
    order by e.revised_at desc, e.largest_weight_change desc, i.symbol
    limit $1
"""


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command("revisions")(revisions)


def revisions(limit: int = typer.Option(20, min=1, help="How many rows, the newest first.")) -> None:
    """Print what providers changed after it was stored, and what would have been another way because of it."""
    from bifrost_core.warehouse.connect import Role
    from bifrost_core.warehouse.warehouse import Warehouse

    settings = load_settings()
    rows = Warehouse(settings, Role.READER).read(LATEST, limit)
    if rows.is_empty():
        print("No revision is stored: no provider has changed what it had published.")
        return
    print(f"{'revised at (UTC)':17}  {'symbol':8} {'bars':>5} {'largest':>8}  would have been other ones")
    for row in rows.iter_rows(named=True):
        change = "-" if row["largest_change"] is None else f"{row['largest_change']:.2%}"
        effects = ", ".join(f"{row[name]} {name.replace('_', ' ')}" for name in ("feature_rows", "signals", "targets"))
        size = f"{row['revised_sessions']:>5} {change:>8}"
        weight = f"weight by {row['largest_weight_change']:.2%} at most"
        what = f"{effects} ({weight}), {row['fills']} fills"
        print(f"{row['revised_at']:%Y-%m-%d %H:%M}   {row['symbol']:8} {size}  {what}")
