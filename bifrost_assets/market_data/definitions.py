"""The market data domain."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.market_data import assets, checks
from bifrost_assets.market_data.intraday import definitions as intraday
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.quality import assets as quality_assets
from bifrost_assets.market_data.quality import checks as quality_checks
from bifrost_core.settings import Settings, load_settings


def definitions_of(settings: Settings) -> dg.Definitions:
    """The domain; with a second provider, what it sends and how it compares as well."""
    common = dg.Definitions(
        assets=[assets.reference_data, assets.daily_bars],
        asset_checks=[
            *(checks.bars_meet_expectations, checks.no_session_is_missing),
            *(quality_checks.bars_are_plausible, quality_checks.actions_meet_expectations),
            *(quality_checks.instruments_meet_expectations, quality_checks.sessions_meet_expectations),
            quality_checks.members_meet_expectations,
        ],
    )
    if not settings.second_provider:
        return common
    second = provider_of(settings.model_copy(update={"provider": settings.second_provider}))
    compared = dg.Definitions(
        assets=[quality_assets.comparison_bars],
        asset_checks=[quality_checks.sources_agree],
        resources={"second_provider": second},
    )
    return dg.Definitions.merge(common, compared)


defs = dg.Definitions.merge(definitions_of(load_settings()), intraday.defs)
