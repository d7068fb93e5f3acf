"""What the risk controls read, and the equity that losses are measured against."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from execution_daemon.simulation.warehouse.database import Given, Transaction, statement, value
from execution_daemon.simulation.warehouse.intents import ENDED
from execution_daemon.simulation.warehouse.leases import require_lease
from execution_daemon.simulation.warehouse.tables import Row, Tables, numeric

ZERO = Decimal(0)
ALWAYS = datetime.min.replace(tzinfo=UTC)


def trading_day(tables: Tables, mic: str, at: datetime) -> date:
    """The session that is on or comes next."""
    coming = [row for row in tables.sessions if row["exchange_mic"] == mic and row["close_at"] > at]
    day: date = min(coming, key=lambda row: row["close_at"])["session"] if coming else at.astimezone(UTC).date()
    return day


def transfers(tables: Tables, account: str) -> Decimal:
    """Cash paid into the account less what was taken out."""
    rows = tables.account_rows(tables.adjustments, account)
    return sum((row["cash_change"] for row in rows if row["kind"] == "transfer"), ZERO)


@value
def record_equity(tx: Transaction, given: Given) -> str:
    tables, account = tx.tables, given["account"]
    equity = numeric(given["equity"] - transfers(tables, account))
    require_lease(tx, given)
    day = trading_day(tables, given["mic"], given["at"])
    before = tables.equity_marks.get((account, day))
    row = {"account": account, "session": day, "last_equity": equity, "marked_at": given["at"]}
    if before is None:
        row |= {"first_equity": equity, "high_equity": equity, "low_equity": equity, "marks": 1}
    else:
        row = {**before, **row, "marks": before["marks"] + 1}
        row |= {"high_equity": max(before["high_equity"], equity), "low_equity": min(before["low_equity"], equity)}
    tables.equity_marks.put((account, day), row)
    return ""


@statement
def risk_restricted(tx: Transaction, given: Given) -> list[Row]:
    day = given["session"]
    return [
        {name: row[name] for name in ("symbol", "reason", "blocks")}
        for row in tx.tables.restricted
        if row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])
    ]


@statement
def risk_facts(tx: Transaction, given: Given) -> list[Row]:
    """Bars are not kept here: what they say of a symbol is a column of its instrument."""
    found = [tx.tables.instruments.get(symbol) for symbol in given["symbols"]]
    names = ("symbol", "sector", "previous_close", "period_mean", "adv")
    return [{name: row[name] for name in names} for row in found if row is not None]


@statement
def risk_day(tx: Transaction, given: Given) -> list[Row]:
    tables, account = tx.tables, given["account"]
    opened = tables.accounts.get(account)
    if opened is None:
        return []
    values = _ordered(tables, given)
    marks = tables.account_rows(tables.equity_marks, account)
    earlier = [mark for mark in marks if mark["session"] < given["session"]]
    until_now = [mark["high_equity"] for mark in marks if mark["session"] <= given["session"]]
    today = [mark["low_equity"] for mark in marks if mark["session"] == given["session"]]
    clean = [row for row in tables.account_rows(tables.reconciliations, account) if row["is_clean"]]
    transferred, initial = transfers(tables, account), opened["initial_cash"]
    last = max(earlier, key=lambda mark: mark["session"])["last_equity"] if earlier else initial
    return [
        {
            "value": sum(values, ZERO),
            "orders": len(values),
            "start_equity": transferred + last,
            "high_water": transferred + max([initial, *until_now]),
            "low_equity": transferred + today[0] if today else None,
            "reconciled_at": clean[-1]["event_at"] if clean else None,
        }
    ]


def _ordered(tables: Tables, given: Given) -> list[Decimal]:
    """The value of each order and parent since the last close; slices count nothing, their parents do."""
    closes = [row["close_at"] for row in tables.sessions if row["exchange_mic"] == given["mic"]]
    since = max((at for at in closes if at <= given["now"]), default=ALWAYS)
    orders = [row for row in tables.account_rows(tables.orders, given["account"]) if row["created_at"] > since]
    parents = [row for row in tables.account_rows(tables.parents, given["account"]) if row["created_at"] > since]
    return [
        *(ZERO if row["parent_id"] else highest_price(row) * _shares(row) for row in orders),
        *(row["reference_price"] * row["order_qty"] for row in parents),
    ]


def highest_price(order: Row) -> Decimal:
    """The most that a share of a stored order may cost, USD."""
    prices: list[Decimal] = [order["reference_price"], order["limit_price"] or ZERO, order["stop_price"] or ZERO]
    return max(prices)


def _shares(order: Row) -> Decimal:
    if order["ord_status"] in ENDED:
        executed: Decimal = order["cum_qty"]
        return executed
    sent: Decimal = order["order_qty"] if order["released_qty"] is None else order["released_qty"]
    return sent


@statement
def risk_recent(tx: Transaction, given: Given) -> list[Row]:
    def is_recent(row: Row) -> bool:
        return bool(given["since"] < row["created_at"] <= given["now"])

    account = given["account"]
    names = ("symbol", "side", "order_qty", "order_type", "limit_price", "created_at")
    orders: list[dict[str, Any]] = [
        {**{name: row[name] for name in names}, "was_executed": row["cum_qty"] > 0}
        for row in tx.tables.account_rows(tx.tables.orders, account)
        if row["parent_id"] is None and is_recent(row) and (row["cum_qty"] > 0 or row["ord_status"] not in ENDED)
    ]
    parents: list[dict[str, Any]] = [
        {**row, "order_type": "market", "limit_price": None, "was_executed": True}
        for row in tx.tables.account_rows(tx.tables.parents, account)
        if is_recent(row)
    ]
    kept = (*names, "was_executed")
    return sorted(({n: row[n] for n in kept} for row in [*orders, *parents]), key=lambda row: row["created_at"])


@statement
def volume_profiles(_tx: Transaction, _given: Given) -> list[Row]:
    """No minute bars are kept here: no profile."""
    return []
