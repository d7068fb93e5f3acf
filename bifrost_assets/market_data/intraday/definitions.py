"""Minutes: assets, checks, job and schedule."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.market_data.intraday import assets, automation, checks
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import MinuteProvider
from bifrost_core.settings import load_settings

_settings = load_settings()
defs = dg.Definitions(
    assets=[assets.minute_bars, assets.five_minute_bars],
    asset_checks=[checks.minutes_agree_with_daily_bars, checks.minutes_are_complete],
    jobs=[automation.intraday],
    schedules=[
        automation.minutes_after_each_close(_settings, running=isinstance(provider_of(_settings), MinuteProvider))
    ],
)
