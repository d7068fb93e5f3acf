"""The real core and shell under seeded faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from execution_daemon.simulation import campaign
from execution_daemon.simulation.scenario import Kind, Poison, Tamper, draw
from execution_daemon.simulation.world import simulate

SEEDS = 1000
REGRESSIONS = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
GARBAGE = (
    "import gc\nfrom execution_daemon.simulation.world import simulate\nsimulate(0)\ngc.collect()\n"
    "for seed in range(1, 6):\n    simulate(seed)\nprint(gc.collect())"
)
DIGESTS = "from execution_daemon.simulation.world import simulate\nprint(*(simulate(s).digest for s in {seeds}))"


@pytest.fixture(scope="module")
def summary() -> campaign.Summary:
    """A thousand seeds, over two processes."""
    return campaign.run(range(SEEDS), 2)


@pytest.mark.timeout(600)
def test_no_invariant_breaks_in_a_thousand_seeds(summary):
    """An order lost, doubled or beyond a limit: the line says what, and which command shows it."""
    assert not summary.failed, "\n".join(campaign.line_of(outcome) for outcome in summary.failed[:20])
    assert summary.seeds == SEEDS


@pytest.mark.timeout(600)
def test_the_seeds_reach_what_they_are_meant_to(summary):
    """A regime in which nothing happens passes for ever."""
    happened = {name for name, count in summary.coverage.items() if count >= 5}
    assert {f"batch {poison}" for poison in Poison} <= happened
    assert {f"tamper {kind}" for kind in Tamper} <= happened
    events = ("new", "fill", "partial_fill", "no_answer", "absent", "expired", "canceled")
    assert {f"event {kind}" for kind in events} <= happened
    breaks = ("cash", "position", "order_foreign", "fill_differs")
    assert {f"break {kind}" for kind in breaks} <= happened
    simple = {Kind.CRASH, Kind.MACHINE_LOST, Kind.STOP, Kind.CUT, Kind.LOST_COMMIT, Kind.OUTAGE, Kind.CLOCK_JUMP}
    assert simple <= happened
    assert summary.orders > SEEDS
    assert summary.restarts > SEEDS


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_what_was_caught_once_stays_away(seed):
    """A seed that found a defect is the cheapest test of its mending."""
    outcome = simulate(seed)
    assert outcome.violation is None, campaign.line_of(outcome)


def digests(hash_seed: str, seeds: tuple[int, ...]) -> list[str]:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", DIGESTS.format(seeds=seeds)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


def test_a_seed_replays_exactly_in_every_process():
    """A failure that cannot be seen again cannot be mended: no hash, clock or address may leak in."""
    seeds = (5, 11, 23, 47)
    first, again = digests("1", seeds), digests("2", tuple(reversed(seeds)))
    assert first == list(reversed(again))
    assert len(set(first)) == len(seeds)


def test_the_scenario_of_a_seed_is_fixed():
    """The seed is the whole input."""
    assert draw(9) == draw(9) != draw(10)


def test_a_seed_leaves_nothing_behind():
    """A hundred thousand of them would need a hundred gigabytes."""
    done = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000
