"""The dead-man switch: real processes, real PostgreSQL, the paper exchange; and when not to act."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.deadman import Lease, Watch
from tests.execution_daemon.conftest import PaperExchange

LEASE, DEADMAN = 0.6, 1.5
HELD, NOBODY = Lease("a:1", 1, 10), Lease("", 1, 10)


def fired_at(looks: list[tuple[float, Lease | None, bool]]) -> list[float]:
    """When a watch that looks every second and misses after three acts."""
    watch = Watch(3.0, 1.0)
    return [now for now, lease, known in looks if watch.look(lease, known, now)]


def test_a_lease_that_stands_still_is_missed_once():
    """It would cancel again and again what people do afterwards."""
    assert fired_at([(float(t), HELD, True) for t in range(20)]) == [3.0]


def test_a_second_silence_of_the_same_leader_is_missed_too():
    """Frozen, released by people, frozen again: the second time nobody would cancel anything."""
    again = Lease(HELD.holder, HELD.epoch, 99)
    looks = [(float(t), HELD if t < 10 else again, True) for t in range(20)]
    assert fired_at(looks) == [3.0, 13.0]


def test_renewals_and_take_overs_are_no_miss():
    """A standby that leads in time would find the account halted."""
    renewed = [(float(t), Lease("a:1", 1, t // 2), True) for t in range(20)]
    taken = [(float(t), Lease("a:1" if t < 3 else "b:2", 1 if t < 3 else 2, max(t, 3)), True) for t in range(6)]
    assert fired_at(renewed) == fired_at(taken) == []


def test_a_released_lease_and_one_that_never_was_are_no_miss():
    """Stopping the daemon for the night must not halt the account."""
    assert fired_at([(float(t), NOBODY, True) for t in range(20)]) == []
    assert fired_at([(float(t), None, True) for t in range(20)]) == []
    assert fired_at([(0.0, HELD, True), *((float(t), NOBODY, True) for t in range(2, 20))]) == []


def test_a_warehouse_that_is_away_counts_as_silence():
    """The daemon may be dead too, and its orders stand at the broker."""
    assert fired_at([(0.0, HELD, True), *((float(t), None, False) for t in range(1, 10))]) == [3.0]


def test_time_that_nobody_watched_does_not_count():
    """After its own pause the switch would see an old lease, and halt a healthy account."""
    looks = [(0.0, HELD, True), (500.0, HELD, True), (500.5, Lease("a:1", 1, 11), True)]
    assert fired_at(looks) == []


def test_a_warehouse_that_hangs_is_missed_in_time():
    """Each look waits for it: three times as long as was set would pass."""
    looks = [(6.0 * n, HELD if n == 0 else None, n == 0) for n in range(10)]
    watch = Watch(30.0, 1.0)
    assert [now for now, lease, known in looks if watch.look(lease, known, now)] == [30.0]


def test_the_next_leader_is_watched_too():
    """A switch that has acted once must be armed for the next epoch."""
    second = Lease("b:2", 2, 20)
    looks = [(float(t), HELD if t < 6 else second, True) for t in range(12)]
    assert fired_at(looks) == [3.0, 9.0]


@dataclass
class Desk:
    """The daemon, the switch and the exchange as processes."""

    exchange: PaperExchange
    log: Path
    port: int

    def environment(self) -> dict[str, str]:
        settings = self.exchange.settings
        return {
            **os.environ,
            "BIFROST_HOME": str(settings.home),
            "BIFROST_DATABASE": settings.database,
            "BIFROST_PAPER_EXCHANGE_PORT": str(settings.paper_exchange_port),
            "BIFROST_DAEMON_PORT": str(self.port),
            "BIFROST_LEASE_SECONDS": str(LEASE),
            "BIFROST_DEADMAN_SECONDS": str(DEADMAN),
            "BIFROST_POLL_SECONDS": "0.2",
        }

    @contextmanager
    def part(self, module: str) -> Iterator[subprocess.Popen[bytes]]:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", module]
            process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(15)

    def wait(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def read(self, query: str) -> list[tuple[object, ...]]:
        with connect(self.exchange.settings, Role.TRADER) as connection:
            return connection.execute(query).fetchall()

    def switches(self) -> list[tuple[object, ...]]:
        return self.read("select scope, key, actor from trading.kill_switches where engaged")

    def is_leading(self) -> bool:
        return self.read("select holder <> '' and expires_at > clock_timestamp() from trading.leases") == [(True,)]

    def is_watching(self) -> bool:
        return bool(self.read("select 1 from trading.heartbeats where component = 'deadman'"))

    def open_orders(self) -> int:
        with self.exchange.trader as client:
            return len(client.get("/v2/orders", params={"status": "open"}).raise_for_status().json())

    def leave_an_order(self) -> None:
        """An order that nobody is going to fill or cancel."""
        order = {
            "symbol": "MSFT",
            "qty": "10",
            "side": "buy",
            "type": "limit",
            "limit_price": "1",
            "time_in_force": "gtc",
        }
        with self.exchange.trader as client:
            client.post("/v2/orders", json={**order, "client_order_id": "left"}).raise_for_status()
        assert self.open_orders() == 1


HALTED = [("account", "paper", "deadman")]


@pytest.fixture
def desk(paper_exchange, market, tmp_path, free_port) -> Desk:
    paper_exchange.move_clock(market("2013-02-20").open_at)
    return Desk(paper_exchange, tmp_path / "log", free_port())


@pytest.mark.parametrize("word", [signal.SIGSTOP, signal.SIGKILL])
def test_a_daemon_that_went_silent_is_halted_and_its_orders_are_canceled(desk, word):
    """Orders would work on at the broker with nobody to watch them."""
    with desk.part("execution_daemon.deadman"), desk.part("execution_daemon.main") as daemon:
        desk.wait(lambda: desk.is_watching() and desk.is_leading())
        desk.leave_an_order()
        time.sleep(2 * DEADMAN)
        assert (desk.switches(), desk.open_orders()) == ([], 1)
        daemon.send_signal(word)
        desk.wait(lambda: desk.switches() == HALTED and desk.open_orders() == 0)
        desk.wait(lambda: bool(desk.read("select 1 from audit.chain where kind = 'deadman'")))
    canceled = desk.read("select payload->'canceled' from audit.chain where kind = 'deadman'")
    assert canceled == [(["left"],)]
    assert desk.read("select audit.verify()") == [(None,)]


def test_a_clean_stop_is_no_miss(desk):
    """Every evening's stop would halt the account."""
    with desk.part("execution_daemon.deadman"):
        with desk.part("execution_daemon.main"):
            desk.wait(lambda: desk.is_watching() and desk.is_leading())
            desk.leave_an_order()
        time.sleep(2 * DEADMAN)
        assert (desk.switches(), desk.open_orders()) == ([], 1)


