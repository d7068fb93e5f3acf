"""Evidence of a small healthy day, made by hand: one order bought, one sold short of its quantity, one denied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.proxy import Sent

AT = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def order(key: str, symbol: str, side: str, qty: int, price: str, status: str, filled: int, leg: str) -> dict[str, Any]:
    return {
        "client_order_id": key,
        "account": "paper",
        "batch_id": "batch",
        "symbol": symbol,
        "side": side,
        "order_qty": Decimal(qty),
        "reference_price": Decimal(price),
        "ord_status": status,
        "cum_qty": Decimal(filled),
        "leg": leg,
    }


def event(number: int, key: str, kind: str, status: str, exec_id: str = "", qty: int = 0) -> dict[str, Any]:
    return {
        "event_seq": number,
        "client_order_id": key,
        "kind": kind,
        "ord_status": status,
        "exec_id": exec_id,
        "last_qty": Decimal(qty),
        "epoch": 1,
        "committed_at": later(number),
    }


def decision(number: int, key: str, outcome: str, code: str) -> dict[str, Any]:
    return {
        "decision_id": number,
        "client_order_id": key,
        "symbol": "IBM",
        "outcome": outcome,
        "reason_code": code,
        "epoch": 1,
    }


def fill(exec_id: str, key: str, symbol: str, side: str, qty: int, price: str) -> dict[str, Any]:
    return {
        "exec_id": exec_id,
        "client_order_id": key,
        "symbol": symbol,
        "side": side,
        "last_qty": Decimal(qty),
        "last_px": Decimal(price),
        "commission": Decimal("1.00"),
    }


def told(key: str, symbol: str, side: str, qty: int, status: str, filled: int) -> dict[str, Any]:
    return {
        "client_order_id": key,
        "symbol": symbol,
        "side": side,
        "qty": str(qty),
        "status": status,
        "filled_qty": str(filled),
    }


def activity(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"20260105::{one['exec_id']}",
        "client_order_id": one["client_order_id"],
        "qty": str(one["last_qty"]),
        "price": str(one["last_px"]),
        "commission": str(one["commission"]),
    }


def chain_of(tables: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    entries = [("intent", row, 1.0) for row in tables["decisions"]]
    entries += [("order_event", row, row["event_seq"]) for row in tables["events"] if row["kind"] != "intent"]
    return [
        {"seq": seq, "kind": kind, "payload": dict(row), "committed_at": later(at)}
        for seq, (kind, row, at) in enumerate(entries, 1)
    ]


def switched(seq: int, engaged: bool, at: float) -> dict[str, Any]:
    """An entry of the account's kill switch."""
    payload = {"scope": "account", "key": "paper", "engaged": engaged}
    return {"seq": seq, "kind": "kill_switch", "payload": payload, "committed_at": later(at)}


def healthy() -> Evidence:
    """Nothing is wrong with it."""
    fills = [fill("x1", "a", "IBM", "buy", 10, "200"), fill("x2", "b", "FB", "sell", 4, "30")]
    tables: dict[str, list[dict[str, Any]]] = {
        "orders": [
            order("a", "IBM", "buy", 10, "200", "filled", 10, "open"),
            order("b", "FB", "sell", 6, "30", "expired", 4, "open"),
        ],
        "events": [
            event(1, "a", "intent", "pending_new"),
            event(2, "b", "intent", "pending_new"),
            event(3, "a", "new", "new"),
            event(4, "b", "new", "new"),
            event(5, "a", "fill", "filled", "x1", 10),
            event(6, "b", "partial_fill", "partially_filled", "x2", 4),
            event(7, "b", "expired", "expired"),
        ],
        "decisions": [
            decision(1, "a", "accepted", "ACCEPTED"),
            decision(2, "b", "accepted", "ACCEPTED"),
            decision(3, "c", "denied", "MAX_POSITION"),
        ],
        "fills": fills,
        "positions": [{"symbol": "IBM", "quantity": Decimal(10)}, {"symbol": "FB", "quantity": Decimal(-4)}],
        "cash": [{"initial_cash": Decimal(10_000), "balance": Decimal(8_118), "reserved": Decimal(0)}],
        "blocked": [],
        "batches": [{"batch_id": "batch", "status": "worked"}],
        "reconciliations": [{"reconciliation_id": 1, "is_clean": True, "breaks": []}],
        "limits": [
            {"code": "MAX_ORDER_VALUE", "value": Decimal(5_000)},
            {"code": "MAX_POSITION", "value": Decimal(5_000)},
            {"code": "MAX_GROSS", "value": Decimal(1)},
        ],
        "broken_at": [{"seq": None}],
    }
    tables["chain"] = chain_of(tables)
    ledger = {
        "cash": "8118.00",
        "orders": [told("a", "IBM", "buy", 10, "filled", 10), told("b", "FB", "sell", 6, "expired", 4)],
        "fills": [activity(one) for one in fills],
        "positions": [{"symbol": "IBM", "qty": "10"}, {"symbol": "FB", "qty": "-4"}],
    }
    sent = (Sent(later(2.5).timestamp(), "a", None), Sent(later(2.6).timestamp(), "b", None))
    return Evidence(tables, ledger, sent, (1.5,))
