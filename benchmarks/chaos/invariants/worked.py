"""Orders that belong together: slices of a parent, and orders that are held until another has done its part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks.chaos.evidence import Evidence, Row
from benchmarks.chaos.invariants.registry import ENDED, ZERO, invariant, signed


@dataclass
class History:
    """Every order, event by event: what it is asked for, what it has executed, and the statuses that it was in."""

    orders: Mapping[str, Row]
    fills: Mapping[int, list[Row]]
    asked: dict[str, Decimal] = field(default_factory=dict)
    executed: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, e: Evidence) -> History:
        """Before the first event."""
        fills: dict[int, list[Row]] = defaultdict(list)
        for fill in e["fills"]:
            fills[fill["event_seq"]].append(fill)
        return cls({row["client_order_id"]: row for row in e["orders"]}, fills)

    def step(self, event: Row) -> None:
        """One more event."""
        key = event["client_order_id"]
        order = self.orders[key]
        self.statuses[key].append(event["ord_status"])
        self.asked.setdefault(key, order["order_qty"])
        if event["order_qty"]:
            self.asked[key] = event["order_qty"]
        for fill in self.fills.get(event["event_seq"], ()):
            self.executed[key] += signed(fill["side"], fill["last_qty"]) * signed(order["side"], Decimal(1))

    def taken(self, key: str) -> Decimal:
        """Shares that the order has executed or may still execute."""
        has_ended = self.statuses[key][-1] in ENDED
        return self.executed[key] if has_ended else max(self.asked[key], self.executed[key])


@invariant
def children_conserve_their_parent(e: Evidence) -> Iterator[str]:
    """At every event all slices together ask for no more than their parent, and the broker executed no more of it."""
    parents = {row["parent_id"]: row for row in e["parents"]}
    children: dict[str, set[str]] = defaultdict(set)
    history = History.of(e)
    for event in e["events"]:
        history.step(event)
        parent = parents.get(history.orders[event["client_order_id"]]["parent_id"])
        if parent is not None:
            slices = children[parent["parent_id"]]
            slices.add(event["client_order_id"])
            yield from _beyond(parent, sum(map(history.taken, slices), ZERO), f"event {event['event_seq']}")
    theirs = {row["client_order_id"]: Decimal(row["filled_qty"]) for row in e.ledger["orders"]}
    for key, slices in children.items():
        yield from _beyond(parents[key], sum((theirs.get(one, ZERO) for one in slices), ZERO), "the broker")
    strangers = {row["parent_id"] for row in e["orders"]} - parents.keys() - {None}
    yield from (f"{key} has slices, and is no parent" for key in sorted(strangers))


def _beyond(parent: Row, taken: Decimal, when: str) -> Iterator[str]:
    if taken > parent["order_qty"]:
        yield f"{parent['parent_id']} is for {parent['order_qty']}, its slices for {taken}, says {when}"


@invariant
def held_orders_wait_for_the_other(e: Evidence) -> Iterator[str]:
    """A held order is released once, after the one that it waits for has done its part, and for no more than that."""
    history = History.of(e)
    for event in e["events"]:
        key = event["client_order_id"]
        order = history.orders[key]
        if event["kind"] == "released":
            yield from _too_early(history, order, event)
        history.step(event)
        if order["after_id"] and history.statuses[key][0] != "held":
            yield f"{key} waits for {order['after_id']}, and was not held"


def _too_early(history: History, order: Row, event: Row) -> Iterator[str]:
    link, before = _awaited(history, order), history.statuses[order["client_order_id"]]
    first = link["after_id"]
    statuses = history.statuses.get(first, [])
    has_ended = bool(statuses) and statuses[-1] in ENDED
    left = history.asked.get(first, ZERO) - history.executed[first]
    most = {"filled": order["order_qty"], "executed": history.executed[first], "ended": left}[link["release"]]
    is_due = "filled" in statuses if link["release"] == "filled" else has_ended
    if not is_due or event["order_qty"] > most or before[-1:] != ["held"]:
        was = f"{first} was {statuses[-1:]} with {history.executed[first]} executed"
        yield f"{order['client_order_id']} was released for {event['order_qty']}, while {was} ({link['release']})"


def _awaited(history: History, order: Row) -> Row:
    """The order whose link counts: what replaced one that was never sent waits in its place."""
    first = history.orders.get(order["after_id"])
    if order["release"] == "ended" and first is not None and first["after_id"] and first["released_qty"] is None:
        return _awaited(history, first)
    return order
