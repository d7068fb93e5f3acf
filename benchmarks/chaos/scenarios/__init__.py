"""Every way in which the campaign breaks things. A module here adds its scenarios by being imported."""

from __future__ import annotations

from benchmarks.chaos.scenarios import (
    bookings,
    database,
    failpoints,
    faults,
    leaders,
    limits,
    network,
    people,
    timing,
)
from benchmarks.chaos.scenarios.scenario import SCENARIOS, Scenario

__all__ = [
    "SCENARIOS",
    "Scenario",
    "bookings",
    "database",
    "failpoints",
    "faults",
    "leaders",
    "limits",
    "network",
    "people",
    "timing",
]
