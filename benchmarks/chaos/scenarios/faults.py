"""The exchange's own faults, injected by its administrator: what a broker does wrong by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop

ORDERS, REST = "POST /v2/orders", "GET *"
FAULTS: dict[str, Sequence[dict[str, Any]]] = {
    "answers 500 after it has accepted the order": [{"kind": "error_after", "where": ORDERS, "probability": 0.5}],
    "answers 500 or 503 and has accepted nothing": [
        {"kind": "error_before", "where": ORDERS, "probability": 0.3},
        {"kind": "unavailable", "where": "*", "probability": 0.2},
    ],
    "answers 429": [{"kind": "rate_limit", "where": "*", "probability": 0.3, "seconds": 0.2}],
    "drops requests and answers": [
        {"kind": "drop_request", "where": ORDERS, "probability": 0.3},
        {"kind": "drop_answer", "where": ORDERS, "probability": 0.3},
    ],
    "garbles what it answers": [{"kind": "garble", "where": "*", "probability": 0.2}],
    "tells of events twice, late and out of order": [
        {"kind": "duplicate_event", "probability": 0.5},
        {"kind": "reorder_event", "probability": 0.3, "seconds": 0.2},
        {"kind": "delay_event", "probability": 0.1, "seconds": 0.2},
    ],
    "loses the stream, and goes silent on it": [
        {"kind": "disconnect", "probability": 0.2},
        {"kind": "silence", "probability": 0.1, "count": 2},
    ],
    "fills in pieces, and rejects what it had accepted": [
        {"kind": "split_fill", "pieces": 5},
        {"kind": "reject", "probability": 0.1},
    ],
}


def misbehaves(faults: Sequence[dict[str, Any]], shop: Shop) -> None:
    """A session with the faults, and a death in it."""
    shop.start()
    shop.fault()
    for fault in faults:
        shop.exchange.admin("POST", "faults", {**fault, "seed": shop.rng.randrange(1 << 30)})
    shop.plan(shop.rng.uniform(0, 1.0), shop.daemon.kill)
    shop.trade()
    shop.exchange.admin("DELETE", "faults")
    shop.calm()


for _about, _faults in FAULTS.items():
    _kinds = "_".join(str(fault["kind"]) for fault in _faults)
    scenario(f"exchange: {_about}", name=f"exchange_{_kinds}")(partial(misbehaves, _faults))
