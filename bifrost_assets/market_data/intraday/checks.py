"""What raw/minute_bars promises, beyond what the load reports of itself."""

from typing import Any

import dagster as dg
import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.intraday import reconcile
from bifrost_assets.market_data.intraday.assets import MINUTES, window_of_minutes
from bifrost_assets.market_data.intraday.loading import MINUTES as TABLE
from bifrost_assets.partitions import SESSIONS
from bifrost_core.warehouse.warehouse import Warehouse

SHOWN = 50  # offenders in the metadata; all are counted


@dg.asset_check(asset=MINUTES, partitions_def=SESSIONS)
def minutes_agree_with_daily_bars(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """A session's minutes, rolled up, are the vendor's daily bar within the settings `minute_*` of tolerance."""
    window = window_of_minutes(context)
    days = reconcile.compared(warehouse, window.first, window.last)
    found = reconcile.disagreements(days, warehouse.settings)
    alone = days.filter(pl.col("daily_open").is_null())
    counts = {"compared": days.height - alone.height, "without_daily_bar": alone.height}
    return _judged(context, warehouse, "minutes_agree_with_daily_bars", found, counts)


@dg.asset_check(asset=MINUTES, partitions_def=SESSIONS)
def minutes_are_complete(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Each traded symbol has BIFROST_MINUTE_SHARE_MIN of the minutes of each session."""
    window = window_of_minutes(context)
    days = reconcile.compared(warehouse, window.first, window.last)
    found = reconcile.incomplete(days, warehouse.settings)
    return _judged(context, warehouse, "minutes_are_complete", found, {"symbol_sessions": days.height})


def _judged(
    context: dg.AssetCheckExecutionContext,
    warehouse: Warehouse,
    name: str,
    offenders: pl.DataFrame,
    counts: dict[str, int],
) -> dg.AssetCheckResult:
    """Passed where there are no offenders; the result is stored, and the first offenders listed."""
    window = window_of_minutes(context)
    listed = [" ".join(map(str, row)) for row in offenders.head(SHOWN).rows()]
    observed: dict[str, Any] = {**counts, "offenders": offenders.height, "listed": listed}
    result = evidence.CheckResult(name, offenders.is_empty(), observed)
    with warehouse.transaction() as connection:
        evidence.keep_results(connection, TABLE, "minutes", [result], (window.first, window.last), context.run.run_id)
    return dg.AssetCheckResult(passed=offenders.is_empty(), severity=dg.AssetCheckSeverity.WARN, metadata=observed)
