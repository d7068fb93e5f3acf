"""The models domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.models import assets, checks

defs = dg.Definitions(
    assets=[assets.return_model, assets.model_predictions],
    asset_checks=[checks.only_past_models, checks.reproduced_by_the_registry],
)
