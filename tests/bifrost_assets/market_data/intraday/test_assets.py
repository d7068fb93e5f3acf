"""The assets and checks in real runs, and the ticks of their schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from bifrost_assets.market_data import assets as market_data
from bifrost_assets.market_data.intraday import assets, automation, checks
from bifrost_assets.market_data.intraday.definitions import defs
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.resources import resources_of
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.intraday.generated import GeneratedMinutes, Spoil
from tests.bifrost_assets.market_data.intraday.test_loading import DAY, OPEN

INTRADAY = [
    assets.minute_bars,
    assets.five_minute_bars,
    checks.minutes_agree_with_daily_bars,
    checks.minutes_are_complete,
]


def run(warehouse: Warehouse, provider: BarProvider, *also: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [*INTRADAY, *also],
        resources={"warehouse": warehouse, "provider": provider},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        tags={"dagster/partition": DAY},
        partition_key=DAY,
    )


def spoilt(warehouse: Warehouse, spoil: Spoil) -> dict[str, dg.AssetCheckEvaluation]:
    """Verdicts by check of a day whose minutes were spoilt, with its daily bars loaded."""
    provider = GeneratedMinutes(warehouse.settings, spoil)
    result = run(warehouse, provider, market_data.reference_data, market_data.daily_bars)
    assert result.success
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_generated_minutes_reconcile_with_the_real_daily_bars(stocks: Warehouse) -> None:
    """Checks that fail on clean data are switched off by the second week."""
    verdicts = spoilt(stocks, lambda _, minutes: minutes)
    ours = {name: one.passed for name, one in verdicts.items() if "minute" in name}
    assert ours == {
        "every_symbol_has_minutes": True,
        "no_minute_quarantined": True,
        "minutes_agree_with_daily_bars": True,
        "minutes_are_complete": True,
    }
    assert verdicts["minutes_agree_with_daily_bars"].metadata["compared"].value == 2
    assert stocks.read("select count(*) from features.five_minute_bars").item() == 2 * 78
    stored = stocks.read("select expectation, passed from quarantine.check_results where suite = 'minutes' order by 1")
    assert stored.rows() == [("minutes_agree_with_daily_bars", True), ("minutes_are_complete", True)]


def test_minutes_that_tell_another_day_are_listed(stocks: Warehouse) -> None:
    """A wrong symbol, scale or session would go unseen: minute by minute nothing is impossible."""
    more = (pl.col("volume") * 100).alias("volume")
    found = spoilt(stocks, lambda s, m: m.with_columns(more) if s == "IBM" else m)["minutes_agree_with_daily_bars"]
    assert not found.passed
    [listed] = found.metadata["listed"].value  # type: ignore[misc]
    assert str(listed).startswith(f"IBM {DAY} volume ")


def test_missing_minutes_are_counted_and_missing_symbols_named(stocks: Warehouse) -> None:
    """Half a day of silence would look like a calm one, and a whole one like nothing at all."""
    late = OPEN + timedelta(minutes=40)
    verdicts = spoilt(stocks, lambda s, m: m.filter(pl.col("start_at") >= late) if s == "IBM" else m.clear())
    assert verdicts["minutes_are_complete"].metadata["listed"].value == [
        f"AAPL {DAY} 0 390 0.0",
        f"IBM {DAY} 350 390 {350 / 390:.4f}",
    ]
    assert not verdicts["minutes_are_complete"].passed
    assert not verdicts["every_symbol_has_minutes"].passed


def test_a_provider_without_minutes_fails_once_and_says_what_to_set() -> None:
    """Three retries of a setting, and then a stack trace."""
    nowhere = Warehouse(load_settings(), Role.PIPELINE)
    result = run(nowhere, SampleProvider(nowhere.settings))
    assert not result.success
    failure = result.failure_data_for_node("minute_bars")
    assert failure is not None
    assert "BIFROST_PROVIDER" in failure.error.to_string()
    assert not result.filter_events(lambda event: event.is_step_up_for_retry)


def test_the_job_holds_the_group_and_nothing_else() -> None:
    """Loading minutes would run the whole night again."""
    whole = dg.Definitions.merge(defs, dg.Definitions(resources=resources_of(load_settings())))
    job = whole.resolve_job_def("intraday")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
        "raw/minute_bars",
        "features/five_minute_bars",
    }


@pytest.mark.parametrize(
    ("at", "session"),
    [
        ("2026-07-15T20:45", "2026-07-15"),
        ("2026-01-15T21:45", "2026-01-15"),
        ("2025-11-28T18:45", "2025-11-28"),  # a half day
        ("2026-07-15T21:45", None),  # summer, at winter's hour
        ("2026-12-25T21:45", None),
    ],
)
def test_each_session_is_loaded_half_an_hour_after_its_daily_bars(at: str, session: str | None) -> None:
    """A fixed hour is wrong half the year, and on half days."""
    schedule = automation.minutes_after_each_close(load_settings(), running=True)
    due = datetime.fromisoformat(at).replace(tzinfo=UTC)
    tick = schedule(dg.build_schedule_context(scheduled_execution_time=due))
    assert getattr(tick, "partition_key", None) == session


def test_with_sample_data_the_schedule_is_off() -> None:
    """The demo would fail every night."""
    [schedule] = defs.schedules or []
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED  # type: ignore[union-attr]
