"""The market data domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.market_data import assets, checks

defs = dg.Definitions(
    assets=[assets.reference_data, assets.daily_bars],
    asset_checks=[checks.bars_meet_expectations, checks.no_session_is_missing],
)
