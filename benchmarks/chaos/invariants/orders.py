"""Orders: each intended once, sent once, and ended as the broker says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from benchmarks.chaos.evidence import Evidence, Row
from benchmarks.chaos.invariants.registry import invariant

UNSENT = {"canceled", "rejected", "expired"}  # how an order may end that the broker never had


@invariant
def each_order_has_one_intent(e: Evidence) -> Iterator[str]:
    """An order is made by one intent event and one accepting decision; nothing else does. A parent is never sent."""
    orders, parents = _ids(e, "orders", "client_order_id"), _ids(e, "parents", "parent_id")
    intents = Counter(row["client_order_id"] for row in e["events"] if row["kind"] == "intent")
    accepted = Counter(row["client_order_id"] for row in e["decisions"] if row["outcome"] == "accepted")
    for key in sorted(orders | parents | intents.keys() | accepted.keys()):
        found = (int(key in orders) + int(key in parents), intents[key], accepted[key])
        if found != (1, int(key not in parents), 1):
            yield f"{key}: {found[0]} orders, {found[1]} intents, {found[2]} acceptances"


def _ids(e: Evidence, table: str, name: str) -> set[str]:
    return {row[name] for row in e[table]}


@invariant
def each_intent_has_at_most_one_broker_order(e: Evidence) -> Iterator[str]:
    """The exchange has each of our ids at most once, and no order that we did not intend, term for term."""
    ours = {row["client_order_id"]: row for row in e["orders"]}
    theirs = Counter(row["client_order_id"] for row in e.ledger["orders"])
    yield from (f"{key} is at the broker {count} times" for key, count in theirs.items() if count > 1)
    for order in e.ledger["orders"]:
        intended = ours.get(order["client_order_id"])
        if intended is None:
            yield f"the broker has {order['client_order_id']}, which nobody intended"
        elif (order["symbol"], order["side"], Decimal(order["qty"])) != _terms(intended):
            told = f"{order['side']} {order['qty']} {order['symbol']}"
            yield f"{order['client_order_id']} is {told}, not {_terms(intended)}"


def _terms(order: Row) -> tuple[str, str, Decimal]:
    return order["symbol"], order["side"], order["released_qty"] or order["order_qty"]


@invariant
def orders_end_as_the_broker_says(e: Evidence) -> Iterator[str]:
    """Status and filled quantity are the broker's; what it never had ended without a share."""
    theirs = {row["client_order_id"]: row for row in e.ledger["orders"]}
    for order in e["orders"]:
        key, told = order["client_order_id"], theirs.get(order["client_order_id"])
        if told is None:
            if order["ord_status"] not in UNSENT or order["cum_qty"]:
                yield f"{key} is {order['ord_status']} with {order['cum_qty']} filled, and the broker never had it"
        elif (order["ord_status"], order["cum_qty"]) != (_status(told), Decimal(told["filled_qty"])):
            theirs_is = f"{told['status']} {told['filled_qty']}"
            yield f"{key} is {order['ord_status']} {order['cum_qty']}, the broker's {theirs_is}"


def _status(told: Row) -> str:
    """In FIX's words an order that was filled, and of which executions were taken back since, is canceled."""
    is_taken_back = told["status"] == "filled" and Decimal(told["filled_qty"]) < Decimal(told["qty"])
    return "canceled" if is_taken_back else str(told["status"])


@invariant
def nothing_is_sent_before_it_is_durable(e: Evidence) -> Iterator[str]:
    """The first byte of an order left after its intent was committed; of one that was held, after its release."""
    held = {row["client_order_id"] for row in e["orders"] if row["after_id"]}
    committed = {
        row["client_order_id"]: row["committed_at"]
        for row in e["events"]
        if row["kind"] == ("released" if row["client_order_id"] in held else "intent")
    }
    for sent in e.sent:
        durable = committed.get(sent.client_order_id)
        if durable is None or _wall(sent.at) < durable:
            yield f"{sent.client_order_id} was sent at {_wall(sent.at)}, which was durable at {durable}"


def _wall(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
