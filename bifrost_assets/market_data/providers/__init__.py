"""Where daily bars come from: one file per provider."""

from __future__ import annotations

from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_core.settings import Settings


def provider_of(settings: Settings) -> BarProvider:
    """The provider that `BIFROST_PROVIDER` names."""
    if settings.provider == "yahoo":
        from bifrost_assets.market_data.providers.yahoo import YahooProvider

        return YahooProvider(settings)
    from bifrost_assets.market_data.providers.sample import SampleProvider

    return SampleProvider(settings)
