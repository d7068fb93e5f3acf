"""The other two regimes of `make chaos`: simulated seeds, and planted bugs, these in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from bifrost_core.settings import ROOT
from execution_daemon.simulation import campaign
from execution_daemon.simulation.world import Outcome


class RegimeFailed(Exception):
    """A regime did not report; its last words are in the message."""


def simulate(seeds: int) -> dict[str, Any]:
    """The seeds from 0 on, as `bifrost simulate` runs them: {seeds, violations, failing}."""
    summary = campaign.run(range(seeds), os.cpu_count() or 1, _tell)
    for line in summary.lines():
        print(line, file=sys.stderr)
    return {
        "seeds": summary.seeds,
        "violations": len(summary.failed),
        "failing": [outcome.seed for outcome in summary.failed],
    }


def _tell(outcome: Outcome) -> None:
    """A hundred thousand seeds take an hour: what one of them found is not kept until the end."""
    if outcome.violation is not None:
        print(campaign.line_of(outcome), file=sys.stderr, flush=True)


def mutants() -> dict[str, Any]:
    """Every planted bug against the tests and the simulation: {planted, caught, missed}."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
    command = [sys.executable, "-m", "benchmarks.mutants", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError) as error:
        said = lines[-1] if lines else "nothing"
        raise RegimeFailed(f"benchmarks.mutants ended with {done.returncode} and said {said}") from error
