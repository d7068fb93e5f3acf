"""The warehouse in memory answers, and stores, what PostgreSQL does."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.errors import LeaseLost
from execution_daemon.shell.statements import SQL
from execution_daemon.simulation.warehouse import audit
from execution_daemon.simulation.warehouse.database import Database, Refused
from execution_daemon.simulation.warehouse.gateway import unimplemented
from tests.execution_daemon.shell.conftest import make_batch, write_batch
from tests.execution_daemon.simulation.statements import AT, BATCHES, HOLDERS, SESSION, SYMBOLS, Statements

NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
STATEMENTS = 250
STORED = {
    "orders": "trading.orders",
    "events": "trading.order_events",
    "fills": "trading.fills",
    "positions": "trading.positions",
    "cash": "trading.cash",
    "accounts": "trading.accounts",
    "decisions": "trading.risk_decisions",
    "batch_intake": "trading.batch_intake",
    "blocked": "trading.blocked_symbols",
    "kill_switches": "trading.kill_switches",
    "reconciliations": "trading.reconciliations",
    "adjustments": "trading.adjustments",
    "parents": "trading.parent_orders",
    "equity_marks": "trading.equity_marks",
}
NUMBERED = {"record_event", "record_reconciliation"}
SERVERS_OWN = {"recorded_at", "changed_at"}


def plain(value: Any) -> Any:
    """A value without its type's accidents: numbers as numbers however they are written."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = str(value)
    return Decimal(text).normalize() if NUMBER.match(text) else text


def ordered(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=repr)


class Pair:
    """Two connections, one for each daemon, to both warehouses."""

    def __init__(self, settings, seed: int) -> None:
        self.memory = Database(lambda: datetime.now(UTC))
        self.statements = Statements(random.Random(seed), self.memory.tables)
        self.random = random.Random(f"who {seed}")
        self.epochs = dict.fromkeys(HOLDERS, 0)
        self.sessions = {holder: self.memory.connect(holder) for holder in HOLDERS}
        self.servers = {holder: connect(settings, Role.TRADER) for holder in HOLDERS}
        for server in self.servers.values():
            server.autocommit, server.row_factory = True, dict_row
            server.execute("set timezone to 'UTC'")

    def both(self, holder: str, name: str, **params: Any) -> tuple[Any, Any]:
        given = {"account": "paper", "holder": holder, "epoch": self.epochs[holder], "mic": "XNYS", **params}
        return self._in_memory(holder, name, given), self._on_server(holder, name, given)

    def _in_memory(self, holder: str, name: str, given: dict[str, Any]) -> Any:
        try:
            return self.memory.run(self.sessions[holder], name, given)
        except LeaseLost:
            return "lease lost"
        except Refused:
            return "refused"

    def _on_server(self, holder: str, name: str, given: dict[str, Any]) -> Any:
        try:
            return self.servers[holder].execute(SQL[name], given).fetchall()
        except psycopg.Error as error:
            return "lease lost" if error.sqlstate == "BF001" else "refused"

    def agree(self, holder: str, name: str, **params: Any) -> Any:
        mine, theirs = self.both(holder, name, **params)
        is_ordered = re.search(rb"order by [^()]*$", SQL[name]) is not None
        mine, theirs = comparable(mine, is_ordered), comparable(theirs, is_ordered)
        if name in NUMBERED:  # an identity leaves gaps where a statement failed
            mine, theirs = (rows if isinstance(rows, str) else [row is None for row in rows] for rows in (mine, theirs))
        given = {"account": "paper", "holder": holder, "epoch": self.epochs[holder], "mic": "XNYS", **params}
        assert mine == theirs, f"{name} {params} {self.why(holder, name, given)}"
        return mine

    def why(self, holder: str, name: str, given: dict[str, Any]) -> str:
        """The server's reason for refusing."""
        try:
            self.servers[holder].execute(SQL[name], given)
        except psycopg.Error as error:
            return str(error)
        return ""

    def lead(self, holder: str, seconds: float) -> None:
        found = self.agree(holder, "acquire_lease", seconds=seconds)
        epoch = found[0]
        self.epochs[holder] = int(epoch) if epoch is not None else 0

    def step(self) -> None:
        holder = self.random.choices(HOLDERS, (5, 1))[0]
        if self.random.random() < 0.05:
            self.lead(holder, self.random.choice((0.0, 600.0)))
        elif self.random.random() < 0.03:
            self.agree(holder, self.random.choice(("renew_lease", "release_lease")), seconds=600.0)
        name, params = self.statements.next()
        self.agree(holder, name, **params)

    def close(self) -> None:
        for server in self.servers.values():
            server.close()


def comparable(rows: Any, is_ordered: bool) -> Any:
    """Rows by column, a single one without its name, which PostgreSQL makes up; without the server's own times."""
    if isinstance(rows, str):
        return rows
    found = [{key: plain(value) for key, value in row.items() if key not in SERVERS_OWN} for row in rows]
    found = [next(iter(row.values())) if len(row) == 1 else row for row in found]
    return found if is_ordered else ordered(found)


