"""Plants each defect in a copy of the packages and finds out what catches it.

    python -m benchmarks.mutants [--only NAME] [--seeds N] [--processes N] [--out FILE] [--json]

Prints one line a defect, and writes `{planted, caught, missed, by}` (--json: prints it, as the last line); exit code 1
where one is missed. What also fails without a defect, seed or test, ends the run before it begins; so does a defect
that cannot even be imported.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.mutants.catalogue import MUTANTS
from benchmarks.mutants.judge import ROOT, Judge, Verdict, copied

SEEDS, PROCESSES = 300, 2


def summary(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """What is written."""
    return {
        "planted": len(verdicts),
        "caught": sum(bool(verdict.by) for verdict in verdicts),
        "missed": [verdict.mutant.name for verdict in verdicts if not verdict.by],
        "by": {verdict.mutant.name: {"by": verdict.by, "why": verdict.why} for verdict in verdicts if verdict.by},
    }


def main() -> int:
    """Judge every defect, or those that are named."""
    given = _parser().parse_args()
    chosen = tuple(mutant for mutant in MUTANTS if not given.only or mutant.name in given.only)
    verdicts = []
    with copied() as tree, ThreadPoolExecutor(given.processes) as pool:
        judge = Judge(tree, given.seeds)
        if not given.unchecked:
            judge.check(chosen)
        for verdict in pool.map(judge.judge, chosen):
            word = "caught" if verdict.by else "MISSED"
            print(f"{word}  {verdict.mutant.name:34} {verdict.by}  {verdict.why}", flush=True)
            verdicts.append(verdict)
    found = summary(verdicts)
    print("\n".join([*judge.broken, f"{found['caught']} of {found['planted']} planted defects caught"]))
    if not given.only:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=2) + "\n")
    if given.json:
        print(json.dumps(found))
    return 1 if found["missed"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--unchecked", action="store_true", help="trust that nothing is caught without a defect")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/mutants.json")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
