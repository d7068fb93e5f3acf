"""Fills, positions and cash: sums of what was executed and of what the broker booked, and the broker's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

from benchmarks.chaos.evidence import Evidence, Row
from benchmarks.chaos.invariants.registry import ZERO, invariant, signed

TRANSACTED = {"SPLIT"}  # of other entries the quantity is what they were paid on


@invariant
def fills_are_the_brokers(e: Evidence) -> Iterator[str]:
    """The same executions stand, each once, with the same quantity, price and commission: no bust is missing."""
    gone = {f["corrects_exec_id"] for f in e["fills"]} - {None}
    ours = Counter(
        (f["exec_id"], f["client_order_id"], f["last_qty"], f["last_px"], f["commission"])
        for f in e["fills"]
        if f["corrects_exec_id"] is None and f["exec_id"] not in gone
    )
    theirs = Counter(
        (f["id"].rpartition("::")[2], f["client_order_id"], *(Decimal(f[n]) for n in ("qty", "price", "commission")))
        for f in e.ledger["fills"]
        if f["is_live"]
    )
    yield from (f"the broker's {fill[0]} of {fill[1]} is missing here" for fill in (theirs - ours))
    yield from (f"our {fill[0]} of {fill[1]} is not the broker's" for fill in (ours - theirs))


@invariant
def adjustments_are_the_brokers(e: Evidence) -> Iterator[str]:
    """What the broker booked without a trade is booked here, each entry once, to the cent and to the share."""
    ours = Counter((a["adjustment_id"], a["symbol"] or "", a["qty_change"], a["cash_change"]) for a in e["adjustments"])
    theirs = Counter((a["id"], a["symbol"] or "", _shares(a), Decimal(a["net_amount"])) for a in e.ledger["activities"])
    yield from (f"the broker's {entry} is missing here" for entry in (theirs - ours))
    yield from (f"our {entry} is not the broker's" for entry in (ours - theirs))


def _shares(activity: Row) -> Decimal:
    return Decimal(activity["qty"]) if activity["activity_type"] in TRANSACTED else ZERO


@invariant
def positions_are_the_sum_of_fills_and_the_brokers(e: Evidence) -> Iterator[str]:
    """Held = sum of signed fills and adjustments = the broker's, symbol by symbol."""
    summed: dict[str, Decimal] = defaultdict(Decimal)
    for fill in e["fills"]:
        summed[fill["symbol"]] += signed(fill["side"], fill["last_qty"])
    for entry in e["adjustments"]:
        if entry["qty_change"]:
            summed[entry["symbol"]] += entry["qty_change"]
    held = {row["symbol"]: row["quantity"] for row in e["positions"]}
    told = {row["symbol"]: Decimal(row["qty"]) for row in e.ledger["positions"]}
    for symbol in sorted(summed.keys() | held.keys() | told.keys()):
        three = (summed.get(symbol, ZERO), held.get(symbol, ZERO), told.get(symbol, ZERO))
        if len(set(three)) > 1:
            yield f"{symbol}: fills and adjustments give {three[0]}, held {three[1]}, the broker has {three[2]}"


@invariant
def cash_is_right_to_the_cent(e: Evidence) -> Iterator[str]:
    """Balance = initial cash + effects of fills and adjustments, exactly; the broker's, to the cent."""
    effects = [-signed(f["side"], f["last_qty"]) * f["last_px"] - f["commission"] for f in e["fills"]]
    effects += [entry["cash_change"] for entry in e["adjustments"]]
    for account in e["cash"]:
        summed = account["initial_cash"] + sum(effects, ZERO)
        if summed != account["balance"]:
            yield f"fills and adjustments give {summed}, the balance is {account['balance']}"
        if _cents(account["balance"]) != _cents(Decimal(e.ledger["cash"])):
            yield f"the balance is {account['balance']}, the broker's {e.ledger['cash']}"


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
