"""The other two regimes of `make chaos`, each in a process of its own: simulated seeds, and planted bugs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from bifrost_core.settings import ROOT


class RegimeFailed(Exception):
    """A regime did not report; its last words are in the message."""


def simulate(seeds: int) -> dict[str, Any]:
    """`bifrost simulate`: {seeds, violations, failing}."""
    return _reported(["bifrost_cli.main", "simulate", "--seeds", str(seeds), "--json"])


def mutants() -> dict[str, Any]:
    """Every planted bug against the tests and the simulation: {planted, caught, missed}."""
    return _reported(["benchmarks.mutants", "--json"])


def _reported(command: list[str]) -> dict[str, Any]:
    """The JSON in the last line of what a module prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    lines = done.stdout.strip().splitlines()
    try:
        report = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        said = lines[-1] if lines else "nothing"
        raise RegimeFailed(f"{' '.join(command)} ended with {done.returncode} and said {said}") from error
    return dict(report)
