"""signals/signals as an asset."""

import dagster as dg
import polars as pl

from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.stamp import Stamp
from bifrost_assets.strategies.registry import strategies
from bifrost_assets.strategies.signals import signals_of_window
from bifrost_core.warehouse.bulk import replace_sessions
from bifrost_core.warehouse.warehouse import Warehouse


@dg.asset(
    key=["signals", "signals"],
    group_name="strategies",
    kinds={"polars", "postgres"},
    owners=[Owner.RESEARCH],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["features", "daily"]), dg.AssetKey(["ml", "predictions"])],
    metadata={"dagster/table_name": "signals.signals"},
)
def signals(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """What each strategy wants to hold after a session: a row per strategy and instrument, before portfolio limits."""
    window, stamp = window_of(context), Stamp.of(context.run_id)
    rows, version = signals_of_window(warehouse, strategies(), window.first, window.last)
    stamped = stamp.onto(rows.with_columns(data_version=pl.lit(version)))
    with warehouse.transaction() as connection:
        where = "session between %s and %s"
        replace_sessions(connection, stamped, "signals.signals", where, (window.first, window.last))
    counts = {f"rows_{name}": rows.filter(pl.col("strategy") == name).height for name in strategies()}
    return dg.MaterializeResult(metadata={"dagster/row_count": rows.height, "input_data_version": version, **counts})
