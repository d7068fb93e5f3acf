"""When the minutes are loaded: a job of their own, after the nightly one."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from bifrost_assets.market_data.intraday.assets import GROUP
from bifrost_assets.partitions import SESSIONS
from bifrost_core.calendar import Session, all_sessions
from bifrost_core.settings import Settings

AFTER_NIGHTLY = timedelta(minutes=30)  # the daily bars that the minutes are compared with are there by then

intraday = dg.define_asset_job(
    "intraday",
    selection=dg.AssetSelection.groups(GROUP),
    description="One-minute bars of one session or a range of them: loaded, rolled up, compared with the daily bars.",
    partitions_def=SESSIONS,
    executor_def=dg.in_process_executor,
)


def minutes_after_each_close(settings: Settings, *, running: bool) -> dg.ScheduleDefinition:
    """The job for each session, half an hour after its daily bars are known, be it an early close."""
    delay = timedelta(minutes=settings.availability_lag_minutes) + AFTER_NIGHTLY
    due = _due(settings, delay, datetime.now(UTC))

    @dg.schedule(
        job=intraday,
        name="minutes_after_each_close",
        cron_schedule=sorted({f"{at.minute} {at.hour} * * *" for at in due}),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description="Loads the minutes of the session that has just closed.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time.astimezone(UTC)
        session = _due(settings, delay, at).get(at)
        if session is None:
            return dg.SkipReason(f"no session of {settings.exchange} is due at {at:%Y-%m-%d %H:%M} UTC")
        return dg.RunRequest(run_key=session.session.isoformat(), partition_key=session.session.isoformat())

    return schedule


def _due(settings: Settings, delay: timedelta, around: datetime) -> dict[datetime, Session]:
    """Sessions by the instant their minutes are loaded, for two years around `around`."""
    year = timedelta(days=366)
    sessions = all_sessions(settings.exchange)
    return {s.close_at + delay: s for s in sessions if around - year <= s.close_at <= around + year}
