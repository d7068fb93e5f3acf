"""The daemon's reads of its own book."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from execution_daemon.simulation.warehouse.database import Given, Transaction, statement
from execution_daemon.simulation.warehouse.intents import ENDED
from execution_daemon.simulation.warehouse.tables import Row, numeric

ORDER = (
    "client_order_id", "account", "batch_id", "symbol", "side", "order_type", "time_in_force", "order_qty",
    "reference_price", "leg", "ord_status", "cum_qty", "avg_px", "reserved_value", "valid_until", "limit_price",
    "stop_price", "trail_offset", "limit_offset", "post_only", "reduce_only", "group_id", "after_id", "release",
    "is_oco", "parent_id", "strategies",
)  # fmt: skip
PARENT = (
    "parent_id", "account", "batch_id", "symbol", "side", "order_qty", "reference_price", "leg", "strategies",
    "schedule", "start_at", "end_at", "status",
)  # fmt: skip
ALWAYS = datetime.min.replace(tzinfo=UTC)


def _only(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names}


@statement
def account(tx: Transaction, given: Given) -> list[Row]:
    row, cash = tx.tables.accounts.get(given["account"]), tx.tables.cash.get(given["account"])
    if row is None or cash is None:
        return []
    return [{**_only(row, ("account", "initial_cash", "created_at")), "balance": cash["balance"]}]


@statement
def reserved(tx: Transaction, given: Given) -> list[Row]:
    cash = tx.tables.cash.get(given["account"])
    return [{"reserved": cash["reserved"]}] if cash else []


@statement
def positions(tx: Transaction, given: Given) -> list[Row]:
    rows = tx.tables.account_rows(tx.tables.positions, given["account"])
    return [_only(row, ("symbol", "quantity", "avg_cost", "realized_pnl")) for row in rows]


@statement
def blocked(tx: Transaction, given: Given) -> list[Row]:
    rows = tx.tables.account_rows(tx.tables.blocked, given["account"])
    return [_only(row, ("symbol", "reason_code", "detail")) for row in rows]


@statement
def live_orders(tx: Transaction, given: Given) -> list[Row]:
    mine = tx.tables.account_rows(tx.tables.orders, given["account"])
    live = [row for row in mine if row["ord_status"] not in ENDED]
    ids = {row["client_order_id"] for row in live} | _awaited(tx, live)
    groups = {row["group_id"] for row in live} - {None}
    parents = {
        row["parent_id"]
        for row in tx.tables.account_rows(tx.tables.parents, given["account"])
        if row["status"] == "working"
    }
    since = max((row["event_at"] for row in _clean(tx, given)), default=ALWAYS)
    rows = [
        row
        for row in mine
        if row["client_order_id"] in ids
        or row["group_id"] in groups
        or row["parent_id"] in parents
        or row["updated_at"] >= since
    ]
    return [_only(row, ORDER) for row in sorted(rows, key=lambda r: (r["created_at"], r["client_order_id"]))]


def _awaited(tx: Transaction, live: list[Row]) -> set[str]:
    """What held orders wait for; of what was replaced before it was sent, what it waited for."""
    found: set[str] = set()
    ask = [row["after_id"] for row in live]
    while ask:
        key = ask.pop()
        if key is None or key in found:
            continue
        found.add(key)
        row = tx.tables.orders.get(key)
        if row is not None and row["released_qty"] is None:
            ask.append(row["after_id"])
    return found


@statement
def all_orders(tx: Transaction, given: Given) -> list[Row]:
    return [_only(row, ORDER) for row in tx.tables.account_rows(tx.tables.orders, given["account"])]


@statement
def one_order(tx: Transaction, given: Given) -> list[Row]:
    row = tx.tables.orders.get(given["client_order_id"])
    return [_only(row, ORDER)] if row is not None and row["account"] == given["account"] else []


def _told(row: Row) -> Row:
    texts = {name: row[name] or "" for name in ("exec_id", "broker_order_id", "text", "exec_ref_id")}
    numbers = {name: row[name] or numeric(0) for name in ("last_qty", "last_px", "commission", "order_qty")}
    return {**_only(row, ("client_order_id", "kind", "event_at")), **texts, **numbers}


@statement
def events(tx: Transaction, given: Given) -> list[Row]:
    wanted = set(given["client_order_ids"])
    return [_told(row) for row in tx.tables.events if row["client_order_id"] in wanted and row["kind"] != "intent"]


@statement
def all_events(tx: Transaction, given: Given) -> list[Row]:
    rows = tx.tables.account_rows(tx.tables.events, given["account"])
    return [{**_told(row), "recorded_at": row["recorded_at"]} for row in rows if row["kind"] != "intent"]


@statement
def parents(tx: Transaction, given: Given) -> list[Row]:
    rows = [r for r in tx.tables.account_rows(tx.tables.parents, given["account"]) if r["status"] == "working"]
    return [_only(row, PARENT) for row in sorted(rows, key=lambda r: (r["created_at"], r["parent_id"]))]


@statement
def all_adjustments(tx: Transaction, given: Given) -> list[Row]:
    names = ("adjustment_id", "kind", "qty_change", "cash_change", "event_at", "recorded_at")
    rows = tx.tables.account_rows(tx.tables.adjustments, given["account"])
    return [{**_only(r, names), "symbol": r["symbol"] or "", "text": r["text"] or ""} for r in rows]


@statement
def adjustments_since(tx: Transaction, given: Given) -> list[Row]:
    since = given["since"] or ALWAYS
    rows = tx.tables.account_rows(tx.tables.adjustments, given["account"])
    return [
        {"adjustment_id": r["adjustment_id"]} for r in rows if r["broker"] == given["broker"] and r["event_at"] >= since
    ]


@statement
def fills_since(tx: Transaction, given: Given) -> list[Row]:
    since, broker = given["since"] or ALWAYS, given["broker"]
    taken_back = {row["corrects_exec_id"] for row in tx.tables.fills if row["broker"] == broker}
    names = ("exec_id", "client_order_id", "symbol", "last_qty", "last_px", "commission")
    return [
        _only(row, names)
        for row in tx.tables.account_rows(tx.tables.fills, given["account"])
        if row["broker"] == broker
        and row["event_at"] >= since
        and row["corrects_exec_id"] is None
        and row["exec_id"] not in taken_back
    ]


def _clean(tx: Transaction, given: Given) -> list[Row]:
    return [r for r in tx.tables.account_rows(tx.tables.reconciliations, given["account"]) if r["is_clean"]]


@statement
def last_reconciliation(tx: Transaction, given: Given) -> list[Row]:
    rows = tx.tables.account_rows(tx.tables.reconciliations, given["account"])
    return [_only(row, ("reconciliation_id", "is_clean", "event_at")) for row in rows[-1:]]


@statement
def last_clean_reconciliation(tx: Transaction, given: Given) -> list[Row]:
    return [{"event_at": row["event_at"]} for row in _clean(tx, given)[-1:]]
