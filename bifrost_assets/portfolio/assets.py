"""signals/targets as an asset."""

from collections import Counter

import dagster as dg

from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.portfolio.batch import build, read_inputs, write
from bifrost_assets.reporting import materialized
from bifrost_assets.stamp import Stamp
from bifrost_assets.strategies.registry import strategies
from bifrost_core.trading.targets import TargetBatch, gross
from bifrost_core.warehouse.warehouse import Warehouse


@dg.asset(
    key=["signals", "targets"],
    group_name="portfolio",
    kinds={"polars", "postgres"},
    owners=[Owner.PORTFOLIO],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["signals", "signals"]), dg.AssetKey(["raw", "daily_bars"])],
    metadata={"dagster/table_name": "signals.targets"},
)
def targets(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """The batch for the daemon: a weight for every universe symbol, for the last session of the window only."""
    inputs = read_inputs(warehouse, window_of(context).last)
    batch = build(warehouse.settings, tuple(strategies()), inputs, Stamp.of(context.run_id))
    with warehouse.transaction() as connection:
        written = write(connection, batch)
    numbers = {"dagster/row_count": batch.row_count, "batch_id": str(batch.batch_id), "written": int(written)}
    return materialized(context, numbers, _report(batch))


def _report(batch: TargetBatch) -> dict[str, dg.MetadataValue | int | str | float]:
    signs = Counter(
        "long" if t.target_weight > 0 else "short" if t.target_weight < 0 else "flat" for t in batch.targets
    )
    columns = [dg.TableColumn("symbol"), dg.TableColumn("weight"), dg.TableColumn("reference_price")]
    rows = [
        dg.TableRecord({"symbol": t.symbol, "weight": str(t.target_weight), "reference_price": str(t.reference_price)})
        for t in batch.targets
    ]
    return {
        "as_of_session": str(batch.as_of_session),
        "valid": f"{batch.valid_from:%Y-%m-%d %H:%M} .. {batch.valid_until:%Y-%m-%d %H:%M} UTC",
        "gross": float(gross(batch.targets)),
        "targets": dg.MetadataValue.table(rows, schema=dg.TableSchema(columns)),
        **signs,
    }
