"""The checker is checked: each invariant finds what was tampered with, and nothing where nothing was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal

import pytest

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.invariants import INVARIANTS, KILL_SECONDS, violations
from benchmarks.chaos.proxy import Sent
from tests.execution_daemon.chaos.evidence_of import decision, event, healthy, later, order, switched, told

Tamper = Callable[[Evidence], object]


def kill(e: Evidence, at: float, until: float | None = None) -> None:
    """Engage the account's switch at second `at`, and release it."""
    e["chain"].append(switched(len(e["chain"]) + 1, True, at))
    if until is not None:
        e["chain"].append(switched(len(e["chain"]) + 1, False, until))


TAMPERED: list[tuple[str, Tamper]] = [
    ("each_order_has_one_intent", lambda e: e["events"].append(event(12, "a", "intent", "pending_new"))),
    ("each_order_has_one_intent", lambda e: e["decisions"].append(decision(6, "z", "accepted", "ACCEPTED"))),
    ("each_order_has_one_intent", lambda e: e["parents"].clear()),
    ("each_order_has_one_intent", lambda e: e["events"].pop(0)),
    ("each_intent_has_at_most_one_broker_order", lambda e: e.ledger["orders"].append(e.ledger["orders"][0])),
    (
        "each_intent_has_at_most_one_broker_order",
        lambda e: e.ledger["orders"].append(told("alien", "FB", "buy", 1, "filled", 1)),
    ),
    ("each_intent_has_at_most_one_broker_order", lambda e: e.ledger["orders"][0].update(qty="11")),
    ("orders_end_as_the_broker_says", lambda e: e.ledger["orders"].pop(0)),
    ("orders_end_as_the_broker_says", lambda e: e["orders"][1].update(ord_status="canceled")),
    ("orders_end_as_the_broker_says", lambda e: e["orders"][0].update(cum_qty=Decimal(9))),
    ("nothing_is_sent_before_it_is_durable", lambda e: e["events"][0].update(committed_at=later(2.7))),
    ("nothing_is_sent_before_it_is_durable", lambda e: e["events"].pop(1)),
    ("nothing_is_sent_before_it_is_durable", lambda e: e["events"][7].update(committed_at=later(8.6))),
    ("fills_are_the_brokers", lambda e: e["fills"].pop()),
    ("fills_are_the_brokers", lambda e: e["fills"].pop(0)),
    ("fills_are_the_brokers", lambda e: e.ledger["fills"][1].update(is_live=False)),
    ("fills_are_the_brokers", lambda e: e["fills"].append(e["fills"][0])),
    ("fills_are_the_brokers", lambda e: e["fills"][0].update(last_px=Decimal("200.01"))),
    ("fills_are_the_brokers", lambda e: e.ledger["fills"][0].update(commission="1.01")),
    ("positions_are_the_sum_of_fills_and_the_brokers", lambda e: e["positions"][0].update(quantity=Decimal(11))),
    ("positions_are_the_sum_of_fills_and_the_brokers", lambda e: e.ledger["positions"].pop()),
    ("positions_are_the_sum_of_fills_and_the_brokers", lambda e: e["adjustments"].pop()),
    ("adjustments_are_the_brokers", lambda e: e["adjustments"].pop()),
    ("adjustments_are_the_brokers", lambda e: e["adjustments"].append(e["adjustments"][0])),
    ("adjustments_are_the_brokers", lambda e: e.ledger["activities"][0].update(net_amount="3.71")),
    ("cash_is_right_to_the_cent", lambda e: e["adjustments"].pop(0)),
    ("cash_is_right_to_the_cent", lambda e: e["cash"][0].update(balance=Decimal("8540.96"))),
    ("cash_is_right_to_the_cent", lambda e: e.ledger.update(cash="8540.94")),  # type: ignore[attr-defined]
    ("nothing_new_is_sent_after_a_kill", lambda e: kill(e, 2.6 - KILL_SECONDS - 0.001)),
    ("nothing_new_is_sent_after_a_kill", lambda e: kill(e, 2.0, 2.55)),
    ("one_leader_at_a_time", lambda e: e["events"][3].update(epoch=2)),
    ("one_leader_at_a_time", lambda e: e["decisions"][0].update(epoch=2)),
    ("exposure_stays_within_its_limits", lambda e: e["limits"][0].update(value=Decimal(1_999))),
    ("exposure_stays_within_its_limits", lambda e: e["limits"][1].update(value=Decimal(1_999))),
    ("exposure_stays_within_its_limits", lambda e: e["limits"][2].update(value=Decimal("0.15"))),
    ("exposure_stays_within_its_limits", lambda e: e["fills"][0].update(last_qty=Decimal(12))),
    ("children_conserve_their_parent", lambda e: e["parents"][0].update(order_qty=Decimal(9))),
    ("children_conserve_their_parent", lambda e: e["orders"][0].update(parent_id="no parent")),
    ("children_conserve_their_parent", lambda e: e.ledger["orders"][0].update(filled_qty="13")),
    ("held_orders_wait_for_the_other", lambda e: e["events"].insert(4, e["events"].pop(7))),
    ("held_orders_wait_for_the_other", lambda e: e["events"][7].update(order_qty=Decimal(6))),
    ("held_orders_wait_for_the_other", lambda e: e["events"][3].update(ord_status="pending_new")),
    ("held_orders_wait_for_the_other", lambda e: e["events"].pop(4)),
    ("the_audit_chain_is_whole", lambda e: e["broken_at"][0].update(seq=3)),
    ("the_audit_chain_is_whole", lambda e: e["chain"].pop(3)),
    ("the_audit_chain_covers_everything", lambda e: e["chain"].pop()),
    ("the_audit_chain_covers_everything", lambda e: e["decisions"].pop()),
    ("the_audit_chain_covers_everything", lambda e: e["adjustments"].pop()),
    ("the_audit_chain_covers_everything", lambda e: e["decisions"][2].update(reason_code="RESTRICTED")),
    ("everything_clears", lambda e: e["orders"][0].update(ord_status="unknown")),
    ("everything_clears", lambda e: e["parents"][0].update(status="working")),
    ("everything_clears", lambda e: e.ledger["orders"][1].update(status="new")),
    ("everything_clears", lambda e: e["blocked"].append({"symbol": "FB", "reason_code": "OVERFILL", "detail": ""})),
    ("everything_clears", lambda e: e["cash"][0].update(reserved=Decimal(1))),
    ("everything_clears", lambda e: e["batches"][0].update(status="accepted")),
    ("everything_clears", lambda e: e["reconciliations"][0].update(is_clean=False)),
]


