"""One run: the world of a scenario, what happens in it, and the healing after which everything must clear."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bifrost_core.calendar import Session
from bifrost_core.errors import BrokerError
from bifrost_core.settings import Settings
from bifrost_core.trading.limits import DEFAULT_LIMITS
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.brokers.port import AdjustmentKind, BrokerOrder, BrokerRefused, ExecutionReport
from execution_daemon.brokers.simulated import Fault, SimulatedBroker
from execution_daemon.errors import BookDrifted, LeaseLost
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.shell.store import Store
from execution_daemon.simulation import people, pipeline
from execution_daemon.simulation.clock import BEFORE_OPEN, WorldClock, sessions
from execution_daemon.simulation.loop import PROCESS, Deadlock, Process, TicksExceeded, VirtualLoop
from execution_daemon.simulation.machine import Machine
from execution_daemon.simulation.scenario import (
    OPEN_SECONDS,
    PRE_OPEN_SECONDS,
    SESSION_SECONDS,
    Command,
    Entry,
    Event,
    Kind,
    Poison,
    Scenario,
    Tamper,
    draw,
)
from execution_daemon.simulation.settled import GRAVE, differences, unsettled
from execution_daemon.simulation.warehouse.database import Database, Refused
from execution_daemon.simulation.warehouse.gateway import ConnectionLost, MemoryStatements, ServerFaults
from execution_daemon.simulation.watch import Trace, Violation, Watch
from execution_daemon.simulation.wire import Network

ACCOUNT = "paper"
CASH = Decimal("1000000.00")
PRINT_SECONDS = 0.35
RESTART_SECONDS = 0.5
READY_SECONDS = 5.0
LEASE_SECONDS = 3.0
CLEAR_SECONDS = 15.0
SILENCE_SECONDS, BACKOFF_SECONDS = 6.0, 5.0
QUIET = timedelta(seconds=4)
KEEPS_SESSION_SECONDS = 4.0  # a machine that lost its power: the server notices later


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed came to."""

    seed: int
    violation: Violation | None
    digest: str
    orders: int
    fills: int
    restarts: int
    virtual_seconds: float
    ticks: int
    coverage: dict[str, int]
    lines: tuple[str, ...] = ()


def settings_of(scenario: Scenario) -> Settings:
    """The daemon's settings, and nothing of this machine's."""
    return Settings.model_construct(
        account=ACCOUNT,
        initial_cash=CASH,
        clock="system" if scenario.is_system_clock else "exchange",
        execution=scenario.execution,
        send_timeout_seconds=1.0,
        poll_seconds=2.0,
        reconcile_seconds=3.0,
        lease_seconds=LEASE_SECONDS,
    )


