"""The strategies domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.strategies import assets, checks

defs = dg.Definitions(assets=[assets.signals], asset_checks=[checks.sees_only_the_past])
