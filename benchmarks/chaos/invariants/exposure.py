"""The account replayed event by event: what could be held at worst, and what the limits allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks.chaos.evidence import Evidence, Row
from benchmarks.chaos.invariants.registry import ENDED, ZERO, invariant, signed

DECIDED = {"intent", "released"}
RESTATED = {"trade_cancel", "trade_correct"}  # the broker takes back what it said: that is nobody's decision
ROUNDING = Decimal("1.02")  # gross is judged at reference prices, the daemon judged it at last trades


@dataclass
class Replay:
    """Worst case of each symbol if its working orders fill on one side only."""

    orders: Mapping[str, Row]
    cash: Decimal
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    asked: dict[str, Decimal] = field(default_factory=dict)
    executed: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    leaves: dict[str, Decimal] = field(default_factory=dict)
    working: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    prices: dict[str, Decimal] = field(default_factory=dict)

    def step(self, event: Row, fills: list[Row]) -> None:
        """One order event, with the fills that it brought or took back."""
        key, order = event["client_order_id"], self.orders[event["client_order_id"]]
        self.asked.setdefault(key, order["order_qty"])
        if event["order_qty"]:
            self.asked[key] = event["order_qty"]
        if event["kind"] == "intent":
            self.prices[order["symbol"]] = order["reference_price"]
        for fill in fills:
            change = signed(fill["side"], fill["last_qty"])
            self.held[order["symbol"]] += change
            self.cash -= change * fill["last_px"] + fill["commission"]
            self.executed[key] += signed(order["side"], change)
        is_idle = event["ord_status"] in ENDED or (event["ord_status"] == "held" and _adds_nothing_yet(order))
        self._set_leaves(key, ZERO if is_idle else max(self.asked[key] - self.executed[key], ZERO))

    def adjust(self, entry: Row) -> None:
        """An entry of the broker's; a split keeps what a position is worth."""
        symbol, before = entry["symbol"], self.held[entry["symbol"] or ""]
        self.cash += entry["cash_change"]
        if entry["qty_change"]:
            self.held[symbol] = before + entry["qty_change"]
            self.prices[symbol] *= before / self.held[symbol] if self.held[symbol] else ZERO

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


def _adds_nothing_yet(order: Row) -> bool:
    """Held exits reduce what is not there yet; held replacements are counted by what they replace."""
    return bool(order["leg"] == "close" or order["release"] == "ended")


@invariant
def exposure_stays_within_its_limits(e: Evidence) -> Iterator[str]:
    """At every event: only an intent may add exposure, and none takes a symbol or the account beyond its limit."""
    limits = {row["code"]: row["value"] for row in e["limits"]}  # the last of a code is in force
    fills: dict[int, list[Row]] = defaultdict(list)
    for fill in e["fills"]:
        fills[fill["event_seq"]].append(fill)
    entries = sorted(e["adjustments"], key=lambda entry: entry["committed_at"], reverse=True)
    replay = Replay(
        {row["client_order_id"]: row for row in e["orders"]}, e["cash"][0]["initial_cash"] if e["cash"] else ZERO
    )
    for event in e["events"]:
        while entries and entries[-1]["committed_at"] <= event["committed_at"]:
            replay.adjust(entries.pop())
        order = replay.orders[event["client_order_id"]]
        before = replay.worst(order["symbol"])
        replay.step(event, fills.get(event["event_seq"], []))
        after = replay.worst(order["symbol"])
        if event["kind"] in DECIDED:
            yield from _beyond(replay, order, after, limits)
        elif after > before and event["kind"] not in RESTATED:
            what = f"event {event['event_seq']} ({event['kind']})"
            yield f"{what} takes {order['symbol']} from {before} to {after} shares"


def _beyond(replay: Replay, order: Row, worst: Decimal, limits: Mapping[str, Decimal]) -> Iterator[str]:
    value = replay.asked[order["client_order_id"]] * order["reference_price"]
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
