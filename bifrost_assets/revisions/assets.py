"""research/revision_effects as an asset."""

import dagster as dg
import polars as pl

from bifrost_assets.owners import Owner
from bifrost_assets.revisions.effects import effects
from bifrost_assets.revisions.found import new_revisions
from bifrost_assets.stamp import Stamp
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.warehouse import Warehouse


@dg.asset(
    key=["research", "revision_effects"],
    group_name="market_data",
    kinds={"polars", "postgres"},
    owners=[Owner.DATA],
    deps=[
        dg.AssetKey(["raw", "daily_bars"]),
        dg.AssetKey(["raw", "corporate_actions"]),
        dg.AssetKey(["signals", "signals"]),
    ],
    metadata={"dagster/table_name": "research.revision_effects"},
)
def revision_effects(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[None]:
    """The revision radar: per revision and instrument, what would have been another way with the corrected data."""
    stamp, found = Stamp.of(context.run_id), new_revisions(warehouse)
    for revision in found:
        rows = stamp.onto(effects(warehouse, revision).with_columns(revised_at=pl.lit(revision.revised_at)))
        with warehouse.transaction() as connection:
            copy_frame(connection, rows, "research.revision_effects")
        context.log.info(f"revision of {revision.revised_at:%Y-%m-%d %H:%M:%S} UTC: {_line(rows)}")
    return dg.MaterializeResult(metadata={"revisions": len(found)})


def _line(rows: pl.DataFrame) -> str:
    names = ("revised_sessions", "feature_rows", "predictions", "signals", "targets", "fills")
    return ", ".join(f"{rows[name].sum()} {name.replace('_', ' ')}" for name in names)
