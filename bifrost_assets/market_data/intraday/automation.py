"""When the minutes are loaded: a job of their own, after the nightly one."""

from datetime import timedelta

import dagster as dg

from bifrost_assets.market_data.intraday.assets import GROUP
from bifrost_assets.partitions import SESSIONS
from bifrost_assets.schedules import after_close
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
    """The job for each session, half an hour after its daily bars are known."""
    return after_close(
        settings,
        intraday,
        "minutes_after_each_close",
        timedelta(minutes=settings.availability_lag_minutes) + AFTER_NIGHTLY,
        running=running,
        description="Loads the minutes of the session that has just closed.",
    )
