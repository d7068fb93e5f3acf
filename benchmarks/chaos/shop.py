"""One scenario's trading shop: exchange, proxy, daemons, and a hand that starts again what has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg.types.json import Jsonb

from benchmarks.chaos.batches import STRATEGY, batch_for, weights, write
from benchmarks.chaos.market import BEFORE_OPEN
from benchmarks.chaos.processes import DaemonProcess, Exchange, daemon_at, exchange_at
from benchmarks.chaos.proxy import FAIR, Proxy, Weather
from benchmarks.chaos.servers import Server
from bifrost_core.calendar import Session
from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse

TICK_SECONDS = 0.01
ASK_SECONDS = 0.03
RESTART_SECONDS = 0.3  # a supervisor does not start a part again faster than this
WAIT_SECONDS = 60.0
QUICK = {
    "lease_seconds": 2.0,
    "send_timeout_seconds": 0.5,
    "poll_seconds": 0.2,
    "reconcile_seconds": 1.0,
}  # the same code, with less waiting: a campaign sees more of it


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a start to reconciled and ready; from the end of the fault, where it outlasted the start."""

    seconds: float
    is_in_fault: bool


class Stuck(Exception):
    """Something that must happen did not: the liveness half of the invariants."""


@dataclass
class Shop:
    """Make it with `opened`. `start()` the daemon, `trade()` sessions, then `settle()`."""

    server: Server
    settings: Settings
    exchange: Exchange
    proxy: Proxy
    daemons: list[DaemonProcess]
    rng: Random
    folder: Path
    recoveries: list[Recovery] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    batches: list[UUID] = field(default_factory=list)
    kills: int = 0
    is_faulty: bool = False
    tends: bool = True
    _calm_since: float = 0.0
    _waiting: set[str] = field(default_factory=set)
    _asked_at: float = 0.0
    _leader: str = ""
    _leaderless_since: float = 0.0
    _planned: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _session: int = 0

    # ------------------------------------------------------------------------------------------- processes

    @property
    def daemon(self) -> DaemonProcess:
        return self.daemons[0]

    @property
    def session(self) -> Session:
        """The session that is traded now."""
        return self.server.market.sessions[self._session]

    def add_daemon(self) -> DaemonProcess:
        """Another daemon for the same account, started."""
        daemon = daemon_at(self.settings, self.folder, f"daemon{len(self.daemons)}")
        self.daemons.append(daemon)
        self.spawn(daemon)
        return daemon

    def spawn(self, daemon: DaemonProcess, **extra: str) -> None:
        """Start a daemon, and have its readiness noted."""
        daemon.spawn(**extra)
        self._waiting.add(daemon.log.name)

    def start(self, failpoint: str = "") -> None:
        """Start the daemon, to be killed at `failpoint` if one is named, and wait until it is ready or was killed."""
        self.spawn(self.daemon, **({"BIFROST_FAILPOINT": failpoint} if failpoint else {}))
        self.until(lambda: bool(self._leader), "the daemon to be ready")

    def close(self) -> None:
        """Stop the daemons."""
        for daemon in self.daemons:
            daemon.stop()

    def tend(self) -> None:
        """Do what is due, start again what has ended, and note who has become ready."""
        now = time.monotonic()
        for due in [plan for plan in self._planned if plan[0] <= now]:
            self._planned.remove(due)
            due[1]()
        for daemon in self.daemons if self.tends else ():
            daemon.ended()
            if daemon.log.name == self._leader and daemon.handle is None:
                self._leader, self._leaderless_since = "", daemon.ended_at
            if daemon.ends and daemon.handle is None and now - daemon.ended_at >= RESTART_SECONDS:
                self.spawn(daemon)
        if self._waiting and now - self._asked_at >= ASK_SECONDS:
            self._note_ready()

    def _note_ready(self) -> None:
        """Who has become ready; how long that took, from its start or from the end of the leader before it."""
        for daemon in self.daemons:
            if daemon.log.name not in self._waiting or not daemon.is_running or not daemon.is_ready():
                continue
            self._waiting.discard(daemon.log.name)
            in_fault = self.is_faulty or bool(self._leader)  # a standby took over from one that is frozen
            began = max(daemon.spawned_at, self._leaderless_since, 0.0 if in_fault else self._calm_since)
            self.recoveries.append(Recovery(time.monotonic() - began, in_fault))
            self._leader = daemon.log.name
        self._asked_at = time.monotonic()

    def until(self, done: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Tend the shop until `done`; raises Stuck with everybody's last words where that takes too long."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                words = "\n".join(f"--- {p.log.name}\n{p.words()}" for p in (*self.daemons, self.exchange))
                raise Stuck(f"waited {seconds:.0f} s for {what}\n{words}")
            self.tend()
            time.sleep(TICK_SECONDS)

    def wait(self, seconds: float) -> None:
        """Tend the shop for a while."""
        ends = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= ends, "nothing", seconds + WAIT_SECONDS)

    def plan(self, seconds: float, action: Callable[[], None]) -> None:
        """Have `action` done, from `tend`, in so many seconds."""
        self._planned.append((time.monotonic() + seconds, action))

    def has_leader(self) -> bool:
        """Whether a daemon has become ready, and lives."""
        return bool(self._leader)

    def fault(self, weather: Weather = FAIR) -> None:
        """A fault begins."""
        self.is_faulty, self.proxy.weather = True, weather

    def calm(self) -> None:
        """Every fault that was switched on is off: from now on a start has no excuse."""
        self.is_faulty, self.proxy.weather = False, FAIR
        self._calm_since = time.monotonic()

    # --------------------------------------------------------------------------------------------- trading

    def read(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows, as the owner of the warehouse; none while it is away."""
        with suppress(WarehouseError, psycopg.Error), connect(self.settings, Role.OWNER) as connection:
            return connection.execute(statement.encode(), params).fetchall()
        return []

    def post(self, gross: float = 0.9, strategy: str = STRATEGY) -> UUID:
        """Write a random batch for the session; the id of it."""
        wanted = weights(self.server.market, self.rng, gross)
        batch = batch_for(self.settings, self.server.market, self.session, wanted, strategy)
        self.until(lambda: self._try(lambda: write(Warehouse(self.settings, Role.PIPELINE), batch)), "a batch")
        self.batches.append(batch.batch_id)
        return batch.batch_id

    def _try(self, work: Callable[[], object]) -> bool:
        with suppress(WarehouseError, psycopg.Error, httpx.HTTPError):
            work()
            return True
        return False

    def until_decided(self, batch: UUID) -> None:
        """Until the batch is worked or quarantined."""
        ask = "select status from trading.batch_intake where batch_id = %s and status <> 'accepted'"
        self.until(lambda: bool(self.read(ask, batch)), f"batch {batch} to be decided")

    def move_clock(self, at: Any) -> None:
        """Move market time; the exchange, if it is down, is waited for."""
        body = {"at": at.isoformat()}
        self.until(lambda: self._try(lambda: self.exchange.admin("POST", "clock", body)), "the market's clock")

    def trade(self, sessions: int = 1, gross: float = 0.9) -> None:
        """Whole sessions: a batch before the open, the open, the close, and every order ended."""
        for _ in range(sessions):
            self.post(gross)
            self.close_session()

    def close_session(self) -> None:
        """With every batch worked, through the open and the close to half an hour before the next open."""
        self.open_session()
        self.wait(self.rng.uniform(0, 0.1))
        self.move_clock(self.session.close_at)
        self.next_session()

    def open_session(self) -> None:
        """With every batch worked, to the open."""
        for batch in self.batches:
            self.until_decided(batch)
        self.move_clock(self.session.open_at)

    def pass_time(self, steps: int) -> None:
        """Through the session in equal steps, each with time for the daemon to look at the clock."""
        length = (self.session.close_at - self.session.open_at) / (steps + 1)
        for step in range(1, steps + 1):
            self.move_clock(self.session.open_at + step * length)
            self.until(lambda: self._try(self.wake), "the daemon to look at the clock")
            self.wait(self.rng.uniform(0, 0.1))

    def wake(self) -> None:
        """Have the daemon look at the clock, and do what is due."""
        self.daemon.request("POST", "/wake").raise_for_status()

    def reconcile(self) -> None:
        """Have the daemon hear what it missed."""
        self.daemon.request("POST", "/reconcile").raise_for_status()

    def end_session(self) -> None:
        """With all that was planned done, and all heard that is due, through the close to before the next open."""
        self.until(lambda: not self._planned, "what was planned")
        self.until(self._has_done_what_is_due, "every order to be answered")
        self.move_clock(self.session.close_at)
        self.next_session()

    def next_session(self) -> None:
        """From the close to half an hour before the next open, once every order has ended."""
        self.until(self.has_no_open_order, "every order to end")
        self._session += 1
        self.move_clock(self.session.open_at - BEFORE_OPEN)

    def _has_done_what_is_due(self) -> bool:
        """A slice that waited for its symbol to be freed is due as soon as that is: it would meet the close."""
        return self._try(self.wake) and self._try(self.reconcile) and self._has_answers()

    def _has_answers(self) -> bool:
        """Nothing is on its way, or about to be: what arrives after the close is for the day after."""
        return self.read(
            "select count(*) from trading.orders o left join trading.orders f on f.client_order_id = o.after_id"
            " where o.ord_status in ('pending_new', 'unknown') or (o.ord_status = 'held'"
            " and f.ord_status in ('filled', 'canceled', 'rejected', 'expired'))"
        ) == [(0,)]

    def has_no_open_order(self) -> bool:
        """Neither an order nor a parent of orders to come."""
        return self.read(
            "select (select count(*) from trading.orders where ord_status not in"
            " ('filled', 'canceled', 'rejected', 'expired')),"
            " (select count(*) from trading.parent_orders where status = 'working')"
        ) == [(0, 0)]

    def kill_switch(self, engaged: bool) -> None:
        """Engage the account's switch by the database's own function, as any process may; two people release it."""
        scope = {"scope": "account", "key": self.settings.account}
        if not engaged:
            self.change("kill_switch_release", {**scope, "reason": "chaos"})
            return
        with connect(self.settings, Role.TRADER) as connection:
            connection.execute(
                "select trading.set_kill_switch_v1(%s, %s, true, 'chaos', 'chaos', clock_timestamp())",
                tuple(scope.values()),
            )

    def change(self, kind: str, payload: dict[str, str]) -> None:
        """What loosens takes a second person: one proposes, another approves."""
        with connect(self.settings, Role.API, autocommit=True) as connection:
            asked = "select trading.propose_change_v1(%s, %s, 'maker')"
            ((answer,),) = connection.execute(asked, (kind, Jsonb(payload))).fetchall()
            if answer["outcome"] == "proposed":
                approval = "select trading.approve_change_v1(%s, %s, 'checker')"
                connection.execute(approval, (answer["proposal_id"], answer["diff_hash"]))

    def settle(self) -> None:
        """Faults are over: everything must clear, and a last session must trade as if nothing had been."""
        self._planned.clear()
        self.calm()
        if not self.exchange.is_running:
            self.exchange.ended()
            self.exchange.start()
        self.until(self.has_leader, "a ready daemon")
        if self.settings.execution == "market":
            self.trade()
        else:  # slices are due with the open, which the close would overtake
            self.post()
            self.open_session()
            self.end_session()
        self.until(self._is_clear, "blocks and reservations to clear")

    def _is_clear(self) -> bool:
        return self.read(
            "select (select count(*) from trading.blocked_symbols), (select sum(reserved) from trading.cash),"
            " (select is_clean from trading.reconciliations order by reconciliation_id desc limit 1)"
        ) == [(0, 0, True)]


@contextmanager
def opened(server: Server, rng: Random, folder: Path, **overrides: Any) -> Iterator[Shop]:
    """A shop before the open of its first session: exchange and proxy run, the daemon does not."""
    with ExitStack() as stack:
        settings = stack.enter_context(server.clone())
        exchange = exchange_at(settings, folder)
        exchange.start()
        stack.callback(exchange.stop)
        proxy = Proxy(exchange.settings.paper_exchange_port, Random(rng.random()))
        proxy.start()
        stack.callback(proxy.stop)
        ours = exchange.settings.model_copy(
            update={**QUICK, "broker_url": f"http://127.0.0.1:{proxy.port}", **overrides}
        )
        shop = Shop(server, ours, exchange, proxy, [daemon_at(ours, folder, "daemon0")], rng, folder)
        stack.callback(shop.close)
        shop.move_clock(shop.session.open_at - BEFORE_OPEN)
        yield shop
