"""The functions of migration 0002, as bifrost_trader, against PostgreSQL."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from bifrost_core.settings import Settings
from bifrost_core.trading.limits import DEFAULT_LIMITS
from bifrost_core.warehouse.connect import Role, connect

AT = datetime(2013, 2, 20, 14, 0, tzinfo=UTC)
BATCH = str(uuid.UUID(int=1))


def intent(number: int, **changes: Any) -> dict[str, Any]:
    plain = {
        "client_order_id": f"order-{number}", "batch_id": BATCH, "strategies": ["m"], "symbol": "AAPL", "side": "buy",
        "order_type": "market", "time_in_force": "opg", "order_qty": "10", "reference_price": "12.5", "leg": "open",
        "reserved_value": "125", "outcome": "accepted", "reason_code": "ACCEPTED", "limit_value": None,
        "actual_value": None, "detail": {},
    }  # fmt: skip
    return plain | changes


def filled(number: int, exec_id: str = "x1", **changes: Any) -> dict[str, Any]:
    plain = {
        "client_order_id": f"order-{number}", "kind": "fill", "ord_status": "filled", "exec_id": exec_id,
        "last_qty": "10", "last_px": "12", "commission": "1", "broker_order_id": "b", "text": "",
        "event_at": AT.isoformat(), "cum_qty": "10", "avg_px": "12", "reserved_value": "0", "cash_effect": "-121",
        "quantity_before": "0", "quantity": "10", "avg_cost": "12", "realized_pnl": "0", "blocks": [], "unblocks": [],
    }  # fmt: skip
    return plain | changes


class Desk:
    """One daemon's connection, with its lease."""

    def __init__(self, settings: Settings, holder: str) -> None:
        self.connection = connect(settings, Role.TRADER)
        self.connection.autocommit = True
        self.holder = holder
        self.epoch = 0

    def call(self, function: str, *arguments: Any) -> list[tuple[Any, ...]]:
        places = ", ".join(["%s"] * len(arguments))
        return self.connection.execute(f"select * from trading.{function}({places})", arguments).fetchall()

    def lead(self) -> int | None:
        self.epoch = self.call("acquire_lease_v1", "paper", self.holder, 60.0)[0][0]
        return self.epoch

    def leading(self, function: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.call(function, "paper", self.holder, self.epoch, *arguments)

    def open_account(self) -> None:
        self.leading("open_account_v1", "sim", Decimal(1_000_000), AT)

    def submit(self, *intents: dict[str, Any], limit: str = "1000000") -> list[tuple[str, str]]:
        rows = self.leading("submit_intents_v1", AT, Decimal(limit), json.dumps(intents))
        return [(outcome, reason) for _key, outcome, reason in rows]

    def record(self, event: dict[str, Any]) -> int | None:
        found: int | None = self.leading("record_event_v1", "sim", "XNYS", json.dumps(event))[0][0]
        return found

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()


@pytest.fixture
def desk(settings):
    """The leader of an open account."""
    one = Desk(settings, "one")
    one.lead()
    one.open_account()
    yield one
    one.connection.close()


@pytest.fixture
def rival(settings):
    """Another daemon, that does not lead."""
    two = Desk(settings, "two")
    yield two
    two.connection.close()


def test_an_intent_is_order_event_decision_and_audit_at_once(desk):
    """Sent orders without a record of why."""
    assert desk.submit(intent(1)) == [("accepted", "ACCEPTED")]
    assert desk.read("select ord_status, reserved_value from trading.orders") == [("pending_new", Decimal(125))]
    assert desk.read("select kind, epoch from trading.order_events") == [("intent", desk.epoch)]
    assert desk.read("select outcome from trading.risk_decisions") == [("accepted",)]
    assert desk.read("select payload->>'client_order_id' from audit.chain where kind = 'intent'") == [("order-1",)]
    assert desk.read("select reserved from trading.cash") == [(Decimal(125),)]


def test_a_denial_is_stored_and_is_no_order(desk):
    """Compliance must see what was stopped."""
    assert desk.submit(intent(1, outcome="denied", reason_code="MAX_GROSS")) == [("denied", "MAX_GROSS")]
    assert desk.read("select count(*) from trading.orders") == [(0,)]
    assert desk.read("select reason_code from trading.risk_decisions") == [("MAX_GROSS",)]


def test_a_duplicate_is_denied_also_within_one_call(desk):
    """The same id twice is the same order: never two."""
    assert desk.submit(intent(1), intent(1)) == [("accepted", "ACCEPTED"), ("denied", "DUPLICATE_ORDER")]
    assert desk.submit(intent(1)) == [("denied", "DUPLICATE_ORDER")]
    assert desk.read("select reserved from trading.cash") == [(Decimal(125),)]


def test_slices_of_one_call_keep_within_their_parent_together(desk):
    """Each fits what is left of the parent, both do not."""
    schedule = {"algo": "twap", "slices": 2, "profile": [], "participation": "0", "start_volume": "0", "urgency": "0"}
    window = {"start_at": AT.isoformat(), "end_at": (AT + timedelta(hours=1)).isoformat()}
    assert desk.submit(intent(1, reserved_value="0", schedule=schedule, **window)) == [("accepted", "ACCEPTED")]
    slices = [intent(n, parent_id="order-1", order_qty=qty) for n, qty in ((2, "6"), (3, "5"), (4, "4"))]
    answers = desk.submit(*slices)
    assert answers == [("accepted", "ACCEPTED"), ("denied", "PARENT_EXCEEDED"), ("accepted", "ACCEPTED")]
    assert desk.read("select audit.verify()") == [(None,)]


@pytest.mark.parametrize(
    ("scope", "key"), [("global", "*"), ("account", "paper"), ("symbol", "AAPL"), ("strategy", "m")]
)
def test_the_kill_switch_is_read_in_the_transaction(settings, desk, rival, scope, key):
    """A switch that is engaged after the daemon last looked must still stop the order."""
    rival.call("set_kill_switch_v1", scope, key, True, "a test", "operator", AT)
    assert desk.submit(intent(1)) == [("denied", "KILL_SWITCH")]
    with connect(settings, Role.OWNER) as owner:  # how a release is decided on is tested with migration 0011
        owner.execute("update trading.kill_switches set engaged = false")
    assert desk.submit(intent(2)) == [("accepted", "ACCEPTED")]
    assert desk.read("select payload->>'engaged' from audit.chain where kind = 'kill_switch'") == [("true",)]


@pytest.mark.parametrize(("limit", "last"), [("250", "accepted"), ("249.99", "denied")])
def test_reservations_never_exceed_their_limit(desk, limit, last):
    """Two orders that each fit must not fit together where their sum does not."""
    (first, _), (second, reason) = desk.submit(intent(1), intent(2), limit=limit)
    assert (first, second) == ("accepted", last)
    assert reason == ("ACCEPTED" if last == "accepted" else "BUYING_POWER")


def test_closing_orders_reserve_nothing_and_always_fit(desk):
    """A full book could never be reduced."""
    desk.submit(intent(1), limit="125")
    assert desk.submit(intent(2, leg="close", reserved_value="0"), limit="0") == [("accepted", "ACCEPTED")]


def test_a_paused_leader_cannot_write(desk, rival):
    """Two daemons would trade one account: the older must be stopped by the database, whatever it believes."""
    assert rival.lead() is None
    desk.connection.execute("select pg_advisory_unlock_all()")  # as when its connection breaks
    assert rival.lead() == desk.epoch + 1
    for write in (lambda: desk.submit(intent(1)), lambda: desk.record(filled(1)), desk.open_account):
        with pytest.raises(psycopg.Error) as caught:
            write()
        assert caught.value.sqlstate == "BF001"
    assert desk.leading("renew_lease_v1", 60.0) == [(False,)]
    assert rival.submit(intent(2)) == [("accepted", "ACCEPTED")]


def test_an_expired_lease_is_taken_over_from_a_living_leader(settings, rival):
    """A leader that hangs would stop trading for ever."""
    hung = Desk(settings, "hung")
    hung.epoch = hung.call("acquire_lease_v1", "paper", "hung", 0.0)[0][0]
    assert rival.lead() == hung.epoch + 1
    hung.connection.close()


def test_who_took_over_by_expiry_has_the_lock_once_it_is_free(settings, rival):
    """A third daemon would take the lock of the leader that went for the leader's, and needlessly lead."""
    hung = Desk(settings, "hung")
    hung.epoch = hung.call("acquire_lease_v1", "paper", "hung", 0.0)[0][0]
    rival.lead()
    backend = hung.connection.info.backend_pid
    hung.connection.close()
    while rival.connection.execute("select from pg_stat_activity where pid = %s", (backend,)).fetchone() is not None:
        pass  # the server notices a moment later
    assert rival.leading("renew_lease_v1", 60.0) == [(True,)]
    third = Desk(settings, "three")
    assert third.lead() is None
    third.connection.close()


def test_a_dead_leader_is_followed_at_once(settings, rival):
    """After kill -9 the account would stand still until the lease runs out."""
    dead = Desk(settings, "dead")
    dead.lead()
    backend = dead.connection.info.backend_pid
    dead.connection.close()
    while rival.connection.execute("select from pg_stat_activity where pid = %s", (backend,)).fetchone() is not None:
        pass  # the server notices a moment later
    assert rival.lead() == 2


def test_an_event_moves_order_fill_position_and_cash_once(desk):
    """Each is a sum of fills; a replayed one counts nowhere."""
    desk.submit(intent(1))
    assert desk.record(filled(1)) is not None
    after = [desk.read(f"select * from trading.{t}") for t in ("orders", "fills", "positions", "cash", "order_events")]
    assert desk.record(filled(1)) is None
    assert after == [
        desk.read(f"select * from trading.{t}") for t in ("orders", "fills", "positions", "cash", "order_events")
    ]
    assert desk.read("select balance, reserved from trading.cash") == [(Decimal(999_879), Decimal(0))]
    assert desk.read("select quantity, avg_cost from trading.positions") == [(Decimal(10), Decimal(12))]


@pytest.mark.parametrize("wrong", [{"cum_qty": "20"}, {"quantity_before": "5"}])
def test_a_daemon_that_drifted_is_refused(desk, wrong):
    """A book in memory that differs from the stored one must stop the daemon, not overwrite the truth."""
    desk.submit(intent(1), intent(2))
    desk.record(filled(1))
    with pytest.raises(psycopg.Error) as caught:
        desk.record(filled(2, "x2", **({"quantity_before": "10", "quantity": "20"} | wrong)))
    assert caught.value.sqlstate == "BF002"
    assert desk.read("select count(*) from trading.fills") == [(1,)]


def test_blocks_come_with_the_event_and_the_graver_cause_stays(desk):
    """An unproven send that resolves must not free a symbol that was overfilled."""
    desk.submit(intent(1))
    silence = {"kind": "no_answer", "ord_status": "unknown", "last_qty": "0", "last_px": None, "exec_id": "",
               "cum_qty": "0", "avg_px": None, "reserved_value": "125", "cash_effect": "0"}  # fmt: skip
    desk.record(filled(1, **silence, blocks=[{"code": "SEND_UNPROVEN", "detail": "d"}]))
    assert desk.read("select reason_code from trading.blocked_symbols") == [("SEND_UNPROVEN",)]
    desk.record(filled(1, blocks=[{"code": "OVERFILL", "detail": "d"}], unblocks=[{"code": "SEND_UNPROVEN"}]))
    assert desk.read("select reason_code from trading.blocked_symbols") == [("OVERFILL",)]


def test_batch_decisions_are_final(desk):
    """A quarantined batch that is worked after all."""
    decide = lambda status: desk.leading("decide_batch_v1", uuid.UUID(int=9), status, "R", "d", AT)[0][0]  # noqa: E731
    assert [decide(s) for s in ("accepted", "accepted", "quarantined", "worked", "accepted")] == [
        True, False, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "insert into trading.limits values ('*', 'MAX_GROSS', 2, 99, 'equity_fraction', 'me')",
        "update trading.orders set ord_status = 'filled'",
        "delete from trading.blocked_symbols",
        "insert into audit.chain values (99, 'x', '{}', 'a', 'b', now())",
        "update audit.chain_head set seq = 0",
        "select audit.append('x', '{}', now())",
        "insert into trading.kill_switches values ('global', '*', false, 'x', 'me')",
    ],
)
def test_the_trader_writes_only_through_functions(desk, statement):
    """A daemon that was taken over could raise its own limits and forge the audit."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        desk.connection.execute(statement)


@pytest.mark.parametrize("function", ["submit_intents_v1", "record_event_v1", "set_kill_switch_v1"])
def test_nobody_else_may_call_them(reader, function):
    """The app's role could trade."""
    with reader.transaction() as connection:
        allowed = connection.execute(
            "select bool_or(has_function_privilege(p.oid, 'execute')) from pg_proc p where p.proname = %s", (function,)
        ).fetchone()
    assert allowed == (False,)


