"""What must hold after every scenario, as pure functions from the evidence to sentences about what is wrong.

Nothing of the daemon is used here: the sums are made again from the rows and from the exchange's JSON.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from benchmarks.chaos.evidence import Evidence, Row

ZERO = Decimal(0)
RECOVERY_SECONDS = 5.0
KILL_SECONDS = 0.010  # the bound on how long after its commit a kill may still be unseen
OPEN_AT_BROKER = {"new", "accepted", "pending_new", "partially_filled", "held"}
ENDED = {"filled", "canceled", "rejected", "expired"}
UNSENT = {"canceled", "rejected", "expired"}  # how an order may end that the broker never had

Invariant = Callable[[Evidence], Iterator[str]]
INVARIANTS: dict[str, Invariant] = {}


def invariant(check: Invariant) -> Invariant:
    """Have `check` asked of every scenario."""
    INVARIANTS[check.__name__] = check
    return check


def violations(evidence: Evidence) -> list[str]:
    """Every violation, each led by the invariant's name."""
    return [f"{name}: {what}" for name, check in INVARIANTS.items() for what in check(evidence)]


# ---------------------------------------------------------------------------------------------------------- orders


@invariant
def each_order_has_one_intent(e: Evidence) -> Iterator[str]:
    """An order is made by one intent event and one accepting decision; nothing else makes one."""
    orders = {row["client_order_id"] for row in e["orders"]}
    intents = Counter(row["client_order_id"] for row in e["events"] if row["kind"] == "intent")
    accepted = Counter(row["client_order_id"] for row in e["decisions"] if row["outcome"] == "accepted")
    for key in sorted(orders | intents.keys() | accepted.keys()):
        if (key in orders, intents[key], accepted[key]) != (True, 1, 1):
            yield f"{key}: {int(key in orders)} orders, {intents[key]} intents, {accepted[key]} acceptances"


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
    return order["symbol"], order["side"], order["order_qty"]


@invariant
def orders_end_as_the_broker_says(e: Evidence) -> Iterator[str]:
    """Status and filled quantity are the broker's; what it never had ended without a share."""
    theirs = {row["client_order_id"]: row for row in e.ledger["orders"]}
    for order in e["orders"]:
        key, told = order["client_order_id"], theirs.get(order["client_order_id"])
        if told is None:
            if order["ord_status"] not in UNSENT or order["cum_qty"]:
                yield f"{key} is {order['ord_status']} with {order['cum_qty']} filled, and the broker never had it"
        elif (order["ord_status"], order["cum_qty"]) != (told["status"], Decimal(told["filled_qty"])):
            theirs_is = f"{told['status']} {told['filled_qty']}"
            yield f"{key} is {order['ord_status']} {order['cum_qty']}, the broker's {theirs_is}"


@invariant
def nothing_is_sent_before_it_is_durable(e: Evidence) -> Iterator[str]:
    """The first byte of an order left after its intent was committed."""
    committed = {row["client_order_id"]: row["committed_at"] for row in e["events"] if row["kind"] == "intent"}
    for sent in e.sent:
        durable = committed.get(sent.client_order_id)
        if durable is None or _wall(sent.at) < durable:
            yield f"{sent.client_order_id} was sent at {_wall(sent.at)}, its intent was durable at {durable}"