def test_a_healthy_day_violates_nothing():
    """A checker that always complains is not read."""
    assert violations(healthy()) == []


@pytest.mark.parametrize(("name", "tamper"), TAMPERED)
def test_what_was_tampered_with_is_found(name, tamper):
    """A checker that finds nothing passes for ever."""
    evidence = deepcopy(healthy())
    tamper(evidence)
    assert name in {found.partition(":")[0] for found in violations(evidence)}


def test_a_slow_recovery_is_found():
    """The bound of five seconds is an invariant like the others."""
    late = replace(healthy(), recoveries=(1.0, 5.01))
    assert violations(late) == ["it_recovers_in_time: took 5.01 s"]


def test_every_invariant_is_tampered_with_here():
    """A new invariant without a test may be one that cannot fail."""
    assert {name for name, _ in TAMPERED} | {"it_recovers_in_time"} == INVARIANTS.keys()


def test_what_left_before_a_kill_or_after_its_release_is_no_violation():
    """A kill stops what is new; what was on its way is on its way."""
    for at, until in ((8.5, None), (8.5 - KILL_SECONDS, None), (2.6, 8.4), (1.0, 2.4)):
        evidence = deepcopy(healthy())
        kill(evidence, at, until)
        assert violations(evidence) == []


def test_an_order_proven_unsent_needs_no_broker():
    """What a kill or an outage stopped ends here, and the broker has never heard of it."""
    evidence = deepcopy(healthy())
    evidence["orders"].append(order("e", "IBM", "buy", 1, "200", "canceled", 0, "open"))
    evidence["events"].append(event(12, "e", "intent", "pending_new"))
    evidence["decisions"].append(decision(6, "e", "accepted", "ACCEPTED"))
    assert [v for v in violations(evidence) if "covers" not in v] == []


def test_a_send_of_nothing_we_intended_is_found():
    """An id that is in no table was made up on the way."""
    evidence = healthy()
    sent = replace(evidence, sent=(*evidence.sent, Sent(later(9).timestamp(), "ghost", None)))
    assert [v.partition(":")[0] for v in violations(sent)] == ["nothing_is_sent_before_it_is_durable"]