def test_every_definer_function_pins_its_search_path(desk):
    """An unqualified name in a function that runs as owner could be anybody's table."""
    rows = desk.read(
        "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in"
        " ('trading', 'audit') and p.prosecdef"
        " and not coalesce(p.proconfig @> '{\"search_path=pg_catalog, pg_temp\"}', false)"
    )
    assert rows == []


TAMPERINGS = {
    "update audit.chain set payload = payload || '{\"order_qty\": 1}' where seq = %s": 0,
    "update audit.chain set event_at = event_at + interval '1 second' where seq = %s": 0,
    "update audit.chain set kind = 'other' where seq = %s": 0,
    "delete from audit.chain where seq = %s": 0,
    "update audit.chain set entry_hash = audit.entry_hash(prev_hash, seq, 'forged', payload, event_at), kind = 'forged'"
    " where seq = %s": 1,
}


@pytest.mark.parametrize(("tampering", "later"), TAMPERINGS.items())
def test_tampering_is_found_where_it_is(desk, owner, tampering, later):
    """Even the owner of the tables, with the triggers off, cannot rewrite history unseen."""
    desk.submit(*(intent(n) for n in range(5)))
    (last,) = desk.read("select max(seq) from audit.chain")[0]
    assert desk.read("select audit.verify()") == [(None,)]
    with owner.transaction() as connection:
        connection.execute("alter table audit.chain disable trigger user")
        connection.execute(tampering, (last - 2,))
    assert desk.read("select audit.verify()") == [(last - 2 + later,)]


