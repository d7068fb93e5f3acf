"""Who leads, and what stops trading: leases, accounts, kill switches, heartbeats."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from execution_daemon.errors import LeaseLost
from execution_daemon.simulation.warehouse import audit
from execution_daemon.simulation.warehouse.database import Given, Transaction, statement, value
from execution_daemon.simulation.warehouse.tables import Row, numeric

NEVER = datetime.min.replace(tzinfo=UTC)


def leads(tx: Transaction, given: Given) -> bool:
    """Whether holder and epoch are those of the account's lease."""
    lease = tx.tables.leases.get(given["account"])
    return lease is not None and (lease["holder"], lease["epoch"]) == (given["holder"], given["epoch"])


def require_lease(tx: Transaction, given: Given) -> None:
    """Raises LeaseLost."""
    if not leads(tx, given):
        what = (
            f"the lease of account {given['account']} is no longer held by {given['holder']} (epoch {given['epoch']})"
        )
        raise LeaseLost(what, "This daemon has stopped; trading.leases names the leader")


@value
def acquire_lease(tx: Transaction, given: Given) -> int | None:
    account, holder = given["account"], given["holder"]
    is_gone = tx.try_lock(account)
    lease = tx.tables.leases.get(account) or {"account": account, "holder": "", "epoch": 0, "expires_at": NEVER}
    if lease["holder"] != holder and not is_gone and lease["expires_at"] > tx.now:
        return None
    epoch: int = lease["epoch"] + 1
    ends = tx.now + timedelta(seconds=given["seconds"])
    tx.tables.leases.put(account, {"account": account, "holder": holder, "epoch": epoch, "expires_at": ends})
    audit.append(tx.tables, "lease", {"account": account, "holder": holder, "epoch": epoch}, tx.now)
    return epoch


@value
def renew_lease(tx: Transaction, given: Given) -> bool:
    if not leads(tx, given):
        return False
    tx.try_lock(given["account"])
    tx.tables.leases.change(given["account"], expires_at=tx.now + timedelta(seconds=given["seconds"]))
    return True


@value
def release_lease(tx: Transaction, given: Given) -> bool:
    if not leads(tx, given):
        return False
    tx.tables.leases.change(given["account"], expires_at=tx.now, holder="")
    return True


@statement
def lease_holder(tx: Transaction, given: Given) -> list[Row]:
    lease = tx.tables.leases.get(given["account"])
    return [{"holder": lease["holder"]}] if lease else []


@statement
def lease(tx: Transaction, given: Given) -> list[Row]:
    row = tx.tables.leases.get(given["account"])
    return [{name: row[name] for name in ("holder", "epoch", "expires_at")}] if row else []


@value
def record_deadman(tx: Transaction, given: Given) -> int:
    detail = json.loads(given["detail"]) | {"account": given["account"]}
    return audit.append(tx.tables, "deadman", detail, tx.now)


@value
def open_account(tx: Transaction, given: Given) -> bool:
    require_lease(tx, given)
    account, at = given["account"], given["at"]
    cash = numeric(given["initial_cash"])
    row = {"account": account, "broker": given["broker"], "initial_cash": cash, "created_at": at}
    if not tx.tables.accounts.insert(account, row):
        return False
    tx.tables.cash.insert(account, {"account": account, "balance": cash, "reserved": numeric(0), "updated_at": at})
    payload = {"account": account, "broker": given["broker"], "initial_cash": given["initial_cash"]}
    audit.append(tx.tables, "account", payload, at)
    return True


@value
def set_kill_switch(tx: Transaction, given: Given) -> str:
    scope, at = given["scope"], given["at"]
    fields = {name: given[name] for name in ("engaged", "reason", "actor")}
    key = "*" if scope == "global" else given["key"]
    tx.tables.kill_switches.put((scope, key), {"scope": scope, "key": key, **fields, "changed_at": at})
    audit.append(tx.tables, "kill_switch", {"scope": scope, "key": given["key"], **fields}, at)
    return ""


def is_killed(tx: Transaction, account: str, symbol: str, strategies: list[str]) -> bool:
    """Whether an engaged switch has this in its scope."""
    keys = {"account": [account], "symbol": [symbol], "strategy": strategies, "global": ["*"]}
    return any(row["engaged"] and row["key"] in keys[row["scope"]] for row in tx.tables.kill_switches)


@statement
def kill_switches(tx: Transaction, _given: Given) -> list[Row]:
    engaged = [row for row in tx.tables.kill_switches if row["engaged"]]
    names = ("scope", "key", "reason", "actor", "changed_at")
    return [{n: row[n] for n in names} for row in sorted(engaged, key=lambda row: (row["scope"], row["key"]))]


@statement
def is_order_killed(tx: Transaction, given: Given) -> list[Row]:
    order = tx.tables.orders.get(given["client_order_id"])
    if order is None:
        return []
    killed = not leads(tx, given) or is_killed(tx, order["account"], order["symbol"], order["strategies"])
    return [{"is_order_killed": killed}]


@value
def beat(tx: Transaction, given: Given) -> None:
    row = {name: given[name] for name in ("component", "holder", "state", "market_time")}
    tx.tables.heartbeats.put(given["component"], {**row, "detail": json.loads(given["detail"]), "beat_at": tx.now})
