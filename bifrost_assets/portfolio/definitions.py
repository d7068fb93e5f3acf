"""The portfolio domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.portfolio import assets, checks

defs = dg.Definitions(assets=[assets.targets], asset_checks=[checks.batch_is_whole_and_within_limits])
