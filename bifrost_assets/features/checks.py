"""What features/daily promises."""

from datetime import date

import dagster as dg
import polars as pl

from bifrost_assets.causality import differences, look_ahead, sampled
from bifrost_assets.features.daily import FEATURES, LOOKBACK_SESSIONS
from bifrost_assets.features.history import bars_up_to, features_of
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.warehouse import Warehouse

DAILY = dg.AssetKey(["features", "daily"])
CUTOFFS = 5
CHECKED_SESSIONS = (
    63  # a single session is checked on the quarter that ends with it: cutting off nothing proves nothing
)

STORED = "select * from features.daily where session between $1 and $2"
# Bars as each session's own cutoff knew them, beside the rows that were made from them.
KNOWN_AND_COMPLETE = """
    with known as (
        select b.instrument_id, b.session, s.close_at
        from raw.daily_bars b
        join reference.instruments i using (instrument_id)
        join reference.sessions s on s.session = b.session and s.exchange_mic = $3
        where i.asset_class <> 'index' and b.session between $1 and $2
            and b.available_at <= s.close_at + make_interval(mins => $4::int)
            and not exists (
                select from raw.daily_bars_superseded o
                where o.instrument_id = b.instrument_id and o.session = b.session and o.ingested_at = b.ingested_at
                    and o.superseded_at <= s.close_at + make_interval(mins => $4::int)
            )
    )
    select count(*) filter (where k.session is null) as without_a_bar,
           count(*) filter (where f.session is null) as missing,
           count(*) filter (where f.available_at > k.close_at + make_interval(mins => $4::int)) as known_too_late,
           count(k.session) as bars
    from known k
    full join (select * from features.daily where session between $1 and $2) f using (instrument_id, session)
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
    """Every bar known by its cutoff has its row of features, no other has, and nothing behind a row was known later."""
    window, settings = window_of(context), warehouse.settings
    counts = warehouse.read(
        KNOWN_AND_COMPLETE, window.first, window.last, settings.exchange, settings.availability_lag_minutes
    ).row(0, named=True)
    broken = counts["without_a_bar"] + counts["missing"] + counts["known_too_late"]
    return dg.AssetCheckResult(passed=broken == 0, metadata=counts)


@dg.asset_check(asset=DAILY, partitions_def=SESSIONS, blocking=True)
def follows_from_what_was_known(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Stored rows equal those computed from a reading of the raw tables as they were known at the session's cutoff."""
    window = window_of(context)
    stored = warehouse.read(STORED, window.first, window.last)
    days = sampled(stored["session"].to_list(), CUTOFFS)
    found = pl.concat([_other_than_known(warehouse, stored, day) for day in days]) if days else pl.DataFrame()
    return dg.AssetCheckResult(
        passed=bool(days) and found.is_empty(),
        metadata={
            "sessions": ", ".join(map(str, days)),
            "differences": found.height,
            **({"first_difference": str(found.row(0, named=True))} if found.height else {}),
        },
    )


def _other_than_known(warehouse: Warehouse, stored: pl.DataFrame, day: date) -> pl.DataFrame:
    known = features_of(bars_up_to(warehouse, day, day), warehouse.settings.benchmark)
    columns = ["instrument_id", "session", *FEATURES]
    return differences(stored.select(columns), known.select(columns), day)
