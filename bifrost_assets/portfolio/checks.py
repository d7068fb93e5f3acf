"""What a batch promises to the daemon."""

import dagster as dg

from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_assets.portfolio.stored import faults, newest_batch
from bifrost_assets.portfolio.universe import tradable
from bifrost_core.warehouse.warehouse import Warehouse

TARGETS = dg.AssetKey(["signals", "targets"])


@dg.asset_check(asset=TARGETS, partitions_def=SESSIONS)
def batch_is_whole_and_within_limits(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """The batch names the universe and what was held, wants nothing restricted, is within limits and hashes right."""
    session, settings = window_of(context).last, warehouse.settings
    batch = newest_batch(warehouse, settings.account, session)
    if batch is None:
        return dg.AssetCheckResult(passed=False, metadata={"faults": f"no batch of {settings.account} for {session}"})
    names = tradable(warehouse, session)
    restricted = set(names.filter("is_restricted")["symbol"])
    found = faults(batch, PortfolioLimits.of(settings), names["symbol"].to_list(), restricted)
    return dg.AssetCheckResult(passed=not found, metadata={"batch_id": str(batch.batch_id), "faults": "; ".join(found)})
