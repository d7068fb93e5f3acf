"""What raw/daily_bars promises, beyond what the load reports of itself."""

import dagster as dg

from bifrost_assets.market_data import evidence, expectations
from bifrost_assets.market_data.assets import BARS
from bifrost_assets.market_data.reference import wanted_symbols
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.warehouse.warehouse import Warehouse


@dg.asset_check(asset=BARS, partitions_def=SESSIONS, blocking=True)
def bars_meet_expectations(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """The Great Expectations suite on the window's bars: schema, nulls, bounds, keys."""
    window = window_of(context)
    bars = expectations.read_window(warehouse, window.first, window.last)
    results = expectations.validate(bars)
    with warehouse.transaction() as connection:
        evidence.keep_results(
            connection, evidence.BARS, expectations.SUITE, results, (window.first, window.last), context.run.run_id
        )
    failed = [result for result in results if not result.passed]
    return dg.AssetCheckResult(
        passed=not failed,
        metadata={
            "rows": bars.height,
            "expectations": len(results),
            "failed": {result.expectation: dict(result.observed) for result in failed},
        },
    )


@dg.asset_check(asset=BARS, partitions_def=SESSIONS, blocking=True)
def no_session_is_missing(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Every symbol has a bar of every session since its first. A hole in the benchmark blocks all: beta needs it."""
    window, settings = window_of(context), warehouse.settings
    missing = expectations.sessions_missing(warehouse, wanted_symbols(settings), window.first, window.last)
    result = evidence.CheckResult("no_session_is_missing", not missing, missing)
    with warehouse.transaction() as connection:
        evidence.keep_results(
            connection, evidence.BARS, "calendar", [result], (window.first, window.last), context.run.run_id
        )
    blocks = settings.benchmark in missing
    return dg.AssetCheckResult(
        passed=not missing,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        metadata={"sessions_missing": missing},
    )
