"""The revision radar."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.revisions import assets

defs = dg.Definitions(assets=[assets.revision_effects])
