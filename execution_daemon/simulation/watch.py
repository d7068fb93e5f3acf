"""What must hold at every instant: checked at every committed statement and at every request that leaves a machine.

Nothing here asks the daemon: the warehouse's rows are held against the broker's own ledger and against what the
scenario knows. The first violation of a run is kept; it is what a seed fails for.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from execution_daemon.brokers.port import BrokerOrder
from execution_daemon.brokers.simulated import SimulatedBroker
from execution_daemon.simulation.clock import WorldClock
from execution_daemon.simulation.loop import Process
from execution_daemon.simulation.machine import GRACE_SECONDS
from execution_daemon.simulation.warehouse.database import Database, Given, Session
from execution_daemon.simulation.warehouse.gateway import WRITES
from execution_daemon.simulation.warehouse.intents import ENDED
from execution_daemon.simulation.warehouse.risk import highest_price
from execution_daemon.simulation.warehouse.tables import Row
from execution_daemon.simulation.wire import Network

ZERO = Decimal(0)
LEASELESS = frozenset({"acquire_lease", "renew_lease", "release_lease", "set_kill_switch", "beat"})


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold, with the fact in one line, at virtual seconds."""

    invariant: str
    reason: str
    at: float


class Trace:
    """Everything that happened, as a hash; and as lines, if they are wanted."""

    def __init__(self, keeps_lines: bool) -> None:
        self._hash = hashlib.sha256()
        self.lines: list[str] | None = [] if keeps_lines else None

    def add(self, line: str) -> None:
        """One more thing that happened."""
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def digest(self) -> str:
        """The hash of everything so far."""
        return self._hash.hexdigest()[:16]


