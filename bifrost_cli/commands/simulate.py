"""`bifrost simulate`: the real daemon on a virtual clock, under faults drawn from seeds."""

from __future__ import annotations

from typing import Annotated

import typer

Seeds = Annotated[int, typer.Option(help="How many seeds to run.", min=1)]
First = Annotated[int, typer.Option("--from", help="The first seed.", min=0)]
Seed = Annotated[int | None, typer.Option(help="Run this seed alone.", min=0)]
Processes = Annotated[int, typer.Option(help="Processes to spread the seeds over.", min=1)]
Trace = Annotated[bool, typer.Option("--trace", help="Print everything that happened in the one seed.")]


def simulate(
    seeds: Seeds = 100, first: First = 0, seed: Seed = None, processes: Processes = 2, trace: Trace = False
) -> None:
    """Run the real daemon through seeded faults; a violated invariant names the seed that shows it.

    Exit code 1 where an invariant did not hold. The same seed runs the same way every time.
    """
    from execution_daemon.simulation import campaign, world

    if seed is not None:
        outcome = world.simulate(seed, keeps_lines=trace)
        print(*outcome.lines, sep="\n" if outcome.lines else "")
        summary = campaign.Summary(wall_seconds=0.0)
        summary.add(outcome)
        print(
            f"seed {seed}: trace {outcome.digest}, {outcome.ticks} steps, {outcome.virtual_seconds:.1f} virtual seconds"
        )
        print(campaign.line_of(outcome))
    else:
        summary = campaign.run(range(first, first + seeds), processes)
        print(*summary.lines(), sep="\n")
    if summary.failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)
