"""Many seeds over several processes: what failed, for what, and how to see it again."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from execution_daemon.simulation.world import Outcome, simulate

CHUNK = 25


@dataclass(slots=True)
class Summary:
    """What a campaign came to. `coverage` counts what happened, by kind, over all seeds."""

    seeds: int = 0
    orders: int = 0
    fills: int = 0
    restarts: int = 0
    virtual_seconds: float = 0.0
    wall_seconds: float = 0.0
    failed: list[Outcome] = field(default_factory=list)
    coverage: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one more seed."""
        self.seeds += 1
        self.orders += outcome.orders
        self.fills += outcome.fills
        self.restarts += outcome.restarts
        self.virtual_seconds += outcome.virtual_seconds
        self.coverage.update(outcome.coverage)
        if outcome.violation is not None:
            self.failed.append(outcome)

    def lines(self) -> Iterator[str]:
        """The summary for a person."""
        rate = self.seeds / self.wall_seconds if self.wall_seconds else 0.0
        yield (
            f"{self.seeds} seeds, {self.orders} orders, {self.fills} fills, {self.restarts} restarts, "
            f"{self.virtual_seconds / 3600:.1f} h of virtual time in {self.wall_seconds:.1f} s ({rate:.1f} seeds/s)"
        )
        yield f"{len(self.failed)} violations" if self.failed else "no violation"
        yield from (line_of(outcome) for outcome in self.failed)


def line_of(outcome: Outcome) -> str:
    """A failing seed: what did not hold, and the command that shows it again."""
    found = outcome.violation
    if found is None:
        return f"seed {outcome.seed}: nothing found"
    return (
        f"seed {outcome.seed}: {found.invariant}: {found.reason} (at {found.at:.3f} s)\n"
        f"    bifrost simulate --seed {outcome.seed} --trace"
    )


def run(seeds: Iterable[int], processes: int, told: Callable[[Outcome], None] | None = None) -> Summary:
    """Run all seeds; `told` hears each outcome in the order of the seeds."""
    summary, began = Summary(), time.monotonic()
    for outcome in _outcomes(seeds, processes):
        summary.add(outcome)
        if told is not None:
            told(outcome)
    summary.wall_seconds = time.monotonic() - began
    return summary


def _outcomes(seeds: Iterable[int], processes: int) -> Iterator[Outcome]:
    if processes <= 1:
        yield from map(simulate, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(simulate, seeds, CHUNK)
