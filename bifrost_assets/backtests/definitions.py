"""The backtests domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.backtests import assets, checks

defs = dg.Definitions(assets=[assets.backtests], asset_checks=[checks.curves_are_sound])
