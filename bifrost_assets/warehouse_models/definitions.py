"""The dbt models."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.warehouse_models.assets import dbt_models

defs = dg.Definitions(assets=[dbt_models])
