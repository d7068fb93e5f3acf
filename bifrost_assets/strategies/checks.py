"""What signals promise."""

import dagster as dg
import polars as pl

from bifrost_assets.causality import look_ahead, sampled
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.strategies.registry import strategies
from bifrost_assets.strategies.signals import known
from bifrost_assets.strategies.signals import signals as signals_from
from bifrost_core.warehouse.warehouse import Warehouse

SIGNALS = dg.AssetKey(["signals", "signals"])
CUTOFFS = 5
CHECKED_SESSIONS = 63


@dg.asset_check(asset=SIGNALS, partitions_def=SESSIONS, blocking=True)
def sees_only_the_past(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Signals computed on history that ends at a session equal those computed with everything after it."""
    window, chosen = window_of(context), strategies()
    lookback = max(s.lookback for s in chosen.values())
    frame = known(warehouse, window.first, window.last, lookback + CHECKED_SESSIONS)
    cutoffs = sampled(list(frame["session"].unique().sort()[lookback:]), CUTOFFS)
    found = look_ahead(
        lambda history: signals_from(history, chosen), frame, cutoffs, keys=("strategy", "instrument_id")
    )
    return dg.AssetCheckResult(
        passed=found.is_empty(),
        metadata={"cutoffs": ", ".join(map(str, cutoffs)), "differences": found.height, **_first(found)},
    )


def _first(found: pl.DataFrame) -> dict[str, str]:
    return {"first_difference": str(found.row(0, named=True))} if found.height else {}
