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
        "after_id": None,
        "release": None,
        "released_qty": None,
        "parent_id": None,
    }


def event(number: int, key: str, kind: str, status: str, exec_id: str = "", qty: int = 0) -> dict[str, Any]:
    return {
        "event_seq": number,
        "client_order_id": key,
        "kind": kind,
        "ord_status": status,
        "exec_id": exec_id,
        "last_qty": Decimal(qty),
        "order_qty": None,
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


def fill(event_seq: int, exec_id: str, key: str, symbol: str, side: str, qty: int, price: str) -> dict[str, Any]:
    return {
        "event_seq": event_seq,
        "exec_id": exec_id,
        "client_order_id": key,
        "symbol": symbol,
        "side": side,
        "last_qty": Decimal(qty),
        "last_px": Decimal(price),
        "commission": Decimal("1.00"),
        "corrects_exec_id": None,
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
        "is_live": True,
    }


def adjustment(key: str, symbol: str | None, qty: int, cash: str, at: float) -> dict[str, Any]:
    return {
        "adjustment_id": key,
        "kind": key.partition(":")[0].lower(),
        "symbol": symbol,
        "qty_change": Decimal(qty),
        "cash_change": Decimal(cash),
        "committed_at": later(at),
    }


def entry(one: dict[str, Any]) -> dict[str, Any]:
    """The broker's word for an adjustment."""
    return {
        "id": one["adjustment_id"],
        "activity_type": one["adjustment_id"].partition(":")[0],
        "symbol": one["symbol"],
        "qty": str(one["qty_change"]) if one["symbol"] else None,
        "net_amount": str(one["cash_change"]),
    }


def chain_of(tables: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    entries = [("intent", row, 1.0) for row in tables["decisions"]]
    entries += [("order_event", row, row["event_seq"]) for row in tables["events"] if row["kind"] != "intent"]
    entries += [("adjustment", row, 12.0) for row in tables["adjustments"]]
    return [
        {"seq": seq, "kind": kind, "payload": dict(row), "committed_at": later(at)}
        for seq, (kind, row, at) in enumerate(entries, 1)
    ]


def switched(seq: int, engaged: bool, at: float) -> dict[str, Any]:
    """An entry of the account's kill switch."""
    payload = {"scope": "account", "key": "paper", "engaged": engaged}
    return {"seq": seq, "kind": "kill_switch", "payload": payload, "committed_at": later(at)}


def held_after(first: str, one: dict[str, Any], release: str) -> dict[str, Any]:
    return one | {"after_id": first, "release": release, "released_qty": one["order_qty"]}


def healthy() -> Evidence:
    """Nothing is wrong with it.

    `a` is bought, in a slice of a parent of 12; `b` is sold short of its quantity; `c` is denied. `d` is held until `a`
    is filled, and executed twice, of which once is taken back. A dividend is paid, and IBM is split.
    """
    back = fill(11, "x3:taken-back", "d", "IBM", "buy", 3, "210") | {"corrects_exec_id": "x3"}
    fills = [
        fill(5, "x1", "a", "IBM", "buy", 10, "200"),
        fill(6, "x2", "b", "FB", "sell", 4, "30"),
        fill(9, "x3", "d", "IBM", "sell", 3, "210"),
        fill(10, "x4", "d", "IBM", "sell", 2, "210"),
        back | {"commission": Decimal("-1.00")},
    ]
    adjustments = [adjustment("DIV:1", None, 0, "3.70", 6.5), adjustment("SPLIT:2", "IBM", 8, "0.25", 12.0)]
    tables: dict[str, list[dict[str, Any]]] = {
        "orders": [
            order("a", "IBM", "buy", 10, "200", "filled", 10, "open") | {"parent_id": "p"},
            order("b", "FB", "sell", 6, "30", "expired", 4, "open"),
            held_after("a", order("d", "IBM", "sell", 5, "200", "canceled", 2, "close"), "filled"),
        ],
        "parents": [
            {"parent_id": "p", "symbol": "IBM", "side": "buy", "order_qty": Decimal(12), "status": "ended"},
        ],
        "events": [
            event(1, "a", "intent", "pending_new"),
            event(2, "b", "intent", "pending_new"),
            event(3, "a", "new", "new"),
            event(4, "d", "intent", "held"),
            event(5, "a", "fill", "filled", "x1", 10),
            event(6, "b", "partial_fill", "partially_filled", "x2", 4),
            event(7, "b", "expired", "expired"),
            event(8, "d", "released", "pending_new") | {"order_qty": Decimal(5)},
            event(9, "d", "partial_fill", "partially_filled", "x3", 3),
            event(10, "d", "fill", "filled", "x4", 2),
            event(11, "d", "trade_cancel", "canceled", "x5"),
        ],
        "decisions": [
            decision(1, "a", "accepted", "ACCEPTED"),
            decision(2, "b", "accepted", "ACCEPTED"),
            decision(3, "c", "denied", "MAX_POSITION"),
            decision(4, "p", "accepted", "ACCEPTED"),
            decision(5, "d", "accepted", "ACCEPTED"),
        ],
        "fills": fills,
        "adjustments": adjustments,
        "positions": [{"symbol": "IBM", "quantity": Decimal(16)}, {"symbol": "FB", "quantity": Decimal(-4)}],
        "cash": [{"initial_cash": Decimal(10_000), "balance": Decimal("8540.95"), "reserved": Decimal(0)}],
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
    executed = [activity(one) for one in fills[:4]]
    executed[2]["is_live"] = False
    ledger = {
        "cash": "8540.95",
        "orders": [
            told("a", "IBM", "buy", 10, "filled", 10),
            told("b", "FB", "sell", 6, "expired", 4),
            told("d", "IBM", "sell", 5, "filled", 2),
        ],
        "fills": [*executed, activity(back | {"exec_id": "x5"}) | {"qty": "-3", "is_live": False}],
        "activities": [entry(one) for one in adjustments],
        "positions": [{"symbol": "IBM", "qty": "16"}, {"symbol": "FB", "qty": "-4"}],
    }
    sent = tuple(Sent(later(at).timestamp(), key, None) for at, key in ((2.5, "a"), (2.6, "b"), (8.5, "d")))
    return Evidence(tables, ledger, sent, (1.5,))
