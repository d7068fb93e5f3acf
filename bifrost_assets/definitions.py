"""The code location: the domains, merged."""

from __future__ import annotations

import importlib
import importlib.util

import dagster as dg

from bifrost_assets import trading_tables
from bifrost_assets.automation import automation_of
from bifrost_assets.resources import resources_of
from bifrost_core.settings import load_settings

DOMAINS = (
    "market_data",
    "warehouse_models",
    "features",
    "models",
    "strategies",
    "portfolio",
    "backtests",
    "compliance",
)


def _domains() -> list[dg.Definitions]:
    names = [f"bifrost_assets.{domain}.definitions" for domain in DOMAINS]
    return [importlib.import_module(name).defs for name in names if importlib.util.find_spec(name)]


_settings = load_settings()
defs = dg.Definitions.merge(
    *_domains(),
    trading_tables.defs,
    automation_of(_settings),
    dg.Definitions(resources=resources_of(_settings), executor=dg.in_process_executor),
)
