"""The code location: the domains, merged."""

from __future__ import annotations

import dagster as dg

from bifrost_assets import trading_tables
from bifrost_assets.automation import automation_of
from bifrost_assets.backtests.definitions import defs as backtests
from bifrost_assets.compliance.definitions import defs as compliance
from bifrost_assets.features.definitions import defs as features
from bifrost_assets.market_data.definitions import defs as market_data
from bifrost_assets.models.definitions import defs as models
from bifrost_assets.portfolio.definitions import defs as portfolio
from bifrost_assets.resources import resources_of
from bifrost_assets.strategies.definitions import defs as strategies
from bifrost_assets.warehouse_models.definitions import defs as warehouse_models
from bifrost_core.settings import load_settings

_settings = load_settings()
defs = dg.Definitions.merge(
    market_data,
    warehouse_models,
    features,
    models,
    strategies,
    portfolio,
    backtests,
    compliance,
    trading_tables.defs,
    automation_of(_settings),
    dg.Definitions(resources=resources_of(_settings), executor=dg.in_process_executor),
)
