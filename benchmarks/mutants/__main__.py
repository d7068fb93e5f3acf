"""Plants each defect in a copy of the packages and runs the simulation on it until a seed catches it, then its tests.

    python -m benchmarks.mutants [--only NAME] [--seeds N] [--processes N] [--out FILE] [--json]

Prints one line a defect, and writes `{planted, caught, missed, by}` (--json: prints it, as the last line); exit code 1
where one is missed. What also fails without the defect, seed or test, catches nothing: the copy is judged without one
first. A defect that cannot even be imported is none, and ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("bifrost_core", "execution_daemon", "bifrost_cli", "tests", "pyproject.toml")
SEEDS, PROCESSES = 300, 2
HUNT = """
import json, sys
from execution_daemon.simulation.world import simulate
for seed in range(int(sys.argv[1])):
    found = simulate(seed).violation
    if found is not None:
        print(json.dumps({"seed": seed, "invariant": found.invariant, "reason": found.reason}))
        break
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a defect: `by` is the seed and its invariant, or the tests, or empty."""

    mutant: Mutant
    by: str


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        yield tree


def plant(mutant: Mutant, tree: Path) -> None:
    """Write the defect into a copy. Raises ValueError where its text is not there once, or is no Python."""
    target = tree / mutant.file
    text = target.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text occurs {text.count(mutant.old)} times in {mutant.file}")
    target.write_text(text.replace(mutant.old, mutant.new))
    if target.suffix == ".py":
        module = mutant.file.removesuffix(".py").replace("/", ".")
        done = _run(tree, ["-c", f"import {module}, execution_daemon.simulation.world"])
        if done.returncode != 0:
            raise ValueError(f"{mutant.name} cannot be imported: {done.stderr.strip().splitlines()[-1]}")


def judge(mutant: Mutant, seeds: int) -> Verdict:
    """Hunt the defect with seeds, then with its tests."""
    with copied() as tree:
        plant(mutant, tree)
        return Verdict(mutant, _by_seed(tree, seeds) or _by_tests(tree, mutant.tests))


def check_the_judge(seeds: int) -> None:
    """Raises ValueError where a copy without a defect is found to have one."""
    with copied() as tree:
        if found := _by_seed(tree, seeds):
            raise ValueError(f"without any defect, {found}: mend that first")


def _by_seed(tree: Path, seeds: int) -> str:
    done = _run(tree, ["-c", HUNT, str(seeds)])
    if done.returncode != 0:
        return f"seeds: {done.stderr.strip().splitlines()[-1]}"
    if not done.stdout.strip():
        return ""
    found = json.loads(done.stdout)
    return f"seed {found['seed']}: {found['invariant']}"


def _by_tests(tree: Path, tests: tuple[str, ...]) -> str:
    for test in tests:
        if _fails(tree, test) and not _fails_anyway(test):
            return f"pytest {test}"
    return ""


def _fails(tree: Path, test: str) -> bool:
    return _run(tree, ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]).returncode == 1


@cache
def _fails_anyway(test: str) -> bool:
    return _fails(ROOT, test)


def _run(tree: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True)


def summary(verdicts: list[Verdict]) -> dict[str, object]:
    """What is written."""
    return {
        "planted": len(verdicts),
        "caught": sum(bool(verdict.by) for verdict in verdicts),
        "missed": [verdict.mutant.name for verdict in verdicts if not verdict.by],
        "by": {verdict.mutant.name: verdict.by for verdict in verdicts if verdict.by},
    }


def main() -> int:
    """Judge every defect, or the one that is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/mutants.json")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if given.only in {"", mutant.name}]
    verdicts = []
    check_the_judge(given.seeds)
    with ThreadPoolExecutor(given.processes) as pool:
        for verdict in pool.map(lambda mutant: judge(mutant, given.seeds), chosen):
            print(f"{'caught' if verdict.by else 'MISSED'}  {verdict.mutant.name:34} {verdict.by}", flush=True)
            verdicts.append(verdict)
    found = summary(verdicts)
    print(f"{found['caught']} of {found['planted']} planted defects caught")
    if not given.only:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=2) + "\n")
    if given.json:
        print(json.dumps(found))
    return 1 if found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
