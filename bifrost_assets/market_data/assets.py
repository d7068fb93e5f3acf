"""Market data as assets: move data and report; the rules are in the modules beside this one."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from bifrost_assets.market_data import reference
from bifrost_assets.market_data.loading import Progress, load_bars
from bifrost_assets.market_data.portion import Loaded
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.retries import PROVIDER_RETRIES, retrying_only_transient
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.warehouse.warehouse import Warehouse

INSTRUMENTS = dg.AssetKey(["reference", "instruments"])
SYMBOLS = dg.AssetKey(["reference", "symbols"])
CALENDAR = dg.AssetKey(["reference", "sessions"])
MEMBERS = dg.AssetKey(["reference", "universe_members"])
BARS = dg.AssetKey(["raw", "daily_bars"])
ACTIONS = dg.AssetKey(["raw", "corporate_actions"])

COUNTS = """
    select (select count(*) from reference.instruments) as instruments,
        (select count(*) from reference.symbols) as symbols,
        (select count(*) from reference.sessions) as sessions
"""
BAR_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("instrument_id", "integer"),
        dg.TableColumn("session", "date"),
        dg.TableColumn("ingested_at", "timestamptz", description="When this vintage was stored."),
        dg.TableColumn("available_at", "timestamptz", description="When a trader could have known it."),
        *(dg.TableColumn(name, "double precision") for name in ("open", "high", "low", "close", "volume")),
        dg.TableColumn("vendor_adj_close", "double precision"),
        dg.TableColumn("provider", "text"),
        dg.TableColumn("payload_sha256", "text", description="What the provider sent, in raw.payloads."),
    ]
)


@dg.multi_asset(
    name="reference_data",
    specs=[
        dg.AssetSpec(
            INSTRUMENTS,
            description="One row per instrument of the universe, and the benchmark index.",
            group_name="market_data",
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "reference.instruments"},
        ),
        dg.AssetSpec(
            SYMBOLS,
            description="What each symbol meant when: one row per symbol, instrument and span of sessions.",
            group_name="market_data",
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "reference.symbols"},
        ),
        dg.AssetSpec(
            CALENDAR,
            description="One row per trading session of the exchange, past and the coming year.",
            group_name="market_data",
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "reference.sessions"},
        ),
    ],
    retry_policy=PROVIDER_RETRIES,
)
def reference_data(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], provider: dg.ResourceParam[BarProvider]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Instruments and sessions; nothing is written where nothing changed."""
    with retrying_only_transient():
        registered = reference.register_instruments(warehouse, provider)
        changed = reference.store_sessions(warehouse)
    for failure in registered.failed:
        context.log.warning(failure.problem)
    counts = warehouse.read(COUNTS).row(0, named=True)
    failed = {one.symbol: one.problem for one in registered.failed}
    yield dg.MaterializeResult(
        asset_key=INSTRUMENTS,
        metadata={
            "dagster/row_count": counts["instruments"],
            "added": list(registered.added),
            "failed_symbols": failed,
        },
    )
    yield dg.MaterializeResult(asset_key=SYMBOLS, metadata={"dagster/row_count": counts["symbols"]})
    yield dg.MaterializeResult(
        asset_key=CALENDAR, metadata={"dagster/row_count": counts["sessions"], "changed": changed}
    )


@dg.multi_asset(
    name="daily_bars",
    specs=[
        dg.AssetSpec(
            BARS,
            deps=[INSTRUMENTS, CALENDAR],
            description="One row per instrument, session and vintage: unadjusted OHLCV as the provider published it.",
            group_name="market_data",
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "raw.daily_bars", "dagster/column_schema": BAR_COLUMNS},
        ),
        dg.AssetSpec(
            ACTIONS,
            deps=[INSTRUMENTS, CALENDAR],
            description="Splits and cash dividends, read off the vendor's adjusted closes; one per action and vintage.",
            group_name="market_data",
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "raw.corporate_actions"},
        ),
        dg.AssetSpec(
            MEMBERS,
            deps=[INSTRUMENTS, CALENDAR],
            description="Which instruments the universe holds, each from its first bar on.",
            group_name="market_data",
            kinds={"python", "postgres"},
            owners=[Owner.DATA],
            metadata={"dagster/table_name": "reference.universe_members"},
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "every_symbol_loaded",
            asset=BARS,
            description="Every listed symbol has a bar for the window's last session.",
        ),
        dg.AssetCheckSpec("no_row_quarantined", asset=BARS, description="No bar broke a rule."),
    ],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    retry_policy=PROVIDER_RETRIES,
)
def daily_bars(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], provider: dg.ResourceParam[BarProvider]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Fetch the window once; store what is new of bars, corporate actions and universe membership."""
    window = window_of(context)
    with retrying_only_transient():
        loaded = load_bars(
            warehouse, provider, window.first, window.last, context.run_id, progress=_progress_of(context)
        )
    for problem in loaded.failed.values():
        context.log.warning(problem)
    yield dg.MaterializeResult(asset_key=BARS, metadata=_bars_metadata(loaded, provider))
    yield dg.MaterializeResult(asset_key=ACTIONS, metadata={"new_rows": loaded.actions})
    yield dg.MaterializeResult(asset_key=MEMBERS, metadata={"changed_rows": loaded.members})
    yield dg.AssetCheckResult(
        asset_key=BARS,
        check_name="every_symbol_loaded",
        passed=not loaded.failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"failed_symbols": loaded.failed},
    )
    yield dg.AssetCheckResult(
        asset_key=BARS,
        check_name="no_row_quarantined",
        passed=not loaded.quarantined,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rows_by_reason": dict(loaded.quarantined)},
    )


def _progress_of(context: dg.AssetExecutionContext) -> Progress:
    """Tells how far a load has come: in the log, and beside the asset where it takes more than one step."""

    def progress(done: int, symbols: int) -> None:
        percent = 100 * done // symbols
        context.log.info(f"{done} of {symbols} symbols loaded ({percent} %)")
        if done < symbols:
            context.log_event(dg.AssetObservation(BARS, metadata={"symbols_loaded": done, "progress_percent": percent}))

    return progress


def _bars_metadata(loaded: Loaded, provider: BarProvider) -> dict[str, Any]:
    appended = loaded.appended
    return {
        "dagster/partition_row_count": appended.inserted + appended.revised + appended.unchanged,
        "inserted": appended.inserted,
        "revised": appended.revised,
        "unchanged": appended.unchanged,
        "late": loaded.late,
        "resumed_symbols": loaded.resumed,
        "dropped_before": loaded.dropped,
        "progress_percent": 100,
        "quarantined": loaded.quarantined.total(),
        "failed_symbols": loaded.failed,
        "new_payloads": loaded.payloads,
        "provider": provider.name,
    }
