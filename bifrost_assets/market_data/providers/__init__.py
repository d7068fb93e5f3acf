"""Where daily bars come from: one file per provider, found by its name."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec

from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_core.errors import SettingsError
from bifrost_core.settings import Settings


def provider_of(settings: Settings) -> BarProvider:
    """The provider that `BIFROST_PROVIDER` names: PROVIDER of the module of that name in this folder."""
    module = f"{__name__}.{settings.provider}"
    factory = getattr(import_module(module), "PROVIDER", None) if find_spec(module) else None
    if factory is None:
        raise SettingsError(
            f"there is no provider {settings.provider!r}: this folder has {', '.join(_names())}",
            "Correct BIFROST_PROVIDER, or write the file as docs/adding-a-data-source.md shows",
        )
    provider: BarProvider = factory(settings)
    return provider


def _names() -> list[str]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [name for name in names if hasattr(import_module(f"{__name__}.{name}"), "PROVIDER")]
