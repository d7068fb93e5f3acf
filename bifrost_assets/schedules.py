"""Schedules that follow the exchange's closes, be they early ones."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from bifrost_core.calendar import Session, all_sessions
from bifrost_core.settings import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


def after_close(
    settings: Settings,
    job: "UnresolvedAssetJobDefinition",
    name: str,
    delay: timedelta,
    *,
    running: bool,
    description: str,
) -> dg.ScheduleDefinition:
    """Runs the partition of each session of `job`, `delay` after the session's close."""
    due = due_times(all_sessions(settings.exchange), delay, datetime.now(UTC))

    @dg.schedule(
        job=job,
        name=name,
        cron_schedule=sorted({f"{at.minute} {at.hour} * * *" for at in due}),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time.astimezone(UTC)
        session = due_times(all_sessions(settings.exchange), delay, at).get(at)
        if session is None:
            return dg.SkipReason(f"no session of {settings.exchange} is due at {at:%Y-%m-%d %H:%M} UTC")
        return dg.RunRequest(run_key=session.session.isoformat(), partition_key=session.session.isoformat())

    return schedule


def due_times(sessions: tuple[Session, ...], delay: timedelta, around: datetime) -> dict[datetime, Session]:
    """Sessions by the instant `delay` after their close, for two years around `around`."""
    year = timedelta(days=366)
    return {s.close_at + delay: s for s in sessions if around - year <= s.close_at <= around + year}
