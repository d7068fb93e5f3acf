"""Target batches and what was decided on them; the reference data that they are judged by."""

from __future__ import annotations

from execution_daemon.simulation.warehouse import audit
from execution_daemon.simulation.warehouse.database import Given, Transaction, statement, value
from execution_daemon.simulation.warehouse.leases import require_lease
from execution_daemon.simulation.warehouse.tables import Row

COLUMNS = (
    "batch_id", "account", "strategies", "as_of_session", "valid_from", "valid_until", "row_count", "content_hash",
    "dagster_run_id", "code_version", "data_version",
)  # fmt: skip


def _status(tx: Transaction, batch: Row) -> str | None:
    decided = tx.tables.batch_intake.get(batch["batch_id"])
    return decided["status"] if decided else None


def _decided_ids(tx: Transaction) -> set[object]:
    return {row["batch_id"] for row in tx.tables.decisions}


@value
def decide_batch(tx: Transaction, given: Given) -> bool:
    require_lease(tx, given)
    fields = {name: given[name] for name in ("account", "batch_id", "status", "reason_code", "detail")}
    before = tx.tables.batch_intake.get(given["batch_id"])
    if before is not None and before["status"] != "released":
        if before["status"] != "accepted" or given["status"] == "accepted":
            return False
        fields["account"] = before["account"]
    tx.tables.batch_intake.put(given["batch_id"], {**fields, "decided_at": given["at"]})
    audit.append(tx.tables, "batch", {**fields, "account": given["account"]}, given["at"])
    return True


@value
def release_batch(tx: Transaction, given: Given) -> bool:
    require_lease(tx, given)
    row = tx.tables.batch_intake.get(given["batch_id"])
    if row is None or row["account"] != given["account"] or row["status"] != "quarantined":
        return False
    tx.tables.batch_intake.change(given["batch_id"], status="released", decided_at=given["at"])
    payload = {name: given[name] for name in ("account", "batch_id", "reason", "actor")}
    audit.append(tx.tables, "batch_released", payload, given["at"])
    return True


@statement
def undecided_batches(tx: Transaction, given: Given) -> list[Row]:
    planned = _decided_ids(tx)
    rows = []
    for batch in sorted(tx.tables.batches, key=lambda row: (row["created_at"], row["batch_id"])):
        status = _status(tx, batch)
        is_open = status in {None, "released"} or (status == "accepted" and batch["batch_id"] not in planned)
        if batch["account"] == given["account"] and is_open:
            symbols = sorted(row["symbol"] for row in tx.tables.targets if row["batch_id"] == batch["batch_id"])
            told = {"is_released": status == "released", "symbols": symbols}
            rows.append({**{name: batch[name] for name in COLUMNS}, **told})
    return rows


@statement
def accepted_batches(tx: Transaction, given: Given) -> list[Row]:
    planned = _decided_ids(tx)
    rows = tx.tables.account_rows(tx.tables.batch_intake, given["account"])
    return [{"batch_id": row["batch_id"]} for row in rows if row["status"] == "accepted" and row["batch_id"] in planned]


@statement
def last_batch(tx: Transaction, given: Given) -> list[Row]:
    worked = [
        (tx.tables.batch_intake.get(batch["batch_id"])["decided_at"], batch["created_at"], batch)  # type: ignore[index]
        for batch in tx.tables.batches
        if batch["account"] == given["account"] and _status(tx, batch) == "worked"
    ]
    if not worked:
        return []
    batch = max(worked, key=lambda one: one[:2])[2]
    return [{name: batch[name] for name in COLUMNS}]


@statement
def targets(tx: Transaction, given: Given) -> list[Row]:
    wanted = set(given["batch_ids"])
    rows = [row for row in tx.tables.targets if row["batch_id"] in wanted]
    return [dict(row) for row in sorted(rows, key=lambda row: str(row["symbol"]))]


@statement
def pending_batches(tx: Transaction, given: Given) -> list[Row]:
    rows = tx.tables.account_rows(tx.tables.batches, given["account"])
    return [{"count": sum(_status(tx, row) in {None, "accepted", "released"} for row in rows)}]


@statement
def known_symbols(tx: Transaction, _given: Given) -> list[Row]:
    return [{"symbol": row["symbol"]} for row in tx.tables.instruments if row["asset_class"] != "index"]


@statement
def session_from(tx: Transaction, given: Given) -> list[Row]:
    coming = [
        row for row in tx.tables.sessions if row["exchange_mic"] == given["mic"] and row["close_at"] > given["now"]
    ]
    first = sorted(coming, key=lambda row: row["close_at"])[:1]
    return [{name: row[name] for name in ("session", "open_at", "close_at")} for row in first]


@statement
def limits(tx: Transaction, given: Given) -> list[Row]:
    ranked: dict[str, tuple[bool, int, Row]] = {}
    for row in tx.tables.limits:
        if row["account"] in {given["account"], "*"} and row["effective_at"] <= tx.now:
            rank = (row["account"] != "*", row["version"], row)
            if row["code"] not in ranked or rank[:2] > ranked[row["code"]][:2]:
                ranked[row["code"]] = rank
    names = ("code", "value", "unit", "version")
    return [{name: ranked[code][2][name] for name in names} for code in sorted(ranked)]
