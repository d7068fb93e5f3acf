"""What must hold after every scenario, as pure functions from the evidence to sentences about what is wrong.

Nothing of the daemon is used here: the sums are made again from the rows and from the exchange's JSON. A module adds
its invariants by being imported.
"""

from __future__ import annotations

from benchmarks.chaos.invariants import audit, exposure, holdings, orders, settled, stops, worked
from benchmarks.chaos.invariants.registry import INVARIANTS, violations
from benchmarks.chaos.invariants.stops import KILL_SECONDS

__all__ = [
    "INVARIANTS",
    "KILL_SECONDS",
    "audit",
    "exposure",
    "holdings",
    "orders",
    "settled",
    "stops",
    "violations",
    "worked",
]
