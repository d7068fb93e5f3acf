"""dbt in this process: no subprocess, no second parse. dbt keeps global state, so one call at a time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bifrost_core.errors import BifrostError

_one_call = threading.Lock()
_parsed: dict[tuple[Any, ...], Any] = {}
GOOD = frozenset({"success", "pass", "no-op"})


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one model or test. `status` is dbt's word: success, error, skipped, pass, warn, fail, no-op."""

    unique_id: str
    name: str
    status: str
    message: str
    failures: int
    seconds: float
    rows: int | None


@dataclass(frozen=True, slots=True)
class Dbt:
    """Commands on the project in folder `project`, writing to folder `target`, with dbt's `variables` (a cutoff)."""

    project: Path
    target: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def parse(self, *, write: bool = False) -> Any:
        """The project's parsed manifest; `write` puts manifest.json into the target folder."""
        done = self._invoke(None, "parse", "--no-write-json" if not write else "--write-json")
        if done.exception or not done.success:
            raise BifrostError(
                f"dbt cannot parse {self.project}: {_line(done.exception)}", "Correct the model it names"
            )
        return done.result

    def build(
        self, environment: Mapping[str, str], selection: Sequence[str] = (), *, key: str = "", unit_tests: bool = False
    ) -> list[NodeResult]:
        """Run models and their tests with `environment` (DBT_HOST and so on); `key` is the files' version.

        Raises BifrostError where dbt could not run at all; a model or test that failed is in the results.
        """
        with _environment(environment):
            # dbt writes the database's name into the manifest
            known = (self.project, key, *sorted(environment.items()), *sorted(self.variables.items()))
            manifest = _parsed[known] if known in _parsed else _parsed.setdefault(known, self.parse())
            only = [] if unit_tests else ["--exclude-resource-type", "unit_test"]
            done = self._invoke(manifest, "build", "--no-write-json", *only, *selection)
        if done.exception or done.result is None:
            raise BifrostError(
                f"dbt cannot run: {_line(done.exception)}", "Check the database's address and dbt_project"
            )
        return [_result(one) for one in done.result.results if one.node.resource_type != "exposure"]

    def _invoke(self, manifest: Any, *arguments: str) -> Any:
        from dbt.cli.main import dbtRunner

        where = ["--project-dir", self.project, "--profiles-dir", self.project]
        where += ["--target-path", self.target, "--log-path", self.target / "logs"]
        if self.variables:
            where += ["--vars", json.dumps(dict(self.variables))]
        with _one_call:
            return dbtRunner(manifest=manifest).invoke(["--quiet", *arguments, *map(str, where)])


def _result(one: Any) -> NodeResult:
    rows = (one.adapter_response or {}).get("rows_affected")
    return NodeResult(
        one.node.unique_id,
        one.node.name,
        str(one.status),
        _line(one.message),
        one.failures or 0,
        one.execution_time,
        rows if isinstance(rows, int) and rows >= 0 else None,
    )


def _line(message: object) -> str:
    return " ".join(str(message or "").split())


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """dbt reads its profile from the environment: set it for the call, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
