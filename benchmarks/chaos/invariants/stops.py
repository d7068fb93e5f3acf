"""What must stop trading: kill switches, and a leader that was followed by another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.chaos.evidence import Evidence, Row
from benchmarks.chaos.invariants.registry import invariant

KILL_SECONDS = 0.010  # the bound on how long after its commit a kill may still be unseen


@invariant
def nothing_new_is_sent_after_a_kill(e: Evidence) -> Iterator[str]:
    """From `KILL_SECONDS` after a kill is durable until its release, no order of its scope leaves."""
    orders = {row["client_order_id"]: row for row in e["orders"]}
    for sent in e.sent:
        order = orders.get(sent.client_order_id)
        for killed in kills_of(e):
            if order is not None and killed.forbids(order, sent.at):
                late = (sent.at - killed.since) * 1000
                yield f"{sent.client_order_id} was sent {late:.1f} ms after {killed.scope} {killed.key} was killed"


@dataclass(frozen=True, slots=True)
class Killed:
    """A kill switch, engaged from `since` until `until` (wall clock, seconds; of its commits)."""

    scope: str
    key: str
    since: float
    until: float

    def forbids(self, order: Row, at: float) -> bool:
        """Whether a send of `order` at `at` is one that the switch should have stopped."""
        named = {"global": "*", "account": order["account"], "symbol": order["symbol"]}
        return named.get(self.scope) == self.key and self.since + KILL_SECONDS < at < self.until


def kills_of(e: Evidence) -> list[Killed]:
    """Every interval in which a switch was engaged, from the audit chain."""
    found: list[Killed] = []
    since: dict[tuple[str, str], float] = {}
    for entry in e["chain"]:
        if entry["kind"] != "kill_switch":
            continue
        payload, at = entry["payload"], entry["committed_at"].timestamp()
        switch = (payload["scope"], payload["key"])
        if payload["engaged"]:
            since.setdefault(switch, at)
        elif switch in since:
            found.append(Killed(*switch, since.pop(switch), at))
    return found + [Killed(*switch, at, float("inf")) for switch, at in since.items()]


@invariant
def one_leader_at_a_time(e: Evidence) -> Iterator[str]:
    """Epochs never go back: once a new leader has written, the old one writes nothing."""
    for table, key in (("events", "event_seq"), ("decisions", "decision_id")):
        highest = 0
        for row in e[table]:
            if row["epoch"] < highest:
                yield f"{table} {row[key]} is of epoch {row['epoch']}, after one of {highest}"
            highest = max(highest, row["epoch"])
