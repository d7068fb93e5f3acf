"""Every strategy by name: the modules of `library/` that have a STRATEGY."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import MappingProxyType

from bifrost_assets.strategies import library
from bifrost_assets.strategies.strategy import Strategy
from bifrost_core.errors import BifrostError


class StrategyError(BifrostError):
    """A strategy's file or its output is not what a strategy is."""


@cache
def strategies() -> MappingProxyType[str, Strategy]:
    """The strategies by name, in the order of their names; raises StrategyError naming a file that has none."""
    found: dict[str, Strategy] = {}
    for module in pkgutil.iter_modules(library.__path__):
        path = f"{library.__name__}.{module.name}"
        strategy = getattr(import_module(path), "STRATEGY", None)
        if not isinstance(strategy, Strategy):
            raise StrategyError(f"{path} has no STRATEGY", "See docs/adding-a-strategy.md, or move the file elsewhere")
        if strategy.name in found:
            raise StrategyError(f"two strategies are named {strategy.name!r}", f"Give the one in {path} another name")
        found[strategy.name] = strategy
    return MappingProxyType(dict(sorted(found.items())))
