"""`make chaos`: simulated seeds, planted bugs, and real processes broken in every way there is a scenario for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.chaos import regimes, report
from benchmarks.chaos.campaign import Outcome, run_all
from benchmarks.chaos.scenarios import SCENARIOS

SEEDS = 100_000
REGIMES = ("processes", "simulation", "planted")


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, print the table, write the JSON; 1 if an invariant was violated or a bug missed."""
    asked = _parser().parse_args(arguments)
    for setting in [name for name in os.environ if name.startswith("BIFROST_")]:
        del os.environ[setting]  # nothing of the person who runs it, least of all their database
    os.environ["BIFROST_TOML"] = os.devnull
    if asked.table:
        report.write_document()
        return 0
    wanted = ("processes",) if asked.only else asked.regime or REGIMES
    outcomes = _campaign(_named(asked.only), asked.seed, asked.minutes) if "processes" in wanted else []
    simulated = regimes.simulate(asked.seeds) if "simulation" in wanted else None
    planted, problem = _planted() if "planted" in wanted else (None, "")
    found = report.report_of(outcomes, simulated, planted)
    print(report.text(found))
    if not asked.only:
        report.write(found, asked.to)
    if problem:
        print(problem, file=sys.stderr)
    return int(report.has_failed(found) or bool(problem))


def _planted() -> tuple[dict[str, Any] | None, str]:
    """What the planted bugs came to, or why that is not known: hours of the other regimes are not lost over it."""
    try:
        return regimes.mutants(), ""
    except regimes.RegimeFailed as error:
        return None, str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0, help="go on with other seeds for so long (0: once each)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="scenarios whose name has NAME in it"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first round; a scenario and a seed are one run")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds are simulated")
    parser.add_argument(
        "--regime", action="append", choices=REGIMES, help="only this one; of the others the last report stays"
    )
    parser.add_argument("--to", type=Path, default=report.RESULTS, help="where the JSON goes")
    parser.add_argument("--table", action="store_true", help="only write the last report into docs/reliability.md")
    return parser


def _named(parts: Sequence[str]) -> list[str]:
    names = [name for name in SCENARIOS if not parts or any(part in name for part in parts)]
    if not names:
        raise SystemExit(f"no scenario has {' or '.join(parts)} in its name. There are: {', '.join(SCENARIOS)}")
    return names


def _campaign(names: Sequence[str], seed: int, minutes: float) -> list[Outcome]:
    outcomes = []
    for outcome in run_all(names, seed, minutes):
        outcomes.append(outcome)
        held = "VIOLATED" if outcome.violations else "held"
        notes = f"  ({'; '.join(outcome.notes)})" if outcome.notes else ""
        print(f"{outcome.scenario} {outcome.seed}: {outcome.seconds:.1f} s, {held}{notes}", file=sys.stderr, flush=True)
        for violation in outcome.violations:
            print(f"    {violation}", file=sys.stderr, flush=True)
    return outcomes


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