class World:
    """Everything that a scenario needs, wired together."""

    def __init__(self, scenario: Scenario, keeps_lines: bool = False) -> None:
        self.scenario = scenario
        self.random = random.Random(f"world {scenario.seed}")
        shuffle = random.Random(f"order {scenario.seed}") if scenario.is_shuffled else None
        self.loop = VirtualLoop(shuffle)
        self.sessions = sessions()
        self.clock = WorldClock(self.loop, self.sessions[0].open_at - BEFORE_OPEN)
        self.settings = settings_of(scenario)
        self.database = Database(self.clock.wall)
        self.server = ServerFaults(random.Random(f"server {scenario.seed}"), scenario.server_seconds, scenario.broken)
        slow = scenario.slow
        self.network = Network(random.Random(f"wire {scenario.seed}"), scenario.network_seconds, slow, 1.4)
        self.broker = SimulatedBroker(
            scenario.prices,
            CASH,
            scenario.seed,
            scenario.rates,
            clock=self.clock.market,
            volume_cap=scenario.volume_cap,
            timeout_seconds=0.3,
        )
        for symbol in scenario.prices:
            self.broker.set_tradability(symbol, available_to_short=scenario.to_borrow)
        self.trace = Trace(keeps_lines)
        self.watch = Watch(self.clock, self.database, self.broker, self.network, self.trace, ACCOUNT)
        self.machines = [self._machine(f"m{number}") for number in range(scenario.machines)]
        self.prices = dict(scenario.prices)
        self.is_healed = False
        self.tampered: set[str] = set()
        self.quiet_from = 0.0
        self.operator = MemoryStatements(
            self.database, self.database.connect("operator"), Process("operator"), ServerFaults(random.Random(0))
        )
        self._fill_reference()

    def _machine(self, name: str) -> Machine:
        return Machine(
            name,
            self.loop,
            self.clock,
            self.settings,
            self.database,
            self.server,
            self.broker,
            self.network,
            self.watch.sending,
            self._ended,
        )

    def _fill_reference(self) -> None:
        tables, limits = self.database.tables, self.scenario.limits
        for symbol, price in self.prices.items():
            facts = {"sector": None, "previous_close": price, "period_mean": price, "adv": Decimal(10_000_000)}
            tables.instruments.insert(symbol, {"symbol": symbol, "asset_class": "equity", **facts})
        for session in self.sessions:
            times = {"session": session.session, "open_at": session.open_at, "close_at": session.close_at}
            mic = self.settings.exchange
            tables.sessions.insert((mic, session.session), {"exchange_mic": mic, **times})
        always = self.clock.wall() - timedelta(days=30)
        for limit in DEFAULT_LIMITS:
            value = limits.get(limit.code, limit.value)
            row = {"account": "*", "code": str(limit.code), "version": 1, "value": value, "unit": limit.unit}
            tables.limits.append({**row, "actor": "migration", "effective_at": always})
        tables.commit()

    # -- processes ----------------------------------------------------------------------------------------------------

    def _ended(self, machine: Machine, error: BaseException | None) -> None:
        """A daemon stopped by itself: only for the lease or the warehouse; its supervisor starts it again."""
        self.trace.add(f"{self.clock.seconds:.6f} {machine.name} ended: {type(error).__name__}")
        lease = self.database.tables.leases.get(ACCOUNT) or {}
        was_deposed = lease.get("holder") != (machine.process.name if machine.process else "")
        for one in _leaves(error):
            if isinstance(one, BookDrifted) and was_deposed:
                continue  # between two of its reads the new leader wrote
            if isinstance(one, Refused) or not isinstance(one, LeaseLost | ConnectionLost):
                self.watch.fail("the daemon stops for the lease or the warehouse only", f"{type(one).__name__}: {one}")
        self.loop.call_later(RESTART_SECONDS, lambda: self._restart(machine))

    def _restart(self, machine: Machine, dies_at: int | None = None) -> None:
        if not machine.is_up:
            machine.start(dies_at)

    # -- the course of a run ------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """The scenario, then the healing, then what must hold at the end."""
        for machine in self.machines:
            machine.start()
        for event in self.scenario.events:
            self.loop.call_at(event.at, self._happen, event)
        for number in range(self.scenario.sessions):
            await self._session(number)
            if self.watch.violation:
                return
        await self._heal()
        if not self.watch.violation:
            await self._last_session()
        if not self.watch.violation:
            await self._settled()

    async def _until(self, at: float) -> None:
        while self.loop.time() < at and self.watch.violation is None:
            await asyncio.sleep(min(1.0, at - self.loop.time()))
            self._answered()

    def _answered(self) -> None:
        """Hold the daemon to its answers while nothing has been wrong for a while."""
        leader, now = self._leader(), self.loop.time()
        is_quiet = self.quiet_from <= now and leader.is_ready and now - leader.started_at > SILENCE_SECONDS + 2
        if is_quiet and not self.scenario.slow and Fault.REFUSED_READ not in self.scenario.rates:
            self.watch.answered(SILENCE_SECONDS)

    async def _session(self, number: int) -> None:
        session, start = self.sessions[number], number * SESSION_SECONDS
        self.broker.before = None  # no answer is stale for a night
        self.clock.skip_to(session.open_at - BEFORE_OPEN)
        await self._until(start + PRE_OPEN_SECONDS)
        self.clock.skip_to(session.open_at)
        self.broker.open_market()
        while self.loop.time() < start + PRE_OPEN_SECONDS + OPEN_SECONDS and self.watch.violation is None:
            await asyncio.sleep(PRINT_SECONDS * self.random.random() * 2)
            self._print(session)
        self.clock.skip_to(session.close_at)
        self.broker.close_market()
        await self._until(start + SESSION_SECONDS)

    def _print(self, session: Session) -> None:
        """The market trades; some minutes have passed since it did last."""
        later = self.clock.market() + timedelta(minutes=self.random.randint(0, 30))
        self.clock.skip_to(min(later, session.close_at - timedelta(minutes=1)))
        symbol = self.random.choice(sorted(self.prices))
        step = Decimal(self.random.randint(-150, 150)) / 10000
        self.prices[symbol] = (self.prices[symbol] * (1 + step)).quantize(Decimal("0.01"))
        self.broker.trade(symbol, self.prices[symbol])

    # -- what happens -------------------------------------------------------------------------------------------------

    def _happen(self, event: Event) -> None:
        if self.is_healed or self.watch.violation is not None:
            return
        self.trace.add(f"{self.clock.seconds:.6f} {event}")
        if event.kind is not Kind.BATCH:
            lasts = event.seconds * 2 + SILENCE_SECONDS + BACKOFF_SECONDS
            self.quiet_from = max(self.quiet_from, self.loop.time() + lasts)
        self.watch.coverage[f"{event.kind} {event.what}".strip()] += 1
        _HAPPENINGS[event.kind](self, event)

    def _later(self, seconds: float, action: Any) -> None:
        self.loop.call_later(seconds, action, context=Context())  # no process's own: it happens to them

    def _leader(self) -> Machine:
        return next((m for m in self.machines if m.is_ready), self.machines[0])

    def _batch(self, event: Event) -> None:
        poison = Poison(event.what) if event.what else None
        now = self.clock.market()
        session = next(s for s in self.sessions if s.close_at > now)
        batch = pipeline.make(self.random, ACCOUNT, session, now, self.prices, poison)
        if poison:
            self.watch.poisoned[batch.batch_id] = poison
        pipeline.write(self.database.tables, batch, self.clock.wall())
        for bell in list(self.server.bells):
            if self.random.random() < 0.8:
                bell.ring()

    def _crash(self, event: Event) -> None:
        machine = self._leader()
        if machine.process is not None and machine.is_up:
            machine.process.dies_at = machine.process.steps + event.number
            self._later(event.seconds + 0.5, lambda: self._crashed(machine))

    def _crashed(self, machine: Machine) -> None:
        machine.kill()
        self._later(RESTART_SECONDS, lambda: self._restart(machine))

    def _crash_at_point(self, event: Event) -> None:
        machine = self._leader()
        machine.dies_at_point = (FailPoint(event.what), event.number)
        self._supervise(machine, 20)

    def _supervise(self, machine: Machine, times: int) -> None:
        self._restart(machine)
        if times:
            self._later(1.0, lambda: self._supervise(machine, times - 1))

    def _machine_lost(self, event: Event) -> None:
        machine = self._leader()
        if machine.process is None or machine.gateway is None or not machine.is_up:
            return
        cut = machine.gateway.cut
        machine.process.on_death.remove(cut)
        machine.kill()
        self._later(KEEPS_SESSION_SECONDS, cut)
        self._later(event.seconds, lambda: self._restart(machine))

    def _stop(self, event: Event) -> None:
        self._stopped(self._leader(), event.seconds * 2)

    def _stop_at_point(self, event: Event) -> None:
        """The process stops just there."""
        machine = self._leader()
        machine.on_point = (_BEFORE_SENDING[event.number % 3], lambda: self._stopped(machine, event.seconds * 2))

    def _stopped(self, machine: Machine, seconds: float) -> None:
        machine.stop()
        self._later(seconds, machine.go_on)
        self.quiet_from = max(self.quiet_from, self.loop.time() + seconds + SILENCE_SECONDS)

    def _cut(self, _event: Event) -> None:
        self._leader().cut()

    def _lost_commit(self, _event: Event) -> None:
        rate, self.server.broken = self.server.broken, 1.0
        self._later(self.random.random(), lambda: setattr(self.server, "broken", rate))

    def _kill(self, event: Event) -> None:
        scope, _, key = event.what.partition(" ")
        self._switch(scope, key, True)
        self._later(event.seconds, lambda: self._switch(scope, key, False))

    def _kill_at_point(self, event: Event) -> None:
        """The button is pressed just when a batch is planned, or committed, or an order is about to leave."""
        self._leader().on_point = (_BEFORE_SENDING[event.number % 3], lambda: self._kill(event))

    def _switch(self, scope: str, key: str, engaged: bool) -> None:
        fields = {"scope": scope, "key": key, "engaged": engaged, "reason": "a scenario", "actor": "operator"}
        row = self.database.tables.kill_switches.get((scope, key))
        if row is not None and not engaged:  # a second person has approved it
            self.database.tables.kill_switches.change((scope, key), engaged=False)
            self.database.tables.commit()
            self.watch.released(scope, key)
        elif engaged:
            session = self.database.connect("operator")
            self.database.run(session, "set_kill_switch", {**fields, "at": self.clock.market()})
            self.database.disconnect(session)

    def _outage(self, event: Event) -> None:
        self.network.is_out = True
        self._later(event.seconds, self._back)

    def _back(self) -> None:
        self.network.is_out = False
        self.broker.disconnect()

    def _disconnect(self, _event: Event) -> None:
        self.broker.disconnect()

    def _clock_jump(self, event: Event) -> None:
        machine = self._leader()
        machine.skew = timedelta(seconds=event.seconds)
        self._later(4.0, lambda: setattr(machine, "skew", timedelta()))

    def _tamper(self, event: Event) -> None:
        """Change the broker's books behind everybody's back, and mend them later."""
        undo = _TAMPERINGS[Tamper(event.what)](self, event)
        if undo is None:
            return
        before = len(self.database.tables.reconciliations)
        self._later(event.seconds, lambda: self._mend(event, before, undo))

    def _mend(self, event: Event, before: int, undo: Any) -> None:
        found = self.database.tables.reconciliations.since(before)
        quiet = [row for row in found if self._is_quiet(row["recorded_at"])]
        quiet = [] if Fault.STALE_READ in self.scenario.rates else quiet  # what is stale is not seen
        if not self.is_healed and len(quiet) >= 2 and not any(row["breaks"] for row in found):
            self.watch.fail("a difference is found", f"{event.what}: {len(quiet)} reconciliations saw nothing")
        undo()

    def _is_quiet(self, at: datetime) -> bool:
        """Whether nothing was touched shortly before, so that a routine comparison leaves nothing out."""
        events = self.database.tables.events
        return all(not QUIET > at - event["recorded_at"] >= timedelta() for event in events)

    def _tamper_cash(self, _event: Event) -> Any:
        if not len(self.database.tables.accounts):
            return None  # the balance is not taken over yet
        self.broker.cash += Decimal("0.05")
        return lambda: setattr(self.broker, "cash", self.broker.cash - Decimal("0.05"))

    def _tamper_position(self, event: Event) -> Any:
        symbol = sorted(self.prices)[event.number]
        self._hold(symbol, 7)
        return lambda: self._hold(symbol, -7)

    def _hold(self, symbol: str, qty: int) -> None:
        held = self.broker.ledger.position(symbol)
        self.broker.ledger.held[symbol] = replace(held, qty=held.qty + qty)

    def _tamper_foreign_order(self, event: Event) -> Any:
        symbol, name = sorted(self.prices)[event.number], f"foreign-{event.at:.6f}"
        terms = Terms(OrdType.LIMIT, TimeInForce.GTC, limit_price=Decimal("0.01"))
        try:
            self.broker.take(BrokerOrder(name, symbol, Side.BUY, Decimal(1), terms))
        except BrokerRefused:
            return None
        return lambda: self._end_foreign(name)

    def _end_foreign(self, name: str) -> None:
        if self.broker.ledger.orders[name].status.is_open:
            self.broker.end(name)

    def _tamper_fill(self, _event: Event) -> Any:
        """Another price for an execution that we have stored."""
        fills = self.broker.ledger.fills
        stored = [n for n, fill in enumerate(fills) if self._is_stored(fill)]
        if not stored:
            return None
        self._shift(stored[-1], Decimal("0.01"))
        return lambda: self._shift(stored[-1], Decimal("-0.01"))

    def _is_stored(self, fill: ExecutionReport) -> bool:
        row = self.database.tables.fill_ids.get((self.broker.name, fill.exec_id))
        is_recent = fill.at > self.clock.market() - timedelta(hours=12)  # what is older is not compared again
        return row is not None and is_recent and fill.exec_id in self.broker.ledger.standing()

    def _shift(self, number: int, by: Decimal) -> None:
        fills = self.broker.ledger.fills
        self.tampered.add(fills[number].exec_id)
        fills[number] = replace(fills[number], last_px=fills[number].last_px + by)

    def _command(self, event: Event) -> None:
        """A person asks the leader."""
        self._person(self._leader(), Command(event.what))

    def _person(self, machine: Machine, what: Command) -> None:
        if machine.daemon is None or machine.process is None or not machine.is_up:
            return
        context = Context()
        context.run(PROCESS.set, machine.process)
        source = random.Random(f"person {self.scenario.seed} {self.loop.time()}")
        asked = people.command(machine.daemon, what, source, dict(self.prices))
        self.loop.create_task(asked, name="person", context=context)

    def _ledger(self, event: Event) -> None:
        """What a broker does to an account without an order of ours."""
        if not len(self.database.tables.accounts) and Fault.STALE_READ in self.scenario.rates:
            return  # a balance that was stale when it was taken over
        symbol = sorted(self.prices)[event.number % len(self.prices)]
        match Entry(event.what):
            case Entry.DIVIDEND:
                self.broker.pay_dividend(symbol, Decimal("0.37"))
            case Entry.FEE:
                self.broker.book_cash(AdjustmentKind.FEE, Decimal("-1.25"))
            case Entry.TRANSFER:
                self.broker.book_cash(AdjustmentKind.TRANSFER, Decimal("2500"))
            case Entry.BUST | Entry.CORRECTION:
                self._take_back(event)

    def _take_back(self, event: Event) -> None:
        standing = [fill for fill in self.broker.ledger.standing().values() if fill.exec_id not in self.tampered]
        if not standing:
            return
        fill = standing[event.number % len(standing)]
        if event.what == Entry.BUST:
            self.broker.bust(fill.exec_id)
        else:
            self.broker.correct(fill.exec_id, fill.last_px + Decimal("0.05"))

    # -- afterwards ---------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        """Faults stop; everybody is up; who leads is ready within seconds, and everything clears."""
        await self._until(self.scenario.seconds + 11.0)  # what was begun ends
        self.is_healed = True
        self.broker.heal()
        self.network.is_out, self.network.slow, self.server.broken = False, 0.0, 0.0
        self.broker.disconnect()
        for row in [row for row in self.database.tables.kill_switches if row["engaged"]]:
            self._switch(row["scope"], row["key"], False)
        for machine in self.machines:
            machine.skew, machine.dies_at_point, machine.on_point = timedelta(), None, None
            if machine.process is not None:
                machine.process.dies_at = None
            machine.go_on()
            self._restart(machine)
        await self._ready("faults have stopped", READY_SECONDS + LEASE_SECONDS)
        self._leader().kill()
        self._leader_starts()
        await self._ready("kill -9", READY_SECONDS)
        self._unblock()
        self._person(self._leader(), Command.CANCEL_ALL)  # what is good till canceled, or works over the day

    def _leader_starts(self) -> None:
        for machine in self.machines:
            self._restart(machine)

    async def _ready(self, since: str, seconds: float) -> None:
        end = self.loop.time() + seconds
        while not any(machine.is_ready for machine in self.machines):
            if self.loop.time() >= end:
                why = [m.daemon.condition for m in self.machines if m.daemon is not None]
                last = self.database.tables.reconciliations
                breaks = last[-1]["breaks"][:2] if len(last) else "none"
                self.watch.fail(
                    "ready and reconciled in time", f"{since}, {seconds} s ago: {why}, last breaks {breaks}"
                )
            if self.watch.violation:
                return
            await asyncio.sleep(0.05)

    def _unblock(self) -> None:
        """A person looks at what does not clear itself."""
        for row in [row for row in self.database.tables.blocked if row["reason_code"] in GRAVE]:
            self.watch.coverage[f"grave {row['reason_code']}"] += 1
            self.loop.create_task(self._ask_unblock(self._leader(), row["symbol"]), name="operator")

    async def _ask_unblock(self, machine: Machine, symbol: str) -> None:
        while machine.daemon is not None and machine.is_up:
            try:
                await machine.daemon.unblock(symbol, "operator")
                return
            except BrokerError:  # an order in it is unknown still
                await asyncio.sleep(0.5)

    async def _last_session(self) -> None:
        """A day without faults: a good batch is traded through an open and a close."""
        number = self.scenario.sessions
        session = self.sessions[number]
        self.clock.skip_to(session.open_at - BEFORE_OPEN)
        await self._until(self.loop.time() + 2.5)
        self._batch(Event(self.loop.time(), Kind.BATCH))
        (last,) = list(self.database.tables.batches)[-1:]
        await self._until(self.loop.time() + 4.0)
        status = (self.database.tables.batch_intake.get(last["batch_id"]) or {}).get("status")
        self.watch.require(status == "worked", "trading goes on once faults stop", f"the last batch is {status}")
        self.clock.skip_to(session.open_at)
        self.broker.open_market()
        await self._until(self.loop.time() + 2.0)
        self.clock.skip_to(session.close_at)
        self.broker.close_market()
        await self._until(self.loop.time() + 3.0)
        self._next_day()

    def _next_day(self) -> None:
        """What reached the broker after the close is for the day after."""
        session = self.sessions[self.scenario.sessions + 1]
        self.clock.skip_to(session.open_at)
        self.broker.open_market()
        self.clock.skip_to(session.close_at)
        self.broker.close_market()

    async def _settled(self) -> None:
        end = self.loop.time() + CLEAR_SECONDS
        while (waiting := unsettled(self.database.tables, ACCOUNT)) and self.loop.time() < end:
            await asyncio.sleep(0.25)
        self.watch.require(not waiting, "everything clears once faults stop", "; ".join(waiting[:3]))
        await asyncio.sleep(self.settings.reconcile_seconds + 0.5)
        for invariant, fact in differences(self.database.tables, ACCOUNT, self.broker):
            self.watch.fail(invariant, fact)
        self._decided()
        store = Store(self.operator, self.settings, "operator")
        store.broker = self.broker.name
        drifted = await store.drift()
        self.watch.require(not drifted, "the stored state is the fold of its events", "; ".join(drifted[:2]))

    def _decided(self) -> None:
        tables = self.database.tables
        for number, poison in self.watch.poisoned.items():
            decided = tables.batch_intake.get(number) or {}
            expected = {pipeline.EXPECTED[Poison(poison)], "EXPIRED", "SUPERSEDED"}
            found = (decided.get("status"), decided.get("reason_code"))
            is_refused = found[0] == "quarantined" and found[1] in expected
            self.watch.require(is_refused, "a poisoned batch is quarantined", f"{number} with {poison} is {found}")


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error] if error is not None else []