def test_both_killed_the_switch_acts_when_it_is_back(desk):
    """A machine that lost both must not come back to a trading account that nobody leads."""
    with desk.part("execution_daemon.main") as daemon, desk.part("execution_daemon.deadman") as switch:
        desk.wait(lambda: desk.is_watching() and desk.is_leading())
        desk.leave_an_order()
        daemon.kill(), switch.kill()
        daemon.wait(), switch.wait()
    with desk.part("execution_daemon.deadman"):
        desk.wait(lambda: desk.switches() == HALTED and desk.open_orders() == 0)


def test_a_warehouse_that_is_cut_off_does_not_save_the_orders(desk, _maintenance):
    """Without the warehouse the switch cannot be engaged; the broker can still be told, and is."""
    name = sql.Identifier(desk.exchange.settings.database)
    allow = sql.SQL("alter database {} with allow_connections {}")
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and usename = current_user and pid <> pg_backend_pid()"
    )
    with desk.part("execution_daemon.deadman"), desk.part("execution_daemon.main"):
        desk.wait(lambda: desk.is_watching() and desk.is_leading())
        desk.leave_an_order()
        time.sleep(DEADMAN)  # the switch has seen who leads
        with connect(desk.exchange.settings, Role.TRADER) as trader:
            _maintenance.execute(allow.format(name, sql.SQL("false")))
            trader.execute(cut)
        try:
            desk.wait(lambda: desk.open_orders() == 0)
        finally:
            _maintenance.execute(allow.format(name, sql.SQL("true")))
        desk.wait(lambda: desk.switches() == HALTED)


def test_a_broker_that_is_away_is_asked_until_it_answers(desk):
    """The switch would give up on the worst day."""
    with desk.part("execution_daemon.deadman"), desk.part("execution_daemon.main") as daemon:
        desk.wait(lambda: desk.is_watching() and desk.is_leading())
        desk.leave_an_order()
        desk.exchange.process.send_signal(signal.SIGSTOP)
        daemon.kill()
        desk.wait(lambda: desk.switches() == HALTED)
        time.sleep(1)
        desk.exchange.process.send_signal(signal.SIGCONT)
        desk.wait(lambda: desk.open_orders() == 0)
