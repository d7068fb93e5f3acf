"""submit_intents_v1: orders become durable before they are sent."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from bifrost_core.trading.terms import PRICES
from execution_daemon.simulation.warehouse import audit
from execution_daemon.simulation.warehouse.database import Given, Refused, Transaction, statement, value
from execution_daemon.simulation.warehouse.leases import is_killed, require_lease
from execution_daemon.simulation.warehouse.tables import Row, moment, numeric, optional

ENDED = {"filled", "canceled", "rejected", "expired"}
FIELDS = (
    "client_order_id", "batch_id", "strategies", "symbol", "side", "order_type", "time_in_force", "order_qty",
    "reference_price", "leg", "reserved_value", "outcome", "reason_code", "limit_value", "actual_value", "detail",
    "limit_price", "stop_price", "trail_offset", "limit_offset", "post_only", "reduce_only", "group_id", "after_id",
    "release", "is_oco", "parent_id", "valid_until", "schedule", "start_at", "end_at",
)  # fmt: skip


@statement
def submit_intents(tx: Transaction, given: Given) -> list[Row]:
    require_lease(tx, given)
    cash = tx.tables.cash.get(given["account"])
    if cash is None:
        raise Refused("query returned no rows")
    reserved = before = cash["reserved"]
    limit = given["reserve_limit"]
    answers = []
    for raw in json.loads(given["intents"]):
        intent = {name: raw.get(name) for name in FIELDS}
        if intent["outcome"] == "accepted":
            reserved = _accept(tx, given, intent, reserved)
        _decide(tx, given, intent)
        audit.append(tx.tables, "intent", _told(given, raw, intent), given["at"])
        answers.append({name: intent[name] for name in ("client_order_id", "outcome", "reason_code")})
    if reserved > before:
        if reserved > limit:
            raise Refused(f"reservation of {reserved} for account {given['account']} is not possible")
        tx.tables.cash.change(given["account"], reserved=reserved, updated_at=given["at"])
    return answers


def _accept(tx: Transaction, given: Given, intent: dict[str, Any], reserved: Any) -> Any:
    """Write the order unless something denies it; returns what is reserved after it."""
    more, limit = numeric(intent["reserved_value"]), given["reserve_limit"]
    if is_killed(tx, given["account"], intent["symbol"], intent["strategies"] or []):
        intent |= {"outcome": "denied", "reason_code": "KILL_SWITCH"}
    elif more > 0 and reserved + more > limit:
        intent |= {
            "outcome": "denied",
            "reason_code": "BUYING_POWER",
            "limit_value": limit,
            "actual_value": reserved + more,
        }
    elif intent["parent_id"] is not None and not _has_room(tx, given["account"], intent):
        intent |= {"outcome": "denied", "reason_code": "PARENT_EXCEEDED"}
    elif intent["schedule"] is not None:
        if not tx.tables.parents.insert(intent["client_order_id"], _parent(given, intent)):
            intent |= {"outcome": "denied", "reason_code": "DUPLICATE_ORDER"}
    elif tx.tables.orders.insert(intent["client_order_id"], _order(tx, given, intent)):
        _intent_event(tx, given, intent)
        return reserved + more
    else:
        intent |= {"outcome": "denied", "reason_code": "DUPLICATE_ORDER"}
    return reserved


def _has_room(tx: Transaction, account: str, intent: dict[str, Any]) -> bool:
    """Whether all slices of the parent, this one included, stay within its quantity."""
    parent = tx.tables.parents.get(intent["parent_id"])
    if parent is None or parent["account"] != account or parent["status"] != "working":
        return False
    slices = [row for row in tx.tables.orders if row["parent_id"] == intent["parent_id"]]
    taken = sum((row["cum_qty"] if row["ord_status"] in ENDED else row["order_qty"] for row in slices), numeric(0))
    return bool(numeric(intent["order_qty"]) <= parent["order_qty"] - taken)


def _order(tx: Transaction, given: Given, intent: dict[str, Any]) -> Row:
    batch = tx.tables.batches.get(UUID(intent["batch_id"]))
    valid = moment(intent["valid_until"]) if intent["valid_until"] else batch["valid_until"] if batch else None
    texts = ("client_order_id", "symbol", "side", "order_type", "time_in_force", "leg")
    links = ("group_id", "after_id", "release", "parent_id")
    return {
        **{name: intent[name] for name in (*texts, *links)},
        **{name: optional(intent[name]) for name in PRICES},
        **{name: bool(intent[name]) for name in ("post_only", "reduce_only", "is_oco")},
        "account": given["account"],
        "batch_id": UUID(intent["batch_id"]),
        "order_qty": numeric(intent["order_qty"]),
        "reference_price": numeric(intent["reference_price"]),
        "ord_status": _status(intent),
        "cum_qty": numeric(0),
        "avg_px": None,
        "broker_order_id": None,
        "reserved_value": numeric(intent["reserved_value"]),
        "strategies": list(intent["strategies"] or []),
        "valid_until": valid,
        "released_qty": None,
        "created_at": given["at"],
        "updated_at": given["at"],
    }


def _status(intent: dict[str, Any]) -> str:
    return "pending_new" if intent["after_id"] is None else "held"


def _intent_event(tx: Transaction, given: Given, intent: dict[str, Any]) -> None:
    tx.tables.events.append(
        {
            "event_seq": len(tx.tables.events) + 1,
            "client_order_id": intent["client_order_id"],
            "account": given["account"],
            "kind": "intent",
            "ord_status": _status(intent),
            "exec_id": None,
            "last_qty": numeric(0),
            "last_px": None,
            "commission": numeric(0),
            "broker_order_id": None,
            "text": None,
            "epoch": given["epoch"],
            "event_at": given["at"],
            "exec_ref_id": None,
            "order_qty": None,
            "recorded_at": tx.now,
        }
    )


def _parent(given: Given, intent: dict[str, Any]) -> Row:
    return {
        **{name: intent[name] for name in ("symbol", "side", "leg", "strategies", "schedule")},
        "parent_id": intent["client_order_id"],
        "account": given["account"],
        "batch_id": UUID(intent["batch_id"]),
        "order_qty": numeric(intent["order_qty"]),
        "reference_price": numeric(intent["reference_price"]),
        "start_at": moment(intent["start_at"]),
        "end_at": moment(intent["end_at"]),
        "status": "working",
        "created_at": given["at"],
        "updated_at": given["at"],
    }


def _decide(tx: Transaction, given: Given, intent: dict[str, Any]) -> None:
    texts = ("client_order_id", "symbol", "side", "outcome", "reason_code", "limit_value", "actual_value")
    decision = {
        **{name: intent[name] for name in texts},
        "account": given["account"],
        "batch_id": UUID(intent["batch_id"]),
        "order_qty": numeric(intent["order_qty"]),
        "reference_price": optional(intent["reference_price"]),
        "detail": intent["detail"] or {},
        "epoch": given["epoch"],
        "decided_at": given["at"],
    }
    tx.tables.decisions.append(decision)


def _told(given: Given, raw: Row, intent: Row) -> Row:
    """What the chain keeps: the intent as it was given, and what became of it where that is something else."""
    told = raw | {"account": given["account"], "epoch": given["epoch"]}
    if intent["outcome"] == raw["outcome"]:
        return told
    decided = {name: intent[name] for name in ("outcome", "reason_code", "limit_value", "actual_value")}
    return told | {name: value for name, value in decided.items() if value is not None}


@value
def end_parent(tx: Transaction, given: Given) -> bool:
    require_lease(tx, given)
    parent = tx.tables.parents.get(given["parent_id"])
    if parent is None or parent["account"] != given["account"] or parent["status"] != "working":
        return False
    tx.tables.parents.change(given["parent_id"], status="ended", updated_at=given["at"])
    payload = {name: given[name] for name in ("account", "parent_id", "text")}
    audit.append(tx.tables, "parent_ended", payload, given["at"])
    return True
