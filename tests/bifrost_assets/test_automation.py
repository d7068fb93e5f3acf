"""Schedules and sensors, ticked for real."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from bifrost_assets import automation
from bifrost_assets.automation import after_each_close, daemon_unhealthy, failed_checks, missing_sessions
from bifrost_assets.definitions import defs
from bifrost_assets.market_data.providers import provider_of
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.warehouse import Warehouse

BARS = dg.AssetKey(["raw", "daily_bars"])


def tick(at: str) -> dg.RunRequest | dg.SkipReason:
    schedule = after_each_close(load_settings(), running=True)
    when = datetime.fromisoformat(at).replace(tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=when)
    return schedule(context)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("at", "session"),
    [
        ("2026-07-15T20:15", "2026-07-15"),  # summer: closes at 20:00 UTC
        ("2026-01-15T21:15", "2026-01-15"),  # winter: at 21:00
        ("2025-11-28T18:15", "2025-11-28"),  # the half day after Thanksgiving: at 18:00
        ("2026-03-06T21:15", "2026-03-06"),  # the last session before daylight saving
        ("2026-03-09T20:15", "2026-03-09"),  # the first one after it
    ],
)
def test_each_session_is_run_when_its_bars_are_known(at: str, session: str) -> None:
    """A fixed hour runs an hour early or late half the year, and three hours late on half days."""
    request = tick(at)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == request.run_key == session


@pytest.mark.parametrize(
    "at",
    [
        "2026-07-15T21:15",  # summer, at winter's hour
        "2025-11-28T21:15",  # a half day, at the usual hour
        "2026-12-25T21:15",  # Christmas
        "2026-07-18T20:15",  # a Saturday
    ],
)
def test_nothing_runs_at_other_times(at: str) -> None:
    """A session would be run twice, or one that never took place."""
    assert isinstance(tick(at), dg.SkipReason)


def test_every_close_is_met_by_a_cron() -> None:
    """A close at a minute that no cron names would never be noticed."""
    schedule = after_each_close(load_settings(), running=True)
    crons = schedule.cron_schedule if isinstance(schedule.cron_schedule, list) else [schedule.cron_schedule]
    assert {"15 20 * * *", "15 21 * * *", "15 18 * * *"} <= set(crons)


@pytest.mark.parametrize(("provider", "running"), [("sample", False), ("yahoo", True)])
def test_live_data_runs_by_itself_and_sample_data_when_asked(provider: str, running: bool) -> None:
    """A demo would fail every night for lack of sessions; production would wait for a person."""
    made = automation.automation_of(load_settings(provider=provider))
    [schedule] = made.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) is running
    [sensor] = [s for s in made.sensors or [] if s.name == "new_session_available"]
    assert (sensor.default_status is dg.DefaultSensorStatus.RUNNING) is running


def report(instance: dg.DagsterInstance, *days: str) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(automation.TARGETS, partition=day))


def test_the_catch_up_asks_for_the_sessions_after_the_last_loaded_one() -> None:
    """After a weekend of downtime only the last session would be run, and the gap stay."""
    settings = load_settings()
    instance = dg.DagsterInstance.ephemeral()
    report(instance, "2013-02-14", "2013-02-15")
    now = datetime(2013, 2, 21, 12, tzinfo=UTC)
    missing = missing_sessions(instance, settings, provider_of(settings), now)
    assert missing == [date(2013, 2, 19), date(2013, 2, 20)]


def test_the_catch_up_leaves_a_fresh_session_to_the_schedule() -> None:
    """Sensor and schedule would both run it."""
    settings = load_settings()
    instance = dg.DagsterInstance.ephemeral()
    report(instance, "2013-02-19")
    close = datetime(2013, 2, 20, 21, tzinfo=UTC)
    provider = provider_of(settings)
    assert missing_sessions(instance, settings, provider, close + timedelta(minutes=20)) == []
    assert missing_sessions(instance, settings, provider, close + timedelta(hours=1)) == [date(2013, 2, 20)]


def new_session_tick(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    settings = load_settings()
    sensor = automation.new_session_available(settings, running=True)
    context = dg.build_sensor_context(instance=instance, resources={"provider": provider_of(settings)})
    return sensor(context)  # type: ignore[return-value]


def test_a_night_that_failed_after_its_bars_is_missing() -> None:
    """Bars come first: asked for them, the sensor would call a night without targets done."""
    settings = load_settings()
    instance = dg.DagsterInstance.ephemeral()
    report(instance, "2013-02-19")
    instance.report_runless_asset_event(dg.AssetMaterialization(BARS, partition="2013-02-20"))
    now = datetime(2013, 2, 21, 12, tzinfo=UTC)
    assert missing_sessions(instance, settings, provider_of(settings), now) == [date(2013, 2, 20)]


def test_a_failed_catch_up_is_tried_again() -> None:
    """Dagster never runs a run key twice: with the same key one failure would be the last attempt."""
    instance = dg.DagsterInstance.ephemeral()
    report(instance, "2013-02-28")
    first = new_session_tick(instance)
    instance.add_run(dg.DagsterRun(job_name="nightly", status=dg.DagsterRunStatus.FAILURE))
    second = new_session_tick(instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.run_key != second.run_key


def test_missing_sessions_become_one_run() -> None:
    """Twenty missed sessions would be twenty runs that compete for the same tables."""
    instance = dg.DagsterInstance.ephemeral()
    report(instance, "2013-02-26")
    request = new_session_tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[automation.RANGE_START] == "2013-02-27"
    assert request.tags[automation.RANGE_END] == "2013-03-01"


def test_one_missing_session_is_a_run_of_its_partition_and_none_is_none() -> None:
    """The sensor would start a run on every tick for ever."""
    instance = dg.DagsterInstance.ephemeral()
    report(instance, "2013-02-28")
    request = new_session_tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2013-03-01"
    report(instance, "2013-03-01")
    assert isinstance(new_session_tick(instance), dg.SkipReason)


def evaluate(instance: dg.DagsterInstance, passed: bool) -> None:
    evaluation = dg.AssetCheckEvaluation(asset_key=BARS, check_name="no_row_quarantined", passed=passed, metadata={})
    instance.report_runless_asset_event(evaluation)


def failed_checks_tick(instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=defs.get_repository_def())
    return failed_checks(context)  # type: ignore[return-value]


def test_a_failed_check_is_recorded_once_and_forgotten_when_it_passes() -> None:
    """A failure would go unseen, or be repeated every minute until nobody reads it."""
    instance = dg.DagsterInstance.ephemeral()
    evaluate(instance, passed=False)
    first = failed_checks_tick(instance, None)
    [event] = first.asset_events
    assert event.asset_key == BARS
    assert event.metadata["failed_check"].value == "no_row_quarantined"
    again = failed_checks_tick(instance, first.cursor)
    assert not again.asset_events
    assert "raw/daily_bars:no_row_quarantined" in str(again.skip_reason)
    evaluate(instance, passed=True)
    mended = failed_checks_tick(instance, again.cursor)
    assert not mended.asset_events
    assert "no check fails" in str(mended.skip_reason)


def daemon_tick(warehouse: Warehouse, cursor: str | None = None) -> dg.SensorResult:
    return daemon_unhealthy(dg.build_sensor_context(cursor=cursor, resources={"warehouse": warehouse}))  # type: ignore[return-value]


def beat(owner: Warehouse, state: str, age: timedelta) -> None:
    with owner.transaction() as connection:
        connection.execute(
            "insert into trading.heartbeats (component, holder, state, beat_at) values ('daemon', 'host:1', %s, %s)"
            " on conflict (component) do update set state = excluded.state, beat_at = excluded.beat_at",
            (state, datetime.now(UTC) - age),
        )


def test_a_silent_or_halted_daemon_is_recorded_once(warehouse: Warehouse, owner: Warehouse) -> None:
    """A daemon that died in the night would be noticed at the open."""
    assert not daemon_tick(warehouse).asset_events  # none has ever started
    beat(owner, "ready", timedelta(seconds=5))
    assert not daemon_tick(warehouse).asset_events
    beat(owner, "ready", timedelta(minutes=5))
    silent = daemon_tick(warehouse)
    [event] = silent.asset_events
    assert event.asset_key == automation.ORDERS
    assert "daemon (host:1) has been silent since" in str(event.metadata["daemon"].value)
    assert not daemon_tick(warehouse, silent.cursor).asset_events
    beat(owner, "halted", timedelta(seconds=5))
    assert "is halted" in str(daemon_tick(warehouse, silent.cursor).skip_reason)
