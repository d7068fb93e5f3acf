"""The code location: the domains, merged."""

from __future__ import annotations

import dagster as dg

from bifrost_assets import trading_tables
from bifrost_assets.automation import automation_of
from bifrost_assets.backtests import definitions as backtests
from bifrost_assets.compliance import definitions as compliance
from bifrost_assets.features import definitions as features
from bifrost_assets.freshness import freshness, with_policies
from bifrost_assets.market_data import definitions as market_data
from bifrost_assets.models import definitions as models
from bifrost_assets.portfolio import definitions as portfolio
from bifrost_assets.resources import resources_of
from bifrost_assets.revisions import definitions as revisions
from bifrost_assets.strategies import definitions as strategies
from bifrost_assets.warehouse_models import definitions as warehouse_models
from bifrost_core.settings import load_settings

_settings = load_settings()
defs = with_policies(
    dg.Definitions.merge(
        market_data.defs,
        warehouse_models.defs,
        features.defs,
        models.defs,
        strategies.defs,
        portfolio.defs,
        backtests.defs,
        compliance.defs,
        revisions.defs,
        trading_tables.defs,
        automation_of(_settings),
        dg.Definitions(sensors=[freshness]),
        dg.Definitions(resources=resources_of(_settings), executor=dg.in_process_executor),
    ),
    _settings,
)