def same_reference(pair: Pair, settings, warehouse, owner, session) -> None:
    """Instruments, sessions, limits, batches and a restriction, in both."""
    tables = pair.memory.tables
    with owner.transaction() as connection:
        connection.execute(
            "insert into reference.restricted_list (instrument_id, valid_from, reason, blocks)"
            " select instrument_id, %s, 'a merger', 'opening' from reference.instruments where symbol = 'FB'",
            (SESSION,),
        )
    tables.restricted.append(
        {"symbol": "FB", "reason": "a merger", "blocks": "opening", "valid_from": SESSION, "valid_to": None}
    )
    server = pair.servers["one"]
    for row in server.execute("select * from trading.limits").fetchall():
        tables.limits.append(row)
    for row in server.execute("select symbol, asset_class from reference.instruments").fetchall():
        tables.instruments.insert(row["symbol"], row)
    for row in server.execute("select exchange_mic, session, open_at, close_at from reference.sessions").fetchall():
        tables.sessions.insert((row["exchange_mic"], row["session"]), row)
    for row in server.execute(SQL["risk_facts"], {"session": SESSION, "symbols": list(SYMBOLS)}).fetchall():
        tables.instruments.change(row["symbol"], **row)
    for number in BATCHES:
        batch = make_batch(settings, session, {"AAPL": "0.1", "IBM": "0.2"})
        write_batch(warehouse, replace(batch, batch_id=number))
    for row in server.execute("select * from signals.target_batches").fetchall():
        tables.batches.insert(row["batch_id"], row)
    for row in server.execute("select * from signals.targets").fetchall():
        tables.targets.append(row)
    tables.commit()


def stored_alike(pair: Pair) -> None:
    """Every table, column by column, and the chain's entries."""
    server = pair.servers["one"]
    for mine, theirs in STORED.items():
        rows = server.execute(f"select * from {theirs}").fetchall()
        kept = [dict(row) for row in getattr(pair.memory.tables, mine)]
        names = (set(kept[0]) if kept else set()) - SERVERS_OWN
        ours = ordered([{n: plain(row[n]) for n in sorted(names)} for row in kept])
        told = ordered([{n: plain(row[n]) for n in sorted(names)} for row in rows])
        if mine in {"events", "reconciliations", "fills"}:  # an identity leaves gaps where a statement failed
            ours, told = (ordered([_without_numbers(row) for row in side]) for side in (ours, told))
        assert ours == told, theirs
    chain = server.execute(
        "select seq, kind, payload::text as payload from audit.chain where kind not in ('limit', 'token')"
    ).fetchall()
    told = [(row["kind"], plain(json.loads(row["payload"]))) for row in sorted(chain, key=lambda row: row["seq"])]
    ours = [
        (row["kind"], plain(json.loads(json.dumps(row["payload"], default=str)))) for row in pair.memory.tables.chain
    ]
    assert [_entry(e) for e in ours] == [_entry(e) for e in told]


def _without_numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in {"event_seq", "reconciliation_id"}}


def _entry(entry: tuple[str, Any]) -> tuple[str, Any]:
    kind, payload = entry
    return kind, {key: value for key, value in payload.items() if key not in {"event_seq", "reconciliation_id"}}


@pytest.mark.parametrize("seed", range(4))
def test_the_double_agrees_with_postgresql(settings, warehouse, owner, market, seed):
    """A double that drifts from the server proves nothing about the daemon."""
    pair = Pair(settings, seed)
    try:
        same_reference(pair, settings, warehouse, owner, market("2013-02-20"))
        pair.lead("one", 600.0)
        pair.agree("one", "open_account", broker="sim", initial_cash=Decimal(1_000_000), at=AT - timedelta(days=1))
        for _ in range(STATEMENTS):
            pair.step()
        stored_alike(pair)
        assert audit.verify(pair.memory.tables) is None
        assert pair.servers["one"].execute("select audit.verify() as broken").fetchone() == {"broken": None}
    finally:
        pair.close()


def test_every_statement_has_a_double():
    """A statement that the simulation does not know stops it; a double of none is read by everyone for nothing."""
    assert unimplemented() == []


def test_a_statement_that_fails_leaves_nothing(settings):
    """Half a transaction would be a state that PostgreSQL never has."""
    memory = Database(lambda: AT)
    session = memory.connect()
    who = {"account": "paper", "holder": "one", "epoch": 1, "mic": "XNYS"}
    memory.run(session, "acquire_lease", {**who, "seconds": 600.0})
    memory.run(session, "open_account", {**who, "broker": "sim", "initial_cash": Decimal(1000), "at": AT})
    source = Statements(random.Random(1), memory.tables)
    intent = source._intent() | {"outcome": "accepted", "leg": "open", "reserved_value": "10", "parent_id": None}
    intent = {key: value for key, value in intent.items() if key not in {"schedule", "after_id", "release"}}
    submit = {**who, "at": AT, "reserve_limit": Decimal(1000), "intents": json.dumps([intent])}
    memory.run(session, "submit_intents", submit)
    order = next(iter(memory.tables.orders))
    _name, event = source._reported(order["client_order_id"], order)
    told = json.loads(event["event"]) | {"cum_qty_before": "0", "fills": [{"exec_id": "x"}]}
    before = (len(memory.tables.events), len(memory.tables.chain), dict(order))
    with pytest.raises(KeyError):
        memory.run(session, "record_event", {**who, "broker": "sim", "event": json.dumps(told)})
    after = memory.tables.orders.get(order["client_order_id"])
    assert before == (len(memory.tables.events), len(memory.tables.chain), after)
