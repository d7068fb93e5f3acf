"""The main job, run in this process against the real Dagster instance."""

from __future__ import annotations

import os
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from bifrost_core.errors import BifrostError

if TYPE_CHECKING:
    import dagster as dg

JOB = "nightly"
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(slots=True)
class JobReport:
    """What the runs of one command did. Seconds are wall time; `work_seconds` is the part spent inside the steps."""

    runs: int = 0
    wall_seconds: float = 0.0
    work_seconds: float = 0.0
    checks_passed: int = 0
    failed_checks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds_by_step: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


class NightlyRunner:
    """Runs the job for one session or a range of them, and remembers how it went."""

    def __init__(self) -> None:
        import dagster as dg

        for category in (dg.PreviewWarning, dg.BetaWarning):  # each asset and check would say it once more
            warnings.simplefilter("ignore", category)
        from bifrost_assets.definitions import defs

        self.instance = dg.DagsterInstance.get()
        # pooled connections, as in the webserver: a new one for each event costs more than the event
        self.instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
        self.job = defs.resolve_job_def(JOB)
        self.report = JobReport()

    def done(self, tags: dict[str, str]) -> bool:
        """Whether a run with these tags has succeeded before."""
        import dagster as dg

        wanted = dg.RunsFilter(job_name=JOB, statuses=[dg.DagsterRunStatus.SUCCESS], tags=tags)
        return bool(self.instance.get_runs(filters=wanted, limit=1))

    def run_range(self, first: date, last: date) -> bool:
        """Run sessions first..last as one run, unless that was done; returns whether it ran."""
        return self._run({RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}, None, f"{first}..{last}")

    def run_session(self, session: date) -> bool:
        """Run one session, unless that was done; returns whether it ran."""
        key = session.isoformat()
        return self._run({"dagster/partition": key}, key, key)

    def _run(self, tags: dict[str, str], partition: str | None, what: str) -> bool:
        if self.done(tags):
            return False
        began = time.monotonic()
        result = self.job.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            tags=None if partition else tags,
            run_config=QUIET,
            raise_on_error=False,
        )
        self.report.runs += 1
        self.report.wall_seconds += time.monotonic() - began
        self._count(result)
        if not result.success:
            raise BifrostError(
                f"the nightly job for {what} failed: {_failures(result)}",
                f"Mend the cause and run again; `bifrost up` shows run {result.run_id} in Dagster on"
                f" port {os.environ.get('BIFROST_DAGSTER_PORT', '3000')}",
            )
        return True

    def _count(self, result: dg.ExecuteInProcessResult) -> None:
        for event in result.all_events:
            if event.is_step_success and event.step_key:
                seconds = event.step_success_data.duration_ms / 1000
                self.report.work_seconds += seconds
                self.report.seconds_by_step[event.step_key] += seconds
        for evaluation in result.get_asset_check_evaluations():
            name = f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}"
            if evaluation.passed:
                self.report.checks_passed += 1
            elif evaluation.severity.value == "WARN":
                self.report.warnings.append(name)
            else:
                self.report.failed_checks.append(name)


def _failures(result: dg.ExecuteInProcessResult) -> str:
    causes = []
    for event in result.filter_events(lambda e: e.is_step_failure):
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        causes.append(f"{event.step_key}: {' '.join(error.message.split())[:400] if error else 'no reason given'}")
    return "; ".join(causes) or "the run ended without a failed step"