def _wall(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# ------------------------------------------------------------------------------------------- fills, positions, cash


@invariant
def fills_are_the_brokers(e: Evidence) -> Iterator[str]:
    """The same executions, each once, with the same quantity, price and commission."""
    ours = Counter(
        (f["exec_id"], f["client_order_id"], f["last_qty"], f["last_px"], f["commission"]) for f in e["fills"]
    )
    theirs = Counter(
        (f["id"].rpartition("::")[2], f["client_order_id"], *(Decimal(f[n]) for n in ("qty", "price", "commission")))
        for f in e.ledger["fills"]
    )
    yield from (f"the broker's {fill[0]} of {fill[1]} is missing here" for fill in (theirs - ours))
    yield from (f"our {fill[0]} of {fill[1]} is not the broker's" for fill in (ours - theirs))


@invariant
def positions_are_the_sum_of_fills_and_the_brokers(e: Evidence) -> Iterator[str]:
    """Held = sum of signed fills = the broker's, symbol by symbol."""
    summed: dict[str, Decimal] = defaultdict(Decimal)
    for fill in e["fills"]:
        summed[fill["symbol"]] += _signed(fill["side"], fill["last_qty"])
    held = {row["symbol"]: row["quantity"] for row in e["positions"]}
    told = {row["symbol"]: Decimal(row["qty"]) for row in e.ledger["positions"]}
    for symbol in sorted(summed.keys() | held.keys() | told.keys()):
        three = (summed.get(symbol, ZERO), held.get(symbol, ZERO), told.get(symbol, ZERO))
        if len(set(three)) > 1:
            yield f"{symbol}: fills give {three[0]}, held {three[1]}, the broker has {three[2]}"


def _signed(side: str, qty: Decimal) -> Decimal:
    return qty if side == "buy" else -qty


@invariant
def cash_is_right_to_the_cent(e: Evidence) -> Iterator[str]:
    """Balance = initial cash + effects of the fills, exactly; the broker's, to the cent."""
    effects = (-_signed(f["side"], f["last_qty"]) * f["last_px"] - f["commission"] for f in e["fills"])
    for account in e["cash"]:
        summed = account["initial_cash"] + sum(effects, ZERO)
        if summed != account["balance"]:
            yield f"fills give {summed}, the balance is {account['balance']}"
        if _cents(account["balance"]) != _cents(Decimal(e.ledger["cash"])):
            yield f"the balance is {account['balance']}, the broker's {e.ledger['cash']}"


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


# -------------------------------------------------------------------------------------------------- what stops trading


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


# ------------------------------------------------------------------------------------------------------------ exposure


@dataclass
class Replay:
    """The account, event by event: worst case of each symbol if its working orders fill on one side only."""

    orders: Mapping[str, Row]
    cash: Decimal
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    leaves: dict[str, Decimal] = field(default_factory=dict)
    working: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    prices: dict[str, Decimal] = field(default_factory=dict)

    def step(self, event: Row, fill: Row | None) -> None:
        """One order event; `fill` where it is an execution."""
        key, order = event["client_order_id"], self.orders[event["client_order_id"]]
        if event["kind"] == "intent":
            self._set_leaves(key, order["order_qty"])
            self.prices[order["symbol"]] = order["reference_price"]
        if fill is not None:
            change = _signed(fill["side"], fill["last_qty"])
            self.held[order["symbol"]] += change
            self.cash -= change * fill["last_px"] + fill["commission"]
            self._set_leaves(key, max(self.leaves.get(key, ZERO) - fill["last_qty"], ZERO))
        if event["ord_status"] in ENDED:
            self._set_leaves(key, ZERO)

    def _set_leaves(self, key: str, qty: Decimal) -> None:
        order = self.orders[key]
        self.working[order["symbol"], order["side"]] += qty - self.leaves.get(key, ZERO)
        self.leaves[key] = qty

    def worst(self, symbol: str) -> Decimal:
        """Shares, the larger of the two sides."""
        held = self.held[symbol]
        return max(abs(held + self.working[symbol, "buy"]), abs(held - self.working[symbol, "sell"]))

    def gross(self) -> Decimal:
        """USD of every symbol's worst case at its last reference price."""
        return sum((self.worst(symbol) * price for symbol, price in self.prices.items()), ZERO)

    def equity(self) -> Decimal:
        """USD, at the last reference prices."""
        return self.cash + sum((qty * self.prices[symbol] for symbol, qty in self.held.items() if qty), ZERO)


ROUNDING = Decimal("1.02")  # gross is judged at reference prices, the daemon judged it at last trades


@invariant
def exposure_stays_within_its_limits(e: Evidence) -> Iterator[str]:
    """At every event: only an intent may add exposure, and none takes a symbol or the account beyond its limit."""
    limits = {row["code"]: row["value"] for row in e["limits"]}  # the last of a code is in force
    fills = {(row["client_order_id"], row["exec_id"]): row for row in e["fills"]}
    replay = Replay(
        {row["client_order_id"]: row for row in e["orders"]}, e["cash"][0]["initial_cash"] if e["cash"] else ZERO
    )
    for event in e["events"]:
        order = replay.orders[event["client_order_id"]]
        before = replay.worst(order["symbol"])
        fill = fills.get((event["client_order_id"], event["exec_id"])) if event["last_qty"] else None
        replay.step(event, fill)
        after = replay.worst(order["symbol"])
        if event["kind"] == "intent":
            yield from _beyond(replay, order, after, limits)
        elif after > before:
            what = f"event {event['event_seq']} ({event['kind']})"
            yield f"{what} takes {order['symbol']} from {before} to {after} shares"


def _beyond(replay: Replay, order: Row, worst: Decimal, limits: Mapping[str, Decimal]) -> Iterator[str]:
    value = order["order_qty"] * order["reference_price"]
    if value > limits["MAX_ORDER_VALUE"]:
        yield f"{order['client_order_id']} is worth {value}, limit {limits['MAX_ORDER_VALUE']}"
    if order["leg"] == "close":
        return  # bringing a position nearer to zero is never refused for its size
    position = worst * order["reference_price"]
    if position > limits["MAX_POSITION"]:
        yield f"{order['symbol']} could reach {position}, limit {limits['MAX_POSITION']}"
    gross, most = replay.gross(), limits["MAX_GROSS"] * replay.equity() * ROUNDING
    if gross > most:
        yield f"gross could reach {gross:.2f}, limit {most:.2f}"


# --------------------------------------------------------------------------------------------------------------- audit


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
    """Every order event and every risk decision has its entry, and no entry is of something that never was."""
    events = Counter(row["event_seq"] for row in e["events"] if row["kind"] != "intent")
    yield from _uncovered("event", events, _entries(e, "order_event", "event_seq"))
    facts = ("client_order_id", "outcome", "reason_code")
    decisions = Counter(tuple(row[name] for name in facts) for row in e["decisions"])
    yield from _uncovered("decision", decisions, _entries(e, "intent", *facts))


def _entries(e: Evidence, kind: str, *names: str) -> Counter[Any]:
    payloads = (entry["payload"] for entry in e["chain"] if entry["kind"] == kind)
    return Counter(p[names[0]] if len(names) == 1 else tuple(p[name] for name in names) for p in payloads)


def _uncovered(what: str, rows: Counter[Any], entries: Counter[Any]) -> Iterator[str]:
    yield from (f"{what} {row} has no entry" for row in rows - entries)
    yield from (f"an entry tells of {what} {row}, which is not there" for row in entries - rows)


# ---------------------------------------------------------------------------------------------------------- in the end


@invariant
def everything_clears(e: Evidence) -> Iterator[str]:
    """Once faults stop: no order open or unknown, no symbol blocked, nothing reserved, every batch decided."""
    for order in e["orders"]:
        if order["ord_status"] not in ENDED:
            yield f"{order['client_order_id']} is still {order['ord_status']}"
    for order in e.ledger["orders"]:
        if order["status"] in OPEN_AT_BROKER:
            yield f"{order['client_order_id']} is still {order['status']} at the broker"
    yield from (f"{row['symbol']} is blocked: {row['reason_code']} {row['detail']}" for row in e["blocked"])
    yield from (f"{row['reserved']} is still reserved" for row in e["cash"] if row["reserved"])
    for batch in e["batches"]:
        if batch["status"] not in {"worked", "quarantined"}:
            yield f"batch {batch['batch_id']} is {batch['status']}"
    last = e["reconciliations"][-1] if e["reconciliations"] else None
    if last is None or not last["is_clean"]:
        yield f"the last reconciliation found {last['breaks'] if last else 'nothing, there is none'}"


@invariant
def it_recovers_in_time(e: Evidence) -> Iterator[str]:
    """Reconciled and ready within five seconds of each start, or of the end of the fault that held it up."""
    yield from (f"took {seconds:.2f} s" for seconds in e.recoveries if seconds > RECOVERY_SECONDS)
