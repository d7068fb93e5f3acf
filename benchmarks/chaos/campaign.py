"""Runs scenarios one after another, each with its seed, and gathers what they found."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import psycopg

from benchmarks.chaos.ballast import SMALL, small_disk
from benchmarks.chaos.evidence import Evidence, tables_of
from benchmarks.chaos.invariants import violations
from benchmarks.chaos.scenarios import SCENARIOS, Scenario
from benchmarks.chaos.servers import Server, running_server
from benchmarks.chaos.shop import Recovery, Shop, Stuck, opened
from bifrost_core.errors import BifrostError

GENERATED = 25  # symbols beside the five real ones: an order or two for each failpoint's every count


@dataclass(frozen=True)
class Outcome:
    """What one run of one scenario did and found; `violations` empty is good."""

    scenario: str
    seed: int
    seconds: float
    violations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kills: int = 0
    harmed_requests: int = 0
    orders: int = 0
    fills: int = 0
    resends: int = 0
    recoveries: tuple[Recovery, ...] = field(default=())


def run_all(names: Sequence[str], seed: int, minutes: float) -> Iterator[Outcome]:
    """Every named scenario once, then again with other seeds until the minutes have passed."""
    ends = time.monotonic() + minutes * 60
    with running_server(GENERATED) as server:
        while True:
            for name in names:
                yield run_one(SCENARIOS[name], seed, server)
                if minutes and time.monotonic() > ends:
                    return
            seed += 1
            if time.monotonic() > ends:
                return


def run_one(scenario: Scenario, seed: int, shared: Server) -> Outcome:
    """One scenario on a shop of its own, settled and checked. Its folder is kept if it found something."""
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-{seed}-"))
    began = time.monotonic()
    with (
        _server_for(scenario, shared) as server,
        opened(server, Random(f"{scenario.name} {seed}"), folder, **scenario.settings) as shop,
    ):
        found: list[str] = []
        try:
            scenario.act(shop)
            shop.settle()
        except Stuck as stuck:
            found.append(f"everything_clears: {stuck}")
        except (psycopg.Error, httpx.HTTPError, BifrostError) as error:
            found.append(f"the scenario could not go on: {type(error).__name__} {error}")
        shop.close()
        evidence = _evidence(shop)
        found += violations(evidence)
    outcome = _outcome(scenario.name, seed, time.monotonic() - began, shop, evidence, found)
    if not found:
        shutil.rmtree(folder)
    return outcome


@contextmanager
def _server_for(scenario: Scenario, shared: Server) -> Iterator[Server]:
    if not scenario.has_own_server:
        yield shared
        return
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk())
        yield stack.enter_context(running_server(GENERATED, disk, SMALL))


def _evidence(shop: Shop) -> Evidence:
    shop.server.start()
    if not shop.exchange.is_running:
        shop.exchange.start()
    timely = [one.seconds for one in shop.recoveries if not one.is_in_fault]
    return Evidence(tables_of(shop.settings), shop.exchange.admin("GET", "ledger"), tuple(shop.proxy.sent), timely)


def _outcome(name: str, seed: int, seconds: float, shop: Shop, evidence: Evidence, found: list[str]) -> Outcome:
    ids = [sent.client_order_id for sent in evidence.sent]
    kept = (f"kept in {shop.folder}",) if found else ()
    return Outcome(
        scenario=name,
        seed=seed,
        seconds=round(seconds, 2),
        violations=tuple(found),
        notes=(*shop.notes, *kept),
        kills=shop.kills + shop.exchange.kills + sum(daemon.kills for daemon in shop.daemons),
        harmed_requests=shop.proxy.harmed,
        orders=len(evidence["orders"]),
        fills=len(evidence["fills"]),
        resends=len(ids) - len(set(ids)),
        recoveries=tuple(shop.recoveries),
    )