class Watch:
    """Observes one run."""

    def __init__(
        self,
        clock: WorldClock,
        database: Database,
        broker: SimulatedBroker,
        network: Network,
        trace: Trace,
        account: str,
    ) -> None:
        self.violation: Violation | None = None
        self.poisoned: dict[UUID, str] = {}
        self.sends: Counter[str] = Counter()
        self.coverage: Counter[str] = Counter()
        self._clock, self._database, self._broker, self._network = clock, database, broker, network
        self._trace, self._account = trace, account
        self._kills: dict[tuple[str, str], float] = {}
        self._deposed: dict[tuple[str, int], float] = {}
        self._led: tuple[str, int] | None = None
        self._blocked: dict[str, float] = {}
        self._agreed: set[str] = set()
        self._broken: frozenset[str] = frozenset()
        self._ended: dict[str, float] = {}
        self._read: dict[str, list[UUID]] = {}
        self._looked: dict[tuple[str, str], float] = {}
        database.observers.append(self.committed)

    def fail(self, invariant: str, reason: str) -> None:
        """Keep the first violation."""
        if self.violation is None:
            self.violation = Violation(invariant, reason, self._clock.seconds)
            self._trace.add(f"{self._clock.seconds:.6f} VIOLATION {invariant}: {reason}")

    def require(self, holds: bool, invariant: str, reason: str) -> None:
        """`fail` unless it holds."""
        if not holds:
            self.fail(invariant, reason)

    # -- statements ---------------------------------------------------------------------------------------------------

    def committed(self, database: Database, session: Session, name: str, given: Given, rows: list[Row]) -> None:
        """A statement was executed."""
        self._trace.add(f"{self._clock.seconds:.6f} {session.name} {name} {rows}")
        self.coverage[name] += 1
        if name in WRITES and name not in LEASELESS and "epoch" in given:
            self._by_the_leader(database, name, given)
        check = _CHECKS.get(name)
        if check is not None:
            check(self, given, rows)

    def _by_the_leader(self, database: Database, name: str, given: Given) -> None:
        lease = database.tables.leases.get(given["account"]) or {"holder": "nobody", "epoch": 0}
        writer = (given["holder"], given["epoch"])
        leader = (lease["holder"], lease["epoch"])
        self.require(writer == leader, "one leader writes", f"{name} by {writer}, but {leader} leads")

    def _lease(self, given: Given, rows: list[Row]) -> None:
        epoch = rows[0]["acquire_lease"]
        if epoch is None:
            return
        if self._led is not None:
            self.require(epoch > self._led[1], "epochs rise", f"epoch {epoch} after {self._led[1]}")
            self._deposed[self._led] = self._clock.seconds
        self._led = (given["holder"], epoch)

    def _kill(self, given: Given, _rows: list[Row]) -> None:
        key = (given["scope"], "*" if given["scope"] == "global" else given["key"])
        if given["engaged"]:
            self._kills.setdefault(key, self._clock.seconds)
        else:
            self.released(*key)

    def released(self, scope: str, key: str) -> None:
        """A kill switch is released."""
        self._kills.pop((scope, key), None)

    def _killed_since(self, symbol: str, strategies: list[str]) -> float | None:
        scopes = [
            ("global", "*"),
            ("account", self._account),
            ("symbol", symbol),
            *(("strategy", s) for s in strategies),
        ]
        return min((self._kills[scope] for scope in scopes if scope in self._kills), default=None)

    def _undecided(self, given: Given, rows: list[Row]) -> None:
        if given["account"] == self._account:
            self._read[given["holder"]] = [row["batch_id"] for row in rows]

    def _batch_decided(self, given: Given, rows: list[Row]) -> None:
        number, status = given["batch_id"], given["status"]
        if not rows[0]["decide_batch"]:
            return
        poison = self.poisoned.get(number)
        if status in {"accepted", "worked"}:
            self.require(poison is None, "a poisoned batch is never traded", f"batch {number} ({poison}) {status}")
        if status == "accepted":
            read = self._read.get(given["holder"], [])
            after = read[read.index(number) + 1 :] if number in read else []
            newer = [later for later in after if self._is_good(later, number)]
            self.require(not newer, "only the newest batch is traded", f"batch {number} accepted, {newer} is newer")

    def _is_good(self, number: UUID, chosen: UUID) -> bool:
        """Whether nothing is wrong with a batch, which is for the same session as the chosen one."""
        batch, other = self._database.tables.batches.get(number), self._database.tables.batches.get(chosen)
        return (
            batch is not None
            and other is not None
            and number not in self.poisoned
            and number not in self._database.tables.batch_intake  # refused for its jump against the last one
            and bool(batch["valid_from"] == other["valid_from"] and self._clock.market() < batch["valid_until"])
        )

    def _intents(self, _given: Given, rows: list[Row]) -> None:
        tables = self._database.tables
        for row in rows:
            if row["reason_code"] == "PARENT_EXCEEDED":
                fact = f"the daemon asked for {row['client_order_id'][:8]}, and was told that it is too much"
                self.fail("slices conserve their parent's quantity", fact)
            if row["outcome"] != "accepted":
                continue
            order = tables.orders.get(row["client_order_id"])
            if order is None:
                continue  # a parent, or a kind that sends nothing by itself
            self._accepted(order)
        if any(row["outcome"] == "accepted" for row in rows):
            self._within_limits({row["client_order_id"] for row in rows if row["outcome"] == "accepted"})

    def _accepted(self, order: Row) -> None:
        name = f"{order['client_order_id'][:8]} in {order['symbol']}"
        since = self._killed_since(order["symbol"], order["strategies"])
        self.require(since is None, "no intent after a kill commit", f"order {name}, killed since {since}")
        poison = self.poisoned.get(order["batch_id"])
        self.require(poison is None, "a poisoned batch is never traded", f"order {name} of a batch with {poison}")
        self.require(
            order["symbol"] not in self._broken and "*" not in self._broken,
            "a break halts its symbol",
            f"order {name} while {sorted(self._broken)} differ from the broker's books",
        )
        standing = self._blocked.keys() & {order["symbol"], "*"}
        self.require(not standing, "a blocked symbol takes no order", f"order {name}")
        self._of_its_batch(order, name)
        self._within_its_parent(order, name)

    def _within_its_parent(self, order: Row, name: str) -> None:
        """All slices together never ask for more than their parent."""
        tables = self._database.tables
        parent = tables.parents.get(order["parent_id"])
        if parent is None:
            return
        slices = [row for row in tables.orders if row["parent_id"] == order["parent_id"]]
        asked = sum((row["cum_qty"] if row["ord_status"] in ENDED else row["order_qty"] for row in slices), ZERO)
        fact = f"{name}: {asked} of {parent['order_qty']}"
        self.require(asked <= parent["order_qty"], "slices conserve their parent's quantity", fact)

    def _of_its_batch(self, order: Row, name: str) -> None:
        if order["batch_id"] not in self._database.tables.batches:
            return  # a person asked for it
        decided = (self._database.tables.batch_intake.get(order["batch_id"]) or {}).get("status")
        is_later = order["parent_id"] is not None or order["after_id"] is not None  # a slice, a replacement
        is_traded = decided == "accepted" or (decided == "worked" and is_later)
        self.require(is_traded, "only an accepted batch is traded", f"order {name} of one that is {decided}")
        same = [
            row
            for row in self._database.tables.orders
            if (row["batch_id"], row["symbol"], row["leg"]) == (order["batch_id"], order["symbol"], order["leg"])
            and row["parent_id"] is None
            and not (row["after_id"] and row["release"] == "ended")
        ]
        self.require(
            is_later or len(same) == 1, "each order has one intent", f"{len(same)} for one leg of a batch: {name}"
        )

    def _within_limits(self, new: set[str]) -> None:
        """Position + working + unknown, at worst, within MAX_POSITION; what is reserved within the account's means."""
        tables = self._database.tables
        mine = [row for row in tables.orders if row["account"] == self._account]
        limit = self._limit("MAX_POSITION")
        new = {row["client_order_id"] for row in mine if row["client_order_id"] in new and not row["parent_id"]}
        for symbol in sorted({row["symbol"] for row in mine if row["client_order_id"] in new}):  # slices were counted
            worst, grew, price = self._worst(mine, symbol, new)
            self.require(
                not grew or limit is None or worst * price <= limit,
                "exposure stays within limits",
                f"{symbol} could become {worst} x {price} = {worst * price}, {limit} allowed",
            )

    def _worst(self, orders: list[Row], symbol: str, new: set[str]) -> tuple[Decimal, bool, Decimal]:
        position = self._database.tables.positions.get((self._account, symbol))
        held = position["quantity"] if position else ZERO
        live = [row for row in orders if row["symbol"] == symbol and row["ord_status"] not in ENDED]
        live = [row for row in live if row["ord_status"] != "held" or row["reserved_value"]]  # exits that wait
        opening = [row for row in live if row["client_order_id"] in new and row["reserved_value"]]
        price = min((row["reference_price"] for row in opening), default=ZERO)
        after = _extremes(held, live)
        before = _extremes(held, [row for row in live if row["client_order_id"] not in new])
        return after, after > before, price

    def _limit(self, code: str) -> Decimal | None:
        rows = [row for row in self._database.tables.limits if row["code"] == code]
        return rows[-1]["value"] if rows else None

    def _event(self, given: Given, rows: list[Row]) -> None:
        if rows[0]["record_event"] is None:
            return
        event: dict[str, Any] = json.loads(given["event"])
        key, status = event["client_order_id"], event["ord_status"]
        self.coverage[f"event {event['kind']}"] += 1
        if status in ENDED:
            self._ended.setdefault(key, self._clock.seconds)
            self._ended_truly(key, status)
        self._reserves(key)
        if event["kind"] == "canceled":
            self._let_go(key)
        if event["kind"] == "absent" or "never reached" in event["text"]:
            self._truly_absent(key)
        self._note_blocks()

    def _reserves(self, key: str) -> None:
        """What an order may still add to the exposure is reserved, whatever is known of it."""
        row = self._database.tables.orders.get(key)
        if row is None or row["ord_status"] in ENDED or (row["ord_status"] == "held" and row["release"] == "ended"):
            return
        leaves = max((row["released_qty"] or row["order_qty"]) - row["cum_qty"], ZERO)
        due = leaves * highest_price(row) if row["leg"] == "open" else ZERO
        fact = f"{key[:8]}, {row['ord_status']}, reserves {row['reserved_value']} of {due}"
        self.require(row["reserved_value"] == due, "what may be executed is reserved", fact)

    def _let_go(self, key: str) -> None:
        """A held order whose time has come is sent, unless something stands against it."""
        tables = self._database.tables
        row = tables.orders.get(key) or {}
        first = tables.orders.get(row["after_id"])
        history = [event["ord_status"] for event in tables.events if event["client_order_id"] == key]
        if first is None or row["release"] != "filled" or first["ord_status"] != "filled" or history[-2:-1] != ["held"]:
            return
        if self._killed_since(row["symbol"], row["strategies"]) is None and row["valid_until"] > self._clock.market():
            self.fail("a held order is released", f"{key[:8]} was let go of, though the first is filled")

    def _ended_truly(self, key: str, status: str) -> None:
        theirs = self._broker.ledger.orders.get(key)
        is_live = theirs is not None and theirs.status.is_open
        self.require(not is_live, "an order ends when the broker says so", f"{key[:8]} is {status} and works on there")

    def _truly_absent(self, key: str) -> None:
        self.require(
            key not in self._broker.ledger.orders, "absence is proven", f"{key[:8]} is at the broker, and called absent"
        )
        self.require(
            self._network.in_flight[key] == 0, "absence is proven", f"{key[:8]} was on its way, and called absent"
        )

    def _note_blocks(self, _given: Given | None = None, _rows: list[Row] | None = None) -> None:
        standing = [
            row["symbol"]
            for row in self._database.tables.blocked
            if row["account"] == self._account and row["reason_code"] != "SEND_UNPROVEN"
        ]
        before = self._blocked
        self._blocked = {symbol: before.get(symbol, self._clock.seconds) for symbol in standing}

    def _reconciled(self, given: Given, _rows: list[Row]) -> None:
        breaks = json.loads(given["breaks"])
        if not breaks:
            self._agreed.add(given["holder"])
        self._broken = frozenset(one["symbol"] for one in breaks)
        for one in breaks:
            self.coverage[f"break {one['kind']}"] += 1

    def answered(self, silence_seconds: float) -> None:
        """No committed order may be without news of its fate for so long, while nothing is wrong."""
        since = self._clock.wall() - timedelta(seconds=silence_seconds)
        last = {row["client_order_id"]: row["recorded_at"] for row in self._database.tables.events}
        for row in self._database.tables.orders:
            if row["ord_status"] in {"pending_new", "unknown"} and last[row["client_order_id"]] < since:
                name = f"{row['client_order_id'][:8]} in {row['symbol']}"
                self.fail("an order is answered in time", f"{name} is {row['ord_status']} for {silence_seconds} s")

    # -- requests -----------------------------------------------------------------------------------------------------

    def sending(self, process: Process, order: BrokerOrder, believed: datetime | None) -> None:
        """An order leaves a machine, whose daemon believes that this is the market time."""
        key = order.client_order_id
        self._trace.add(f"{self._clock.seconds:.6f} {process.name} sends {key} {order.side} {order.qty} {order.symbol}")
        self.sends[key] += 1
        row = self._database.tables.orders.get(key)
        if row is None:
            self.fail("an order is committed before it is sent", f"{key[:8]} in {order.symbol} has no intent")
            return
        self._as_intended(order, row)
        self._may_leave(process, order, row)
        self._waited(order, row)
        agreed = process.name in self._agreed
        self.require(agreed, "nothing is traded before the books agree", f"{key[:8]} from {process.name}")
        ends = row["valid_until"]
        is_over = believed is not None and ends is not None and ends <= believed
        self.require(not is_over, "nothing is sent after its target's end", f"{key[:8]}: {ends}, it is {believed}")

    def _waited(self, order: BrokerOrder, row: Row) -> None:
        """A held order leaves once the one it waits for has done its part."""
        first = self._database.tables.orders.get(row["after_id"])
        if first is None:
            return
        if row["release"] == "ended" and first["after_id"] and first["released_qty"] is None:
            self.require(first["ord_status"] in ENDED, "a held order waits for the other", f"{row} replaces {first}")
            self._waited(order, first)  # it was never sent: what takes its place waits in its place
            return
        if row["release"] == "ended" and (theirs := self._broker.ledger.orders.get(row["after_id"])):
            fact = (
                f"{order.client_order_id[:8]} for {order.qty} of {row['order_qty']}, {theirs.cum_qty} executed before"
            )
            allowed = theirs.qty - theirs.cum_qty
            self.require(order.qty <= allowed, "a replacement is for what the original left", fact)
        events = [event for event in self._database.tables.events if event["client_order_id"] == row["after_id"]]
        looked = self._clock.wall() - timedelta(seconds=GRACE_SECONDS)  # a bust may be known for less
        has = {
            "filled": any(event["ord_status"] == "filled" for event in events),  # what was busted later was filled
            "ended": first["ord_status"] in ENDED,
            "executed": order.qty <= _executed_since(events, looked),
        }
        fact = f"{order.client_order_id[:8]} after one that is {first['ord_status']}"
        self.require(has[row["release"]], "a held order waits for the other", fact)

    def _as_intended(self, order: BrokerOrder, row: Row) -> None:
        terms = order.terms
        prices = (terms.limit_price, terms.stop_price, terms.trail_offset)
        kept = (row["limit_price"], row["stop_price"], row["trail_offset"])
        self.require(prices == kept, "what is sent is what was intended", f"{prices} for {kept}")
        qty = row["released_qty"] or row["order_qty"]
        told = (order.symbol, str(order.side), order.qty, str(order.terms.order_type), str(order.terms.time_in_force))
        meant = (row["symbol"], row["side"], qty, row["order_type"], row["time_in_force"])
        self.require(told == meant, "what is sent is what was intended", f"{told} for {meant}")
        absences = sum(
            event["kind"] == "absent"
            for event in self._database.tables.events
            if event["client_order_id"] == order.client_order_id
        )
        self.require(
            self.sends[order.client_order_id] <= 1 + absences,
            "nothing is sent again without proof of absence",
            f"{order.client_order_id[:8]} was sent {self.sends[order.client_order_id]} times, absent {absences} times",
        )

    def _may_leave(self, process: Process, order: BrokerOrder, row: Row) -> None:
        name = f"{order.client_order_id[:8]} in {order.symbol} from {process.name}"
        self._not_killed(process, order, row, name)
        blocked = [self._blocked[s] for s in (row["symbol"], "*") if s in self._blocked]
        self._not_since(min(blocked, default=None), "nothing is sent in a blocked symbol", name)
        self._not_since(self._ended.get(order.client_order_id), "nothing is sent after its end", name)
        deposed = [at for (holder, _epoch), at in self._deposed.items() if holder == process.name]
        self._not_since(max(deposed, default=None), "only the leader sends", name)

    def _not_killed(self, process: Process, order: BrokerOrder, row: Row, name: str) -> None:
        """A switch engaged before the daemon's last look stops the order; after it, only what leaves at once goes."""
        killed = self._killed_since(row["symbol"], row["strategies"])
        if killed is None:
            return
        looked = self._looked.get((process.name, order.client_order_id))
        is_late = self._clock.seconds - killed > GRACE_SECONDS
        if looked is None or looked >= killed or is_late:
            facts = f"{name}, killed at {killed:.3f} s, last looked at {looked}"
            self.fail("no new send after a kill commit", facts)

    def _look(self, given: Given, _rows: list[Row]) -> None:
        self._looked[given["holder"], given["client_order_id"]] = self._clock.seconds

    def _not_since(self, since: float | None, invariant: str, name: str) -> None:
        if since is not None and self._clock.seconds - since > GRACE_SECONDS:
            self.fail(invariant, f"{name}, {self._clock.seconds - since:.3f} s later")


