"""Which session each asset should have by now, and why one lacks it, as Dagster's own records tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Literal

import dagster as dg

from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_core.calendar import cutoff, latest_closed
from bifrost_core.settings import Settings

Cause = Literal[
    "on_time", "provider_has_not_published", "run_failed", "check_blocked", "run_under_way", "run_not_started"
]
RUNS_LOOKED_AT = 100
UNDER_WAY = frozenset(
    {
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    }
)


@dataclass(frozen=True, slots=True)
class Due:
    """The session that every asset should have at `now`, when it became due, and the newest one published."""

    session: date
    at: datetime
    published: date

    @classmethod
    def at_time(cls, settings: Settings, provider: BarProvider, now: datetime) -> Due:
        """By the exchange's calendar, `freshness_grace_minutes` after the session's bars are known.

        Provider `sample` publishes nothing any more: with it, its last session stays due.
        """
        lag = timedelta(minutes=settings.availability_lag_minutes)
        grace = timedelta(minutes=settings.freshness_grace_minutes)
        session, published = latest_closed(settings.exchange, now, lag + grace).session, provider.latest_session(now)
        if settings.provider == "sample":
            session = min(session, published)
        return cls(session, cutoff(settings.exchange, session, lag) + grace, published)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is true of one asset: `why` is a sentence for a person, `run_id` the run that it is about."""

    asset: str
    due_session: date
    has_session: date | None
    due_at: datetime
    cause: Cause
    why: str
    run_id: str | None = None

    @property
    def is_late(self) -> bool:
        return self.cause != "on_time"


def judge(instance: dg.DagsterInstance, assets: Iterable[dg.AssetKey], due: Due) -> list[Verdict]:
    """One verdict for each of `assets`, which are partitioned by session."""
    runs = RunsOfSession(instance, due.session)
    return [_verdict(instance, key, due, runs) for key in assets]


def _verdict(instance: dg.DagsterInstance, key: dg.AssetKey, due: Due, runs: RunsOfSession) -> Verdict:
    newest = max(instance.get_materialized_partitions(key), default=None)
    has = date.fromisoformat(newest) if newest else None
    cause, why, run_id = _cause(key, has, due, runs)
    return Verdict(key.to_user_string(), due.session, has, due.at, cause, why, run_id)


def _cause(key: dg.AssetKey, has: date | None, due: Due, runs: RunsOfSession) -> tuple[Cause, str, str | None]:
    if has is not None and has >= due.session:
        return "on_time", "", None
    if due.published < due.session:
        return "provider_has_not_published", f"the provider's newest session is {due.published}", None
    run = runs.newest_for(key)
    if run is None:
        return "run_not_started", f"no run of session {due.session} has started", None
    if run.status in UNDER_WAY:
        return "run_under_way", f"its run is {run.status.value.lower()}", run.run_id
    cause, why = runs.what_went_wrong(run)
    return cause, why, run.run_id


class RunsOfSession:
    """Runs over a session or a range that holds it, newest first, read when the first late asset asks."""

    def __init__(self, instance: dg.DagsterInstance, session: date) -> None:
        self.instance = instance
        self.session = session.isoformat()
        self._explained: dict[str, tuple[Cause, str]] = {}

    @cached_property
    def _runs(self) -> list[dg.DagsterRun]:
        return [run for run in self.instance.get_runs(limit=RUNS_LOOKED_AT) if self._covers(run)]

    def _covers(self, run: dg.DagsterRun) -> bool:
        one = run.tags.get("dagster/partition", "")
        first = run.tags.get("dagster/asset_partition_range_start", one)
        last = run.tags.get("dagster/asset_partition_range_end", one)
        return first <= self.session <= last

    def newest_for(self, key: dg.AssetKey) -> dg.DagsterRun | None:
        """The newest run that was to make the asset."""
        return next((run for run in self._runs if not run.asset_selection or key in run.asset_selection), None)

    def what_went_wrong(self, run: dg.DagsterRun) -> tuple[Cause, str]:
        """The check that blocked the run, else the step that failed, by name."""
        if run.run_id not in self._explained:
            self._explained[run.run_id] = self._explain(run)
        return self._explained[run.run_id]

    def _explain(self, run: dg.DagsterRun) -> tuple[Cause, str]:
        kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
        events = [entry.dagster_event for entry in self.instance.all_logs(run.run_id, of_type=kinds)]
        failed_steps = [event for event in events if event and event.is_step_failure]
        if run.status is dg.DagsterRunStatus.SUCCESS:
            return "run_failed", "its run ended well and did not make it"
        for event in events:
            if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                check = event.asset_check_evaluation_data
                if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR and check.blocking:
                    return "check_blocked", f"check {check.check_name} of {check.asset_key.to_user_string()} failed"
        if not failed_steps:
            return "run_failed", f"its run ended as {run.status.value.lower()}, without a failed step"
        return "run_failed", f"step {failed_steps[0].step_key} failed: {_words(failed_steps[0])}"


def _words(event: dg.DagsterEvent) -> str:
    """The innermost message of a failed step, in one line."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return " ".join(error.message.split())[:400] if error else "no reason given"
