"""The `bifrost` command: assembles the groups, and turns an error a person can mend into one line."""

from __future__ import annotations

import sys
from typing import Any

import typer

from bifrost_cli.commands import (
    changes,
    control,
    db,
    health,
    limits,
    lineage,
    pipeline,
    quarantine,
    reference,
    retention,
    revisions,
    run_parts,
    show,
    simulate,
    token,
)
from bifrost_core.errors import BifrostError

HELP = """Bifrost Trader: every number an asset, every fill explained.

Start with `bifrost demo`, then `bifrost up`. `bifrost doctor` says what is wrong."""


class Bifrost(typer.Typer):
    """The application. A BifrostError becomes one line and exit code 1; anything else is ours: a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except BifrostError as error:
            print(f"bifrost: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(1)
        except BrokenPipeError:  # `bifrost config | head`
            sys.stderr.close()
            sys.exit(1)


app = Bifrost(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(db.app, name="db")
app.add_typer(reference.app, name="reference")
app.add_typer(lineage.app, name="lineage")
app.add_typer(limits.app, name="limits")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(retention.app, name="retention")
app.add_typer(token.app, name="token")
pipeline.register(app)
revisions.register(app)
run_parts.register(app)
show.register(app)
health.register(app)
simulate.register(app)
control.register(app)
changes.register(app)

if __name__ == "__main__":
    app()
