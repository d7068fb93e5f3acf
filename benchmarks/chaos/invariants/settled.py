"""What must have cleared in the end, and how fast."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.invariants.registry import ENDED, invariant

RECOVERY_SECONDS = 5.0
OPEN_AT_BROKER = {"new", "accepted", "pending_new", "partially_filled", "held"}


@invariant
def everything_clears(e: Evidence) -> Iterator[str]:
    """Once faults stop: no order or parent open, no symbol blocked, nothing reserved, every batch decided."""
    for order in e["orders"]:
        if order["ord_status"] not in ENDED:
            yield f"{order['client_order_id']} is still {order['ord_status']}"
    for order in e.ledger["orders"]:
        if order["status"] in OPEN_AT_BROKER:
            yield f"{order['client_order_id']} is still {order['status']} at the broker"
    yield from (f"parent {row['parent_id']} is {row['status']}" for row in e["parents"] if row["status"] != "ended")
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
