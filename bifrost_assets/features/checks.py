"""What features/daily promises."""

import dagster as dg

from bifrost_assets.causality import look_ahead, sampled
from bifrost_assets.features.daily import LOOKBACK_SESSIONS
from bifrost_assets.features.history import bars_up_to, features_of
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.warehouse import Warehouse

DAILY = dg.AssetKey(["features", "daily"])
CUTOFFS = 5
CHECKED_SESSIONS = (
    63  # a single session is checked on the quarter that ends with it: cutting off nothing proves nothing
)

KNOWN_AND_COMPLETE = """
    select count(*) filter (where s.session is null) as outside_the_calendar,
           count(*) filter (
               where f.session is null and b.available_at <= s.close_at + make_interval(mins => $4::int)
           ) as missing,
           count(*) filter (where f.available_at > s.close_at + make_interval(mins => $4::int)) as known_too_late,
           count(*) as bars
    from marts.fct_daily_bars b
    left join features.daily f using (instrument_id, session)
    left join reference.sessions s on s.session = b.session and s.exchange_mic = $3
    where b.asset_class <> 'index' and b.session between $1 and $2
"""


@dg.asset_check(asset=DAILY, partitions_def=SESSIONS, blocking=True)
def sees_only_the_past(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Features computed on history that ends at a session equal those computed with everything after it."""
    window, settings = window_of(context), warehouse.settings
    sessions = [s.session for s in all_sessions(settings.exchange) if s.session <= window.last]
    first = min(window.first, sessions[-CHECKED_SESSIONS:][0])
    bars = bars_up_to(warehouse, first, window.last)
    cutoffs = sampled([day for day in bars["session"].unique() if day >= first], CUTOFFS)
    found = look_ahead(lambda history: features_of(history, settings.benchmark), bars, cutoffs)
    return dg.AssetCheckResult(
        passed=found.is_empty() and bool(cutoffs),
        metadata={
            "cutoffs": ", ".join(map(str, cutoffs)),
            "differences": found.height,
            "lookback_sessions": LOOKBACK_SESSIONS,
            **({"first_difference": str(found.row(0, named=True))} if found.height else {}),
        },
    )


@dg.asset_check(asset=DAILY, partitions_def=SESSIONS, blocking=True)
def complete_and_known_at_cutoff(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Every bar has its row of features, and nothing behind a row was known later than the session's cutoff."""
    window, settings = window_of(context), warehouse.settings
    counts = warehouse.read(
        KNOWN_AND_COMPLETE, window.first, window.last, settings.exchange, settings.availability_lag_minutes
    ).row(0, named=True)
    broken = counts["outside_the_calendar"] + counts["missing"] + counts["known_too_late"]
    return dg.AssetCheckResult(passed=broken == 0, metadata=counts)
