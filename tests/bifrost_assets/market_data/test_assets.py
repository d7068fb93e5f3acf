"""The assets in real runs: what is reported, what is blocked, what a second run adds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from bifrost_assets.market_data import assets, checks
from bifrost_assets.market_data.expectations import validate
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.warehouse_models.assets import dbt_models
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.yahoo_server import Listed, YahooServer, yahoo_server

DAY = "2013-02-15"
MARKET_DATA = [assets.reference_data, assets.daily_bars, checks.bars_meet_expectations, checks.no_session_is_missing]
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def run(warehouse: Warehouse, first: str = DAY, last: str | None = None, **more: object) -> dg.ExecuteInProcessResult:
    which: dict[str, object] = {"tags": dict(zip(RANGE, (first, last or first), strict=True))}
    return dg.materialize(
        [*MARKET_DATA, *more.pop("also", [])],  # type: ignore[misc]
        resources={"warehouse": warehouse, "provider": provider_of(warehouse.settings)},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        **which,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def reported(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, object]:
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def with_universe(settings: Settings, *symbols: str, **changes: object) -> Warehouse:
    return Warehouse(settings.model_copy(update={"universe": symbols, **changes}), Role.PIPELINE)


@pytest.fixture
def vendor() -> Iterator[YahooServer]:
    with yahoo_server() as vendor:
        yield vendor


def test_a_partition_twice_adds_nothing(warehouse: Warehouse) -> None:
    """Re-running a night would duplicate it."""
    first, again = run(warehouse), run(warehouse)
    assert first.success
    assert again.success
    assert reported(first, assets.BARS)["inserted"] == 6
    assert reported(again, assets.BARS)["inserted"] == 0
    assert reported(again, assets.BARS)["unchanged"] == 6
    assert warehouse.read("select count(*) from raw.daily_bars").item() == 6
    assert all(verdicts(again).values())


def test_the_first_partition_holds_the_history_before_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features would have no past to look at."""
    monkeypatch.setenv("BIFROST_FIRST_PARTITION", "2013-02-01")
    warehouse = with_universe(settings, "FB")
    assert run(warehouse, "2013-02-01").success
    first, last, bars = warehouse.read("select min(session), max(session), count(*) from raw.daily_bars").row(0)
    assert (str(first), str(last)) == (settings.first_session, "2013-02-01")
    assert bars > 3000


def test_a_bad_symbol_is_named_and_the_run_succeeds(settings: Settings) -> None:
    """One symbol would stop the night, or be missing without a word."""
    result = run(with_universe(settings, "IBM", "XYZ"))
    assert result.success
    assert not verdicts(result)["every_symbol_loaded"]
    assert verdicts(result)["bars_meet_expectations"]
    assert "no symbol XYZ" in str(reported(result, assets.BARS)["failed_symbols"])


def test_all_symbols_bad_fails_with_the_remedy_and_without_retries(settings: Settings) -> None:
    """Three retries of a typing error, and then a stack trace."""
    result = run(with_universe(settings, "XYZ", benchmark="ABC"))
    assert not result.success
    failure = result.failure_data_for_node("daily_bars")
    assert failure is not None
    assert "BIFROST_UNIVERSE" in failure.error.to_string()
    assert not result.filter_events(lambda event: event.is_step_up_for_retry)


def test_rows_in_quarantine_are_counted_by_reason(settings: Settings, vendor: YahooServer) -> None:
    """Nobody would see that a provider has begun to send nonsense."""
    good = (10.0, 12.0, 9.0, 11.0, 100, 11.0)
    days = [date(2013, 2, 14), date(2013, 2, 15)]
    vendor.listed["IBM"] = Listed([(day, *good) for day in days])
    vendor.listed["^GSPC"] = Listed([(days[0], *good), (days[1], 10.0, 9.0, 12.0, 11.0, 100, 11.0)], kind="INDEX")
    result = run(with_universe(settings, "IBM", provider="yahoo", yahoo_url=vendor.url))
    assert result.success
    assert not verdicts(result)["no_row_quarantined"]
    [check] = [c for c in result.get_asset_check_evaluations() if c.check_name == "no_row_quarantined"]
    assert check.metadata["rows_by_reason"].value == {"low and high do not bound open and close": 1}


def test_results_of_expectations_are_stored(warehouse: Warehouse) -> None:
    """What was checked on a day, and what was seen, could not be looked up."""
    result = run(warehouse)
    rows = warehouse.read("select passed, dagster_run_id, window_start, window_end from quarantine.check_results")
    assert rows.height > 20
    assert rows["passed"].all()
    assert rows.unique().rows() == [(True, result.run_id, date(2013, 2, 15), date(2013, 2, 15))]


