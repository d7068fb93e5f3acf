"""features/daily as an asset."""

import dagster as dg
import polars as pl

from bifrost_assets.features.daily import FEATURES
from bifrost_assets.features.history import bars_up_to, features_of
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.stamp import Stamp
from bifrost_core.provenance import frame_version
from bifrost_core.warehouse.bulk import replace_sessions
from bifrost_core.warehouse.warehouse import Warehouse

COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("instrument_id", "integer"),
        dg.TableColumn("session", "date"),
        *(dg.TableColumn(name, "double precision") for name in FEATURES),
        dg.TableColumn("available_at", "timestamptz", description="When the last bar behind the row was known."),
        dg.TableColumn("data_version", "text", description="Version of the bars that the run read."),
    ]
)


@dg.asset(
    key=["features", "daily"],
    group_name="features",
    kinds={"polars", "postgres"},
    owners=[Owner.RESEARCH],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["marts", "fct_daily_bars"])],
    metadata={"dagster/table_name": "features.daily", "dagster/column_schema": COLUMNS},
)
def daily(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """One row per instrument and session: returns, volatility, momentum, RSI, z-score, volume ratio and beta."""
    window = window_of(context)
    bars = bars_up_to(warehouse, window.first, window.last)
    rows = features_of(bars, warehouse.settings.benchmark).filter(
        pl.col("session").is_between(window.first, window.last)
    )
    stamped = Stamp.of(context.run_id).onto(rows.with_columns(data_version=pl.lit(version := frame_version(bars))))
    with warehouse.transaction() as connection:
        where = "session between %s and %s"
        replace_sessions(connection, stamped, "features.daily", where, (window.first, window.last))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.height,
            "bars_read": bars.height,
            "rows_with_every_feature": rows.drop_nulls(FEATURES).height,
            "input_data_version": version,
        }
    )
