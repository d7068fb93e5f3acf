"""Minutes as assets: move data and report; the rules are in the modules beside this one."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from bifrost_assets.market_data.intraday.loading import load_minutes
from bifrost_assets.market_data.intraday.rollups import store_five_minute_bars
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.retries import PROVIDER_RETRIES, retrying_only_transient
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, Window, window_of
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.warehouse import Warehouse

GROUP = "intraday"
MINUTES = dg.AssetKey(["raw", "minute_bars"])
FIVE_MINUTES = dg.AssetKey(["features", "five_minute_bars"])
PRICES = ("open", "high", "low", "close", "volume")
COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("instrument_id", "integer"),
        dg.TableColumn("session", "date"),
        dg.TableColumn("start_at", "timestamptz", description="When the minute begins."),
        dg.TableColumn("ingested_at", "timestamptz", description="When this vintage was stored."),
        dg.TableColumn("available_at", "timestamptz", description="When a trader could have known it."),
        *(dg.TableColumn(name, "double precision") for name in PRICES),
        dg.TableColumn("provider", "text"),
        dg.TableColumn("payload_sha256", "text", description="What the provider sent, in raw.payloads."),
    ]
)


def window_of_minutes(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Window:
    """The run's sessions, without the history before the first partition: no provider keeps minutes so long."""
    window = window_of(context)
    return Window(max(window.first, date.fromisoformat(load_settings().first_partition)), window.last)


@dg.multi_asset(
    name="minute_bars",
    specs=[
        dg.AssetSpec(
            MINUTES,
            deps=[dg.AssetKey(["reference", "instruments"]), dg.AssetKey(["reference", "sessions"])],
            description="One row per instrument, minute of regular hours and vintage: unadjusted OHLCV.",
            group_name=GROUP,
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "raw.minute_bars", "dagster/column_schema": COLUMNS},
        )
    ],
    check_specs=[
        dg.AssetCheckSpec("every_symbol_has_minutes", asset=MINUTES, description="The provider had every symbol."),
        dg.AssetCheckSpec("no_minute_quarantined", asset=MINUTES, description="No minute broke a rule."),
    ],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    retry_policy=PROVIDER_RETRIES,
)
def minute_bars(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], provider: dg.ResourceParam[BarProvider]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Fetch the window month by month; store what is new."""
    window = window_of_minutes(context)
    with retrying_only_transient():
        loaded = load_minutes(warehouse, provider, window.first, window.last, context.run_id, context.log.info)
    appended = loaded.appended
    yield dg.MaterializeResult(
        asset_key=MINUTES,
        metadata={
            "dagster/partition_row_count": appended.inserted + appended.revised + appended.unchanged,
            "inserted": appended.inserted,
            "revised": appended.revised,
            "unchanged": appended.unchanged,
            "quarantined": loaded.quarantined.total(),
            "new_payloads": loaded.payloads,
            "provider": provider.name,
        },
    )
    yield _warning("every_symbol_has_minutes", not loaded.failed, {"failed_symbols": dict(loaded.failed)})
    yield _warning("no_minute_quarantined", not loaded.quarantined, {"rows_by_reason": dict(loaded.quarantined)})


def _warning(name: str, passed: bool, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=MINUTES, check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=metadata
    )


@dg.asset(
    key=FIVE_MINUTES,
    deps=[MINUTES],
    group_name=GROUP,
    kinds={"postgres"},
    owners=[Owner.DATA],
    metadata={"dagster/table_name": "features.five_minute_bars"},
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def five_minute_bars(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[None]:
    """The latest minutes in buckets of five from the session's open; as-of reads use raw.rolled_up_minutes_as_of."""
    window = window_of_minutes(context)
    rows = store_five_minute_bars(warehouse, window.first, window.last, context.log.info)
    return dg.MaterializeResult(metadata={"dagster/partition_row_count": rows})