def _extremes(held: Decimal, orders: list[Row]) -> Decimal:
    """The most shares, either way, that could be held if only the orders of one side were filled."""
    leaves: Mapping[str, Decimal] = {
        side: sum((row["order_qty"] - row["cum_qty"] for row in orders if row["side"] == side), ZERO)
        for side in ("buy", "sell")
    }
    return max(abs(held + leaves["buy"]), abs(held - leaves["sell"]))


def _executed_since(events: Iterable[Row], at: datetime) -> Decimal:
    """The most shares of one order that stood executed at any time from `at` on, on the warehouse's clock."""
    standing: dict[str, Decimal] = {}
    most = ZERO
    for event in events:
        if event["recorded_at"] <= at:
            most = ZERO
        standing.pop(event["exec_ref_id"] or "", None)
        if event["last_qty"]:
            standing[event["exec_id"]] = event["last_qty"]
        most = max(most, sum(standing.values(), ZERO))
    return most


_CHECKS: dict[str, Callable[[Watch, Given, list[Row]], None]] = {
    "acquire_lease": Watch._lease,
    "set_kill_switch": Watch._kill,
    "undecided_batches": Watch._undecided,
    "decide_batch": Watch._batch_decided,
    "submit_intents": Watch._intents,
    "record_event": Watch._event,
    "is_order_killed": Watch._look,
    "record_reconciliation": Watch._reconciled,
    "block_symbol": Watch._note_blocks,
    "unblock_symbol": Watch._note_blocks,
}
