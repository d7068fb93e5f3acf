"""What the audit chain must tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.invariants.registry import invariant


@invariant
def the_audit_chain_is_whole(e: Evidence) -> Iterator[str]:
    """Its own function finds no entry that was changed, taken out or put in; numbers follow one another."""
    broken = e["broken_at"][0]["seq"]
    if broken is not None:
        yield f"broken at {broken}"
    gaps = [a["seq"] for a, b in zip(e["chain"], e["chain"][1:], strict=False) if b["seq"] != a["seq"] + 1]
    yield from (f"entry {seq} is not followed by {seq + 1}" for seq in gaps)


@invariant
def the_audit_chain_covers_everything(e: Evidence) -> Iterator[str]:
    """Every order event, risk decision and adjustment has its entry, and no entry is of something that never was."""
    events = Counter(row["event_seq"] for row in e["events"] if row["kind"] != "intent")
    yield from _uncovered("event", events, _entries(e, "order_event", "event_seq"))
    facts = ("client_order_id", "outcome", "reason_code")
    decisions = Counter(tuple(row[name] for name in facts) for row in e["decisions"])
    yield from _uncovered("decision", decisions, _entries(e, "intent", *facts))
    adjustments = Counter(row["adjustment_id"] for row in e["adjustments"])
    yield from _uncovered("adjustment", adjustments, _entries(e, "adjustment", "adjustment_id"))


def _entries(e: Evidence, kind: str, *names: str) -> Counter[Any]:
    payloads = (entry["payload"] for entry in e["chain"] if entry["kind"] == kind)
    return Counter(p[names[0]] if len(names) == 1 else tuple(p[name] for name in names) for p in payloads)


def _uncovered(what: str, rows: Counter[Any], entries: Counter[Any]) -> Iterator[str]:
    yield from (f"{what} {row} has no entry" for row in rows - entries)
    yield from (f"an entry tells of {what} {row}, which is not there" for row in entries - rows)
