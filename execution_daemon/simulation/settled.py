"""What must hold once faults have stopped and everything had its time: our books against the broker's own ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from bifrost_core.trading.costs import to_cent
from execution_daemon.brokers.simulated import SimulatedBroker
from execution_daemon.simulation.warehouse import audit
from execution_daemon.simulation.warehouse.intents import ENDED
from execution_daemon.simulation.warehouse.tables import Row, Tables

ZERO = Decimal(0)
GRAVE = {"IMPOSSIBLE_TRANSITION", "OVERFILL", "FILL_AFTER_TERMINAL"}
Finding = tuple[str, str]  # the invariant, and the fact


def unsettled(tables: Tables, account: str) -> list[str]:
    """What still waits: orders, batches, blocks that clear themselves; empty when everything has cleared."""
    orders = [r for r in tables.orders if r["account"] == account and r["ord_status"] not in ENDED]
    decided = {row["batch_id"]: row["status"] for row in tables.batch_intake}
    batches = [b["batch_id"] for b in tables.batches if decided.get(b["batch_id"]) not in {"worked", "quarantined"}]
    blocks = [row for row in tables.blocked if row["account"] == account]
    return [
        *(f"order {row['client_order_id'][:8]} in {row['symbol']} is {row['ord_status']}" for row in orders),
        *(f"batch {number} is {decided.get(number, 'undecided')}" for number in batches),
        *(f"{row['symbol']} is blocked: {row['reason_code']} {row['detail']}" for row in blocks),
        *(f"parent {row['parent_id']} works on" for row in tables.parents if row["status"] == "working"),
    ]


def differences(tables: Tables, account: str, broker: SimulatedBroker) -> Iterator[Finding]:
    """Every invariant of the books that does not hold, with the fact."""
    mine = [row for row in tables.orders if row["account"] == account]
    yield from _orders(tables, mine, broker)
    yield from _fills(tables, broker)
    yield from _positions(tables, account, broker)
    yield from _cash(tables, account, broker)
    yield from _reservation(tables, account, mine)
    yield from _audit(tables)
    yield from _events(tables)


def _orders(tables: Tables, mine: list[Row], broker: SimulatedBroker) -> Iterator[Finding]:
    intents = Counter(row["client_order_id"] for row in tables.events if row["kind"] == "intent")
    for row in mine:
        key = row["client_order_id"]
        if intents[key] != 1:
            yield "each order has one intent", f"{key[:8]} has {intents[key]}"
    accepted = Counter(broker.accepted)
    for key, times in accepted.items():
        if times != 1:
            yield "each intent is at most one broker order", f"{key[:8]} was taken {times} times"
        if intents[key] != 1 and not key.startswith("foreign"):
            yield "every broker order has an intent", f"{key[:8]} has none"
    for row in mine:
        theirs = broker.ledger.orders.get(row["client_order_id"])
        ours = row["cum_qty"]
        if (theirs.cum_qty if theirs else ZERO) != ours:
            told = theirs.cum_qty if theirs else "absent"
            yield "fills are set-equal", f"{row['client_order_id'][:8]} holds {ours} filled, the broker's {told}"
        if theirs is not None and theirs.status.is_open is (row["ord_status"] in ENDED):
            name = row["client_order_id"][:8]
            yield "orders end on both sides", f"{name} is {row['ord_status']}, the broker's {theirs.status}"


def _fills(tables: Tables, broker: SimulatedBroker) -> Iterator[Finding]:
    taken_back = {row["corrects_exec_id"] for row in tables.fills}
    ours = {
        row["exec_id"]: (row["client_order_id"], row["last_qty"], row["last_px"], row["commission"])
        for row in tables.fills
        if row["corrects_exec_id"] is None and row["exec_id"] not in taken_back
    }
    theirs = {
        key: (fill.client_order_id, fill.last_qty, fill.last_px, fill.commission)
        for key, fill in broker.ledger.standing().items()
    }
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            yield "fills are set-equal", f"{key}: ours {ours.get(key)}, the broker's {theirs.get(key)}"


def _positions(tables: Tables, account: str, broker: SimulatedBroker) -> Iterator[Finding]:
    ours = {r["symbol"]: r["quantity"] for r in tables.positions if r["account"] == account and r["quantity"]}
    theirs = {position.symbol: position.qty for position in broker.ledger.positions()}
    summed: dict[str, Decimal] = {}
    for fill in tables.fills:
        signed = fill["last_qty"] if fill["side"] == "buy" else -fill["last_qty"]
        summed[fill["symbol"]] = summed.get(fill["symbol"], ZERO) + signed
    for entry in tables.adjustments:
        if entry["symbol"]:
            summed[entry["symbol"]] = summed.get(entry["symbol"], ZERO) + entry["qty_change"]
    for symbol in sorted(ours.keys() | theirs.keys() | summed.keys()):
        found = (ours.get(symbol, ZERO), summed.get(symbol, ZERO), theirs.get(symbol, ZERO))
        if len(set(found)) > 1:
            facts = "{} held, fills and adjustments give {}, the broker has {}".format(*found)
            yield "positions are fills and adjustments, and the broker's", f"{symbol}: {facts}"


def _cash(tables: Tables, account: str, broker: SimulatedBroker) -> Iterator[Finding]:
    row = tables.cash.get(account)
    ours = to_cent(row["balance"]) if row else None
    theirs = to_cent(broker.ledger.cash)
    if ours != theirs:
        yield "cash is the broker's, to the cent", f"ours {ours}, the broker's {theirs}"


def _reservation(tables: Tables, account: str, mine: list[Row]) -> Iterator[Finding]:
    row = tables.cash.get(account)
    total = sum((order["reserved_value"] for order in mine), ZERO)
    if row is not None and row["reserved"] != total:
        yield "what is reserved is what orders reserve", f"{row['reserved']} reserved, orders reserve {total}"
    if total and all(order["ord_status"] in ENDED for order in mine):
        yield "nothing is reserved when nothing works", f"{total} is reserved"


def _audit(tables: Tables) -> Iterator[Finding]:
    if (broken := audit.verify(tables)) is not None:
        yield "the audit chain is whole", f"it breaks at {broken}"
    entries = Counter(entry["kind"] for entry in tables.chain)
    events = sum(row["kind"] != "intent" for row in tables.events)
    for kind, count in (
        ("order_event", events),
        ("intent", len(tables.decisions)),
        ("reconciliation", len(tables.reconciliations)),
        ("adjustment", len(tables.adjustments)),
    ):
        if entries[kind] != count:
            yield "the audit chain covers everything", f"{count} of {kind}, {entries[kind]} entries"
    if entries["batch"] < len(tables.batch_intake):
        yield "the audit chain covers everything", f"{len(tables.batch_intake)} batches, {entries['batch']} entries"


def _events(tables: Tables) -> Iterator[Finding]:
    """The last event of an order says what the order is."""
    last = {row["client_order_id"]: row["ord_status"] for row in tables.events}
    for row in tables.orders:
        if last.get(row["client_order_id"]) != row["ord_status"]:
            name = row["client_order_id"][:8]
            yield "an order is the fold of its events", f"{name} is {row['ord_status']}, its last event says otherwise"