def test_each_entry_is_hashed_with_the_one_before(desk):
    """Without it the entries are a list: all that follows could be replaced by something else that is whole."""
    desk.submit(*(intent(n) for n in range(3)))
    desk.record(filled(1))
    columns = "seq, kind, (extract(epoch from event_at) * 1000000)::bigint, payload::text, prev_hash, entry_hash"
    before = sha256(b"bifrost").digest()
    for *told, prev_hash, entry_hash in desk.read(f"select {columns} from audit.chain order by seq"):
        seq, kind, at, payload = told
        after = sha256(before + f"{seq}|{kind}|{at}|{payload}".encode()).digest()
        assert (bytes(prev_hash), bytes(entry_hash)) == (before, after)
        before = after


def test_a_cut_tail_is_found(desk, owner):
    """Deleting the newest entries leaves a chain that is whole in itself: the head knows better."""
    desk.submit(*(intent(n) for n in range(5)))
    (last,) = desk.read("select max(seq) from audit.chain")[0]
    with owner.transaction() as connection:
        connection.execute("alter table audit.chain disable trigger user")
        connection.execute("delete from audit.chain where seq > %s", (last - 2,))
    assert desk.read("select audit.verify()") == [(last - 1,)]


@pytest.mark.parametrize("table", ["audit.chain", "trading.order_events", "trading.fills", "trading.limits"])
@pytest.mark.parametrize("change", ["update {} set account = 'x'", "delete from {}"])
def test_history_is_append_only_for_its_owner_too(desk, owner, table, change):
    """A correction is a new row."""
    desk.submit(intent(1))
    desk.record(filled(1))
    statement = change.format(table).replace("account", "kind") if table == "audit.chain" else change.format(table)
    with pytest.raises(psycopg.Error, match="append-only"), owner.transaction() as connection:
        connection.execute(statement)


