"""features/daily as an asset."""

import dagster as dg

from bifrost_assets.features.daily import FEATURES
from bifrost_assets.features.history import features_of_window
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.stamp import Stamp
from bifrost_core.warehouse.bulk import replace_sessions
from bifrost_core.warehouse.warehouse import Warehouse

COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("instrument_id", "integer"),
        dg.TableColumn("session", "date"),
        *(dg.TableColumn(name, "double precision") for name in FEATURES),
        dg.TableColumn("available_at", "timestamptz", description="When the last bar behind the row was known."),
        dg.TableColumn("data_version", "text", description="Version of the bars that the row was computed from."),
    ]
)


@dg.asset(
    key=["features", "daily"],
    group_name="features",
    kinds={"polars", "postgres"},
    owners=[Owner.RESEARCH],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["raw", "daily_bars"]), dg.AssetKey(["raw", "corporate_actions"])],
    metadata={"dagster/table_name": "features.daily", "dagster/column_schema": COLUMNS},
)
def daily(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """One row per instrument and session: returns, volatility, momentum, RSI, z-score, volume ratio and beta."""
    window, stamp = window_of(context), Stamp.of(context.run_id)
    rows = features_of_window(warehouse, window.first, window.last)
    stamped = stamp.onto(rows)
    with warehouse.transaction() as connection:
        where = "session between %s and %s"
        replace_sessions(connection, stamped, "features.daily", where, (window.first, window.last))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.height,
            "rows_with_every_feature": rows.drop_nulls(FEATURES).height,
            "input_data_versions": ", ".join(rows["data_version"].unique(maintain_order=True)),
        }
    )
