"""A second provider's bars as an asset. It exists where `second_provider` is set."""

from typing import Any

import dagster as dg

from bifrost_assets.market_data.assets import BARS
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.quality.comparison import fetch_second
from bifrost_assets.market_data.retries import PROVIDER_RETRIES, retrying_only_transient
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.warehouse.warehouse import Warehouse

COMPARISON = dg.AssetKey(["raw", "comparison_bars"])


@dg.asset(
    key=COMPARISON,
    deps=[BARS],
    group_name="market_data",
    kinds={"python", "postgres"},
    owners=[Owner.DATA],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"dagster/table_name": "raw.comparison_bars"},
    retry_policy=PROVIDER_RETRIES,
)
def comparison_bars(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    second_provider: dg.ResourceParam[BarProvider],
) -> dg.MaterializeResult[Any]:
    """Daily bars of a second provider, one row per instrument, session, provider and vintage, to compare ours with."""
    window = window_of(context)
    with retrying_only_transient():
        compared = fetch_second(warehouse, second_provider, window.first, window.last)
    return dg.MaterializeResult(
        metadata={
            "provider": second_provider.name,
            "stored": compared.stored,
            "impossible_rows": compared.impossible,
            "failed_symbols": compared.failed,
        }
    )
