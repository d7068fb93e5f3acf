"""Plants a defect in a copy and finds out what catches it: a seed that breaks an invariant, or a test that fails.

What cannot be run to its end catches nothing: neither a harness that crashes nor a test that cannot be collected. And
what is caught without a defect too is no proof: the copy is judged as it is first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("bifrost_core", "execution_daemon", "bifrost_cli", "benchmarks", "tests", "pyproject.toml")
TIMEOUT_SECONDS = 1200
REASON_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a defect: `by` is the seed and its invariant, or the test, and `why` what it said; or empty."""

    mutant: Mutant
    by: str = ""
    why: str = ""


@contextmanager
def copied(source: Path = ROOT) -> Iterator[Path]:
    """A copy of the tree: somebody may go on working on the tree itself."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        for name in COPIED:
            if (source / name).is_dir():
                shutil.copytree(source / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source / name, tree / name)
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
        done = _run(tree, "-c", f"import {module}, execution_daemon.simulation.world")
        if done.returncode != 0:
            raise ValueError(f"{mutant.name} cannot be imported: {_last_words(done)}")


@dataclass
class Judge:
    """Judges defects in copies of `tree`, which has none; `broken` is what went wrong without saying anything."""

    tree: Path
    seeds: int
    broken: list[str] = field(default_factory=list)

    def check(self, mutants: tuple[Mutant, ...]) -> None:
        """Raises ValueError where a seed or a test catches something although there is nothing, or cannot be run."""
        found = self._hunt(self.tree, ()) if any(_is_simulated(mutant) for mutant in mutants) else ("", "")
        for test in sorted({test for mutant in mutants for test in mutant.tests}):
            found = found if any(found) else self._test(self.tree, test)
        if any(found) or self.broken:
            raise ValueError(f"without any defect: {' '.join((*found, *self.broken))}. Mend that first")

    def judge(self, mutant: Mutant) -> Verdict:
        """Try the tests that name the defect, then hunt it with seeds, which takes longer."""
        with copied(self.tree) as tree:
            plant(mutant, tree)
            by, why = "", ""
            for test in mutant.tests:
                by, why = (by, why) if by else self._test(tree, test)
            if not by and _is_simulated(mutant):
                by, why = self._hunt(tree, mutant.invariants)
        return Verdict(mutant, by, why)

    def _hunt(self, tree: Path, invariants: tuple[str, ...]) -> tuple[str, str]:
        """The seed and its invariant, and the fact; empty if no seed found anything."""
        done = _run(tree, "-m", "benchmarks.mutants.hunt", str(self.seeds), *invariants)
        if done.returncode != 0:
            self.broken.append(f"the hunt ended with {done.returncode}: {_last_words(done)}")
        if done.returncode != 0 or not done.stdout.strip():
            return "", ""
        found = json.loads(done.stdout)
        return f"seed {found['seed']}: {found['invariant']}", found["reason"][:REASON_LENGTH]

    def _test(self, tree: Path, test: str) -> tuple[str, str]:
        """The test that failed, and what it said; empty if none did."""
        report = tree / "report.xml"
        report.unlink(missing_ok=True)
        plain = ("-q", "-x", "-p", "no:cacheprovider", "-p", "benchmarks.mutants.home")
        done = _run(tree, "-m", "pytest", *plain, f"--junitxml={report}", test)
        failed = _failed(report) if done.returncode == 1 else None
        if done.returncode != 0 and failed is None:
            self.broken.append(f"pytest {test} ended with {done.returncode}: {_last_words(done)}")
        return failed or ("", "")


def _is_simulated(mutant: Mutant) -> bool:
    """The warehouse in memory has the semantics of the SQL, not its text."""
    return not mutant.file.endswith(".sql")


def _failed(report: Path) -> tuple[str, str] | None:
    """The first test that failed, with its message; one whose surroundings could not be made has not."""
    for case in ElementTree.parse(report).iter("testcase"):
        failure = case.find("failure")
        if failure is not None:
            file = case.get("classname", "").replace(".", "/")
            return f"{file}.py::{case.get('name')}", failure.get("message", "").partition("\n")[0][:REASON_LENGTH]
    return None


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"not done after {TIMEOUT_SECONDS} s")


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else "without a word"
