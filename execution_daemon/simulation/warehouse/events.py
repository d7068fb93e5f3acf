"""record_event_v1 and what else follows from the broker: fills, positions, cash, blocks, adjustments."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from execution_daemon.simulation.warehouse import audit
from execution_daemon.simulation.warehouse.database import Given, Refused, Transaction, value
from execution_daemon.simulation.warehouse.leases import require_lease
from execution_daemon.simulation.warehouse.tables import Row, Tables, moment, numeric, optional

AFTER_HOURS = timedelta(hours=4)
CLEARING = {"SEND_UNPROVEN", "RECONCILIATION_BREAK"}


@value
def record_event(tx: Transaction, given: Given) -> int | None:
    require_lease(tx, given)
    event: dict[str, Any] = json.loads(given["event"])
    order = tx.tables.orders.get(event["client_order_id"])
    if order is None:
        raise Refused("query returned no rows")
    fills: list[dict[str, Any]] = event.get("fills") or []
    if any((given["broker"], fill["exec_id"]) in tx.tables.fill_ids for fill in fills):
        return None
    if order["cum_qty"] != numeric(event["cum_qty_before"]):
        raise Refused(
            f"order {event['client_order_id']} holds {order['cum_qty']}, the daemon {event['cum_qty_before']}"
        )
    at = moment(event["event_at"])
    seq = tx.tables.events.append(_event(tx, given, event, at))
    _change_order(tx, event, at)
    _change_cash(tx, given["account"], event, order["reserved_value"], at)
    for fill in fills:
        _add_fill(tx, given, order, fill, seq, at)
    if fills:
        move_position(tx, given["account"], order["symbol"], event, at)
    for block in event.get("blocks") or []:
        put_block(tx, given["account"], order["symbol"], block["code"], block["detail"], at)
    for unblock in event.get("unblocks") or []:
        take_block(tx, given["account"], order["symbol"], unblock["code"], given["holder"], at)
    payload = {**event, "account": given["account"], "epoch": given["epoch"], "event_seq": seq}
    audit.append(tx.tables, "order_event", payload, at)
    return seq


def _event(tx: Transaction, given: Given, event: dict[str, Any], at: datetime) -> Row:
    return {
        "event_seq": len(tx.tables.events) + 1,
        "client_order_id": event["client_order_id"],
        "account": given["account"],
        "kind": event["kind"],
        "ord_status": event["ord_status"],
        "exec_id": event["exec_id"] or None,
        "last_qty": numeric(event["last_qty"]),
        "last_px": optional(event["last_px"]),
        "commission": numeric(event["commission"]),
        "broker_order_id": event["broker_order_id"] or None,
        "text": event["text"] or None,
        "epoch": given["epoch"],
        "event_at": at,
        "exec_ref_id": event.get("exec_ref_id") or None,
        "order_qty": optional(event.get("order_qty")),
        "recorded_at": tx.now,
    }


def _change_order(tx: Transaction, event: dict[str, Any], at: datetime) -> None:
    key = event["client_order_id"]
    before = tx.tables.orders.get(key) or {}
    released = optional(event.get("order_qty"))
    tx.tables.orders.change(
        key,
        ord_status=event["ord_status"],
        cum_qty=numeric(event["cum_qty"]),
        avg_px=optional(event["avg_px"]),
        reserved_value=numeric(event["reserved_value"]),
        broker_order_id=before["broker_order_id"] or event["broker_order_id"] or None,
        updated_at=at,
        released_qty=before["released_qty"] if released is None else released,
    )


def _change_cash(tx: Transaction, account: str, event: dict[str, Any], reserved_before: Any, at: datetime) -> None:
    cash_effect, reserved = numeric(event["cash_effect"]), numeric(event["reserved_value"])
    cash = tx.tables.cash.get(account)
    if cash is not None and (cash_effect != 0 or reserved != reserved_before):
        total = cash["reserved"] + reserved - reserved_before
        tx.tables.cash.change(account, balance=cash["balance"] + cash_effect, reserved=total, updated_at=at)


def _add_fill(tx: Transaction, given: Given, order: Row, fill: dict[str, Any], seq: int, at: datetime) -> None:
    row = {
        "event_seq": seq,
        "broker": given["broker"],
        "exec_id": fill["exec_id"],
        "client_order_id": order["client_order_id"],
        "account": given["account"],
        "symbol": order["symbol"],
        "side": fill["side"],
        "last_qty": numeric(fill["last_qty"]),
        "last_px": numeric(fill["last_px"]),
        "commission": numeric(fill["commission"]),
        "session": session_at(tx.tables, given["mic"], at),
        "event_at": at,
        "corrects_exec_id": fill["corrects_exec_id"],
    }
    if not tx.tables.fill_ids.insert((given["broker"], fill["exec_id"]), row):
        raise Refused(f"duplicate key value: fill {fill['exec_id']}")
    tx.tables.fills.append(row)


def session_at(tables: Tables, mic: str, at: datetime) -> date:
    """The session an execution belongs to; up to four hours after a close still to that session."""
    mine = [row for row in tables.sessions if row["exchange_mic"] == mic and row["close_at"] >= at - AFTER_HOURS]
    day: date = min(mine, key=lambda row: row["close_at"])["session"] if mine else at.astimezone(UTC).date()
    return day


def move_position(tx: Transaction, account: str, symbol: str, event: dict[str, Any], at: datetime) -> None:
    """Set the position, if the daemon knew what it was."""
    before = tx.tables.positions.get((account, symbol))
    if before is not None and before["quantity"] != numeric(event["quantity_before"]):
        raise Refused(f"position of {account} in {symbol} is not the {event['quantity_before']} that the daemon holds")
    numbers = {name: numeric(event[name]) for name in ("quantity", "avg_cost", "realized_pnl")}
    tx.tables.positions.put((account, symbol), {"account": account, "symbol": symbol, **numbers, "updated_at": at})


@value
def record_adjustment(tx: Transaction, given: Given) -> bool:
    require_lease(tx, given)
    entry: dict[str, Any] = json.loads(given["adjustment"])
    at, account = moment(entry["event_at"]), given["account"]
    row = {
        "broker": given["broker"],
        "adjustment_id": entry["adjustment_id"],
        "account": account,
        "kind": entry["kind"],
        "symbol": entry["symbol"] or None,
        "qty_change": numeric(entry["qty_change"]),
        "cash_change": numeric(entry["cash_change"]),
        "text": entry["text"] or None,
        "epoch": given["epoch"],
        "event_at": at,
        "recorded_at": tx.now,
    }
    if not tx.tables.adjustments.insert((given["broker"], entry["adjustment_id"]), row):
        return False
    cash = tx.tables.cash.get(account)
    if row["cash_change"] and cash is not None:
        tx.tables.cash.change(account, balance=cash["balance"] + row["cash_change"], updated_at=at)
    if row["qty_change"]:
        move_position(tx, account, entry["symbol"], entry, at)
    payload = {**entry, "account": account, "broker": given["broker"], "epoch": given["epoch"]}
    audit.append(tx.tables, "adjustment", payload, at)
    return True


def put_block(tx: Transaction, account: str, symbol: str, code: str, detail: str, at: datetime) -> None:
    """One cause per symbol; a cause that clears itself gives way to one that does not."""
    standing = tx.tables.blocked.get((account, symbol))
    if standing is not None:
        gives_way = standing["reason_code"] in CLEARING and code not in {standing["reason_code"], "SEND_UNPROVEN"}
        if not gives_way:
            return
    fields = {"account": account, "symbol": symbol, "reason_code": code, "detail": detail}
    tx.tables.blocked.put((account, symbol), {**fields, "blocked_at": at})
    audit.append(tx.tables, "block", fields, at)


def take_block(tx: Transaction, account: str, symbol: str, code: str, actor: str, at: datetime) -> bool:
    """Take a cause away; False where it does not stand."""
    standing = tx.tables.blocked.get((account, symbol))
    if standing is None or standing["reason_code"] != code:
        return False
    tx.tables.blocked.delete((account, symbol))
    payload = {"account": account, "symbol": symbol, "reason_code": code, "actor": actor}
    audit.append(tx.tables, "unblock", payload, at)
    return True


@value
def block_symbol(tx: Transaction, given: Given) -> str:
    require_lease(tx, given)
    put_block(tx, given["account"], given["symbol"], given["reason_code"], given["detail"], given["at"])
    return ""


@value
def unblock_symbol(tx: Transaction, given: Given) -> bool:
    require_lease(tx, given)
    return take_block(tx, given["account"], given["symbol"], given["reason_code"], given["actor"], given["at"])


@value
def record_reconciliation(tx: Transaction, given: Given) -> int:
    require_lease(tx, given)
    breaks = json.loads(given["breaks"])
    row = {
        "account": given["account"],
        "is_clean": not breaks,
        "breaks": breaks,
        "orders_checked": given["orders_checked"],
        "fills_checked": given["fills_checked"],
        "epoch": given["epoch"],
        "event_at": given["at"],
        "recorded_at": tx.now,
        "reconciliation_id": len(tx.tables.reconciliations) + 1,
    }
    number = tx.tables.reconciliations.append(row)
    payload = {"account": given["account"], "reconciliation_id": number, "breaks": breaks}
    audit.append(tx.tables, "reconciliation", payload, given["at"])
    return number
