"""compliance/order_audit_trail and compliance/limit_decisions as assets."""

import dagster as dg

from bifrost_assets.compliance.publish import FOLDER, publish
from bifrost_assets.compliance.report import LIMIT_DECISIONS, ORDER_AUDIT_TRAIL, Report
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.stamp import Stamp
from bifrost_core.calendar import shift
from bifrost_core.warehouse.warehouse import Warehouse

SESSION_CALENDAR = dg.AssetKey(["reference", "sessions"])
TRADED = ("orders", "order_events", "fills")


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["compliance", name])


@dg.asset(
    key=_key("order_audit_trail"),
    group_name="compliance",
    kinds={"postgres", "csv"},
    owners=[Owner.COMPLIANCE],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[SESSION_CALENDAR, dg.AssetKey(["audit", "chain"]), *(dg.AssetKey(["trading", name]) for name in TRADED)],
    metadata={"dagster/table_name": "compliance.order_audit_trail"},
)
def order_audit_trail(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[None]:
    """One row per order event of a session, in sequence, and a report of them as CSV and HTML."""
    return _published(context, warehouse, ORDER_AUDIT_TRAIL)


@dg.asset(
    key=_key("limit_decisions"),
    group_name="compliance",
    kinds={"postgres", "csv"},
    owners=[Owner.COMPLIANCE],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[SESSION_CALENDAR, dg.AssetKey(["trading", "risk_decisions"])],
    metadata={"dagster/table_name": "compliance.limit_decisions"},
)
def limit_decisions(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[None]:
    """One row per risk decision of a session, accepted or denied, and a report of them as CSV and HTML."""
    return _published(context, warehouse, LIMIT_DECISIONS)


def _published(context: dg.AssetExecutionContext, warehouse: Warehouse, report: Report) -> dg.MaterializeResult[None]:
    window, exchange = window_of(context), warehouse.settings.exchange
    first = shift(exchange, window.first, -1).session  # what came after its report was written, such as a late expiry
    done = publish(warehouse, report, first, window.last, Stamp.of(context.run_id))
    counts = {"dagster/row_count": done.rows, "sessions_reported": done.sessions, "files": len(done.files)}
    folder = dg.MetadataValue.path(str(warehouse.settings.artifacts / FOLDER))
    return dg.MaterializeResult(metadata={**counts, "folder": folder})