_BEFORE_SENDING = (FailPoint.INTENT_COMMITTED, FailPoint.BEFORE_INTENT, FailPoint.BATCH_ACCEPTED)
_HAPPENINGS = {
    Kind.BATCH: World._batch,
    Kind.CRASH: World._crash,
    Kind.CRASH_AT_POINT: World._crash_at_point,
    Kind.MACHINE_LOST: World._machine_lost,
    Kind.STOP: World._stop,
    Kind.STOP_AT_POINT: World._stop_at_point,
    Kind.CUT: World._cut,
    Kind.LOST_COMMIT: World._lost_commit,
    Kind.KILL: World._kill,
    Kind.KILL_AT_POINT: World._kill_at_point,
    Kind.OUTAGE: World._outage,
    Kind.DISCONNECT: World._disconnect,
    Kind.CLOCK_JUMP: World._clock_jump,
    Kind.TAMPER: World._tamper,
    Kind.LEDGER: World._ledger,
    Kind.COMMAND: World._command,
}
_TAMPERINGS = {
    Tamper.CASH: World._tamper_cash,
    Tamper.POSITION: World._tamper_position,
    Tamper.FOREIGN_ORDER: World._tamper_foreign_order,
    Tamper.FILL: World._tamper_fill,
}


def simulate(seed: int, keeps_lines: bool = False) -> Outcome:
    """Run one seed. The same seed gives the same trace, in every process."""
    with _undisturbed():
        world = World(draw(seed), keeps_lines)
        try:
            world.loop.run(world.play())
        except (Deadlock, TicksExceeded) as error:
            world.watch.fail("something always goes on", str(error))
        outcome = _outcome(world)
        del world
        while gc.collect():  # what is torn down leaves garbage of its own: a seed's megabyte, a campaign's machine
            pass
    return outcome


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No log, and no garbage collected in between, whose time depends on what ran before.

    What was killed is torn down afterwards, and what its `finally` blocks still try is nobody's business.
    """
    logging.disable(logging.CRITICAL)
    gc.disable()
    gc.freeze()  # what was there before is not looked through again
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = hook
        gc.unfreeze()
        gc.enable()
        logging.disable(logging.NOTSET)


def _outcome(world: World) -> Outcome:
    tables = world.database.tables
    return Outcome(
        seed=world.scenario.seed,
        violation=world.watch.violation,
        digest=world.trace.digest(),
        orders=len(tables.orders),
        fills=len(tables.fills),
        restarts=sum(machine.started - 1 for machine in world.machines),
        virtual_seconds=world.clock.seconds,
        ticks=world.loop.ticks,
        coverage=dict(world.watch.coverage),
        lines=tuple(world.trace.lines or ()),
    )