def test_concurrent_writers_keep_the_chain_whole(desk, settings):
    """Two entries with one predecessor would be a fork that nobody can verify."""
    start = threading.Barrier(4)

    def write(number: int) -> None:
        with connect(settings, Role.TRADER) as connection:
            connection.autocommit = True
            start.wait()
            for n in range(25):
                arguments = ("symbol", f"S{number}", True, f"test {n}", "operator", AT)
                connection.execute("select trading.set_kill_switch_v1(%s, %s, %s, %s, %s, %s)", arguments)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert desk.read("select count(*) from audit.chain where kind = 'kill_switch'") == [(100,)]
    assert desk.read("select audit.verify()") == [(None,)]


def test_the_seeded_limits_are_those_of_the_code(desk):
    """Backtests and the daemon would run under different limits."""
    rows = desk.read("select code, value, unit, version from trading.limits where account = '*'")
    assert sorted(rows) == sorted((limit.code.value, limit.value, limit.unit, 1) for limit in DEFAULT_LIMITS)


def test_a_changed_limit_is_audited(desk, owner):
    """Who raised the limit, and when, is the first question after a loss."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into trading.limits values ('*', 'MAX_GROSS', 2, 3, 'equity_fraction', 'risk officer')"
        )
    (actor,) = desk.read("select payload->>'actor' from audit.chain where kind = 'limit' order by seq desc limit 1")
    assert actor == ("risk officer",)


@pytest.mark.parametrize(
    ("at", "session"),
    [
        ("2013-02-20 21:00+00", "2013-02-20"),  # at the close
        ("2013-02-21 00:59+00", "2013-02-20"),  # after hours
        ("2013-02-21 14:30+00", "2013-02-21"),
    ],
)
def test_a_fill_belongs_to_its_session(desk, market, at, session):
    """A fill after midnight UTC would be booked on the next day."""
    assert str(desk.read(f"select trading.session_at('XNYS', '{at}')")[0][0]) == session
