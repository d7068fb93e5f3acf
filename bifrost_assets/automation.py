"""When the main job runs, and what is watched between runs."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from bifrost_assets.late_data import BUSY, late_data, recompute
from bifrost_assets.market_data.intraday.assets import GROUP as MINUTES
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.partitions import RANGE_END, RANGE_START, SESSIONS
from bifrost_assets.schedules import after_close
from bifrost_assets.watch import book_of_failures, daemon_problems
from bifrost_core.calendar import latest_closed
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

TARGETS = dg.AssetKey(["signals", "targets"])
ORDERS = dg.AssetKey(["trading", "orders"])
GRACE = timedelta(minutes=30)  # the schedule comes first; the sensor is for what it missed

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(MINUTES),
    description="The main job for one session or a range of them: bars, models, features, signals, targets, reports.",
    partitions_def=SESSIONS,
    executor_def=dg.in_process_executor,
)


def automation_of(settings: Settings) -> dg.Definitions:
    """The job, its schedule, and the sensors. With live data they run by themselves, with sample data when asked."""
    live = settings.provider != "sample"
    return dg.Definitions(
        jobs=[nightly, recompute],
        schedules=[after_each_close(settings, running=live)],
        sensors=[new_session_available(settings, running=live), late_data, failed_checks, daemon_unhealthy],
    )


def after_each_close(settings: Settings, *, running: bool) -> dg.ScheduleDefinition:
    """The nightly job for each session, the availability lag after its close."""
    return after_close(
        settings,
        nightly,
        "after_each_close",
        timedelta(minutes=settings.availability_lag_minutes),
        running=running,
        description="Runs the nightly job for the session that has just become known.",
    )


def new_session_available(settings: Settings, *, running: bool) -> dg.SensorDefinition:
    """Catches up: runs the sessions that the provider has, and the warehouse has not."""

    @dg.sensor(
        job=nightly,
        name="new_session_available",
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Runs the nightly job for every session that was missed, in one run.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, provider: dg.ResourceParam[BarProvider]
    ) -> dg.RunRequest | dg.SkipReason:
        missing = missing_sessions(context.instance, settings, provider, datetime.now(UTC))
        if not missing:
            return dg.SkipReason("every session that the provider has is loaded")
        if context.instance.get_runs(dg.RunsFilter(job_name=nightly.name, statuses=BUSY), limit=1):
            return dg.SkipReason(f"{len(missing)} sessions are missing, and a nightly run is on its way")
        first, last = missing[0].isoformat(), missing[-1].isoformat()
        tried = context.instance.get_runs_count(dg.RunsFilter(job_name=nightly.name))
        key = f"{first}..{last}@{tried}"  # Dagster runs a key once, also if it failed: each attempt is a new one
        if first == last:
            return dg.RunRequest(run_key=key, partition_key=first)
        return dg.RunRequest(run_key=key, tags={RANGE_START: first, RANGE_END: last})

    return sensor


def missing_sessions(
    instance: dg.DagsterInstance, settings: Settings, provider: BarProvider, now: datetime
) -> list[date]:
    """Partitions after the last one that came to targets, up to the provider's newest; all of them where none did.

    A night that loaded bars and failed later has no targets: it is missing.
    """
    loaded = instance.get_materialized_partitions(TARGETS)
    lag = timedelta(minutes=settings.availability_lag_minutes)
    due = latest_closed(settings.exchange, now, lag + GRACE).session
    newest = min(provider.latest_session(now), due).isoformat()
    after = max(loaded, default="")
    return [date.fromisoformat(key) for key in SESSIONS.get_partition_keys() if after < key <= newest]


@dg.sensor(
    name="failed_checks",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Logs each check that fails, once per failure, and records it beside its asset.",
)
def failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Asks the instance for the latest evaluation of every check."""
    assert context.repository_def is not None
    book = book_of_failures(context.instance, context.repository_def.asset_graph.asset_check_keys)
    known = set((context.cursor or "").split(","))
    new = {evaluation: key for evaluation, key in book.items() if evaluation not in known}
    for key in new.values():
        context.log.warning(f"check {key.name} of {key.asset_key.to_user_string()} fails")
    events = [
        dg.AssetObservation(key.asset_key, metadata={"failed_check": key.name, "evaluation": evaluation})
        for evaluation, key in new.items()
    ]
    names = ", ".join(sorted(f"{key.asset_key.to_user_string()}:{key.name}" for key in book.values()))
    reason = dg.SkipReason(f"failing: {names}" if names else "no check fails")
    return dg.SensorResult(skip_reason=reason, cursor=",".join(sorted(book)), asset_events=events)


@dg.sensor(
    name="daemon_unhealthy",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads the daemon's heartbeat; a silent or halted daemon is logged and recorded beside trading/orders.",
)
def daemon_unhealthy(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
    """Dagster only tells: it is never on the order path, and starts or stops nothing."""
    problems = daemon_problems(warehouse, datetime.now(UTC))
    text = "; ".join(problems)
    events = []
    if text and text != context.cursor:
        context.log.warning(text)
        events = [dg.AssetObservation(ORDERS, metadata={"daemon": text})]
    reason = dg.SkipReason(text or "every part that has started beats and works")
    return dg.SensorResult(skip_reason=reason, cursor=text, asset_events=events)
