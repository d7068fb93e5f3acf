"""Where every invariant is kept, and the words that several of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from benchmarks.chaos.evidence import Evidence

ZERO = Decimal(0)
ENDED = {"filled", "canceled", "rejected", "expired"}

Invariant = Callable[[Evidence], Iterator[str]]
INVARIANTS: dict[str, Invariant] = {}


def invariant(check: Invariant) -> Invariant:
    """Have `check` asked of every scenario."""
    INVARIANTS[check.__name__] = check
    return check


def violations(evidence: Evidence) -> list[str]:
    """Every violation, each led by the invariant's name."""
    return [f"{name}: {what}" for name, check in INVARIANTS.items() for what in check(evidence)]


def signed(side: str, qty: Decimal) -> Decimal:
    """Shares, negative where they are sold."""
    return qty if side == "buy" else -qty
