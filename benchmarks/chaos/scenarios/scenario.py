"""A scenario: a name, what it does, and the function that does it to a shop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.shop import Shop

Act = Callable[[Shop], None]
SCENARIOS: dict[str, Scenario] = {}


@dataclass(frozen=True)
class Scenario:
    """`act` trades and breaks things; the campaign settles and checks afterwards. `settings` change the shop's."""

    name: str
    about: str
    act: Act
    settings: Mapping[str, Any] = field(default_factory=dict)
    has_own_server: bool = False


def scenario(about: str, name: str = "", has_own_server: bool = False, **settings: Any) -> Callable[[Act], Act]:
    """Add the function to the campaign under its own name, or another."""

    def add(act: Act) -> Act:
        named = name or act.__name__
        SCENARIOS[named] = Scenario(named, about, act, settings, has_own_server)
        return act

    return add
