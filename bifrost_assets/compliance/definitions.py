"""The compliance domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.compliance import assets, checks

defs = dg.Definitions(assets=[assets.order_audit_trail, assets.limit_decisions], asset_checks=checks.ALL)
