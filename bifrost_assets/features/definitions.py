"""The features domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.features import assets, checks

defs = dg.Definitions(
    assets=[assets.daily],
    asset_checks=[
        checks.sees_only_the_past,
        checks.complete_and_known_at_cutoff,
        checks.follows_from_what_was_known,
    ],
)