def test_a_gap_in_the_sessions_is_found_and_in_the_index_blocks(warehouse: Warehouse, owner: Warehouse) -> None:
    """Features over a missing session would be computed as if it had not traded."""
    run(warehouse, "2013-02-14")
    run(warehouse, "2013-02-19")
    with owner.transaction() as connection:
        connection.execute("alter table raw.daily_bars disable trigger all")
        connection.execute("delete from raw.daily_bars where session = '2013-02-15'")
    result = dg.materialize(
        [*MARKET_DATA, dbt_models],
        selection=dg.AssetSelection.checks(checks.no_session_is_missing),
        resources={"warehouse": warehouse, "provider": provider_of(warehouse.settings)},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        tags=dict(zip(RANGE, ("2013-02-14", "2013-02-19"), strict=True)),
    )
    (found,) = result.get_asset_check_evaluations()
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert not result.success


@pytest.mark.parametrize(("symbol", "severity"), [("AAPL", "WARN"), ("SPX", "ERROR")])
def test_one_missing_bar_of_one_night_is_found(
    warehouse: Warehouse, owner: Warehouse, symbol: str, severity: str
) -> None:
    """A symbol without any bar in the window must be counted, and only a hole in the index may stop the others."""
    run(warehouse, "2013-02-14")
    run(warehouse, "2013-02-15")
    with owner.transaction() as connection:
        connection.execute("alter table raw.daily_bars disable trigger all")
        connection.execute(
            "delete from raw.daily_bars b using reference.instruments i where i.instrument_id = b.instrument_id"
            " and symbol = %s and session = '2013-02-15'",
            (symbol,),
        )
    result = dg.materialize(
        [*MARKET_DATA, dbt_models],
        selection=dg.AssetSelection.checks(checks.no_session_is_missing),
        resources={"warehouse": warehouse, "provider": provider_of(warehouse.settings)},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        tags={"dagster/partition": "2013-02-15"},
    )
    (found,) = result.get_asset_check_evaluations()
    assert (found.passed, found.severity.value) == (False, severity)


def test_bad_bars_fail_the_suite(warehouse: Warehouse) -> None:
    """A suite that passes whatever it is given protects nothing."""
    import polars as pl

    from bifrost_assets.market_data.expectations import read_window

    run(warehouse)
    good = read_window(warehouse, date(2013, 2, 15), date(2013, 2, 15))
    assert all(one.passed for one in validate(good))
    spoiled = {
        "unique": pl.concat([good, good.head(1)]),
        "greater_than": good.with_columns(high=pl.col("low") - 1),
        "between (close)": good.with_columns(close=-pl.col("close")),
        "null (volume)": good.with_columns(volume=pl.lit(None, dtype=pl.Float64)),
        "row_count": good.clear(),
        "match_set": good.drop("payload_sha256").with_columns(payload=pl.lit("")),
    }
    for name, bars in spoiled.items():
        assert any(name.split(" ")[0] in one.expectation for one in validate(bars) if not one.passed), name


def test_models_are_built_and_checked_in_one_run(warehouse: Warehouse) -> None:
    """dbt's models and tests would be missing from the lineage and the checks."""
    result = run(warehouse, also=[dbt_models])
    assert result.success
    built = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert {"marts/fct_daily_bars", "staging/stg_daily_bars", "marts/fct_pnl_daily"} <= built
    assert verdicts(result)["fct_daily_bars_has_one_row_per_instrument_and_session"]
    assert reported(result, dg.AssetKey(["marts", "fct_daily_bars"]))["dagster/row_count"] == 6


def test_one_model_can_be_built_alone(warehouse: Warehouse) -> None:
    """Materializing one model from the UI would build them all, or none."""
    run(warehouse, also=[dbt_models])
    result = run(warehouse, also=[dbt_models], selection=dg.AssetSelection.assets(["marts", "dim_session"]))
    assert result.success
    assert [e.asset_key.path[-1] for e in result.get_asset_materialization_events()] == ["dim_session"]


def test_a_broken_model_is_named_in_the_failure(warehouse: Warehouse, owner: Warehouse) -> None:
    """The run page would say that a step failed, and not which model and why."""
    run(warehouse)
    with owner.transaction() as connection:
        connection.execute("alter table reference.instruments rename column currency to money")
    result = run(warehouse, also=[dbt_models], selection=dg.AssetSelection.assets(dbt_models))
    assert not result.success
    failure = result.failure_data_for_node("dbt_models")
    assert failure is not None
    words = failure.error.to_string()
    assert "stg_instruments: " in words
    assert "currency" in words
    assert "fct_daily_bars" in words.split("not built because of it")[1]
