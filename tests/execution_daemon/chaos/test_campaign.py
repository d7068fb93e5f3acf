"""A handful of the campaign's scenarios with real processes; `make chaos` runs them all, and for longer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks.chaos.campaign import GENERATED, run_one
from benchmarks.chaos.report import BEGIN, DOCUMENT, END, markdown, report_of, write, written
from benchmarks.chaos.scenarios import SCENARIOS
from benchmarks.chaos.servers import Server, running_server
from execution_daemon.shell.failpoints import FailPoint

SHORT = (
    "killed_at_intent_committed",
    "leader_frozen",
    "postgres_killed",
    "backends_terminated",
    "network_drop_answer",
    "killed_mid_batch",
    "everything_at_once",
)


@pytest.fixture(scope="module")
def ground() -> Iterator[Server]:
    with running_server(GENERATED) as server:
        yield server


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SHORT)
def test_the_invariants_hold(ground, name):
    """An order lost, doubled or beyond a limit when a process dies, freezes or cannot be heard."""
    outcome = run_one(SCENARIOS[name], 1, ground)
    # how fast it recovers is judged where nothing else runs: by `make chaos` and `make bench`
    assert [found for found in outcome.violations if not found.startswith("it_recovers_in_time")] == []
    assert outcome.fills > 0


def test_every_failpoint_has_its_scenario():
    """A failpoint that no campaign kills at proves nothing."""
    assert {f"killed_at_{point}" for point in FailPoint} <= SCENARIOS.keys()


def test_the_document_has_a_place_for_the_campaign():
    """`--table` writes between two marks: without them it would replace the page."""
    text = DOCUMENT.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    assert written(text, "new") == f"{head}{BEGIN}\n\nnew\n\n{END}{tail}"


def test_a_regime_that_was_not_run_is_not_shown_as_clean():
    """Zero missed bugs out of none planted reads like a proof."""
    assert "| planted bugs, caught | not run, not run |" in markdown(report_of([], None, None))


def test_the_report_keeps_the_last_of_what_was_not_run(tmp_path):
    """One regime run again would wipe out hours of the others."""
    to = tmp_path / "chaos.json"
    write(report_of([], {"seeds": 7, "violations": 0, "failing": []}, None), to)
    write(report_of([], None, {"planted": 2, "caught": 1, "missed": ["a"], "by": {}}), to)
    shown = markdown(json.loads(to.read_text()))
    assert "| simulated seeds | 7 |" in shown
    assert "| planted bugs, caught | 2, 1 |" in shown
    assert "| runs of real processes | not run |" in shown
