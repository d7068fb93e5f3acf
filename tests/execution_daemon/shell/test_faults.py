"""The whole shell in this process, with PostgreSQL, against the simulated broker and its faults."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import BlockCode
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from bifrost_core.trading.throttle import Throttle
from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.api.app import create_app
from execution_daemon.api.gauges import gauges_of
from execution_daemon.brokers.port import (
    AdjustmentKind,
    BrokerRefused,
    BrokerStatus,
    BrokerUnclear,
    Connected,
    ExecKind,
    NotListed,
)
from execution_daemon.brokers.simulated import Fault, SimulatedBroker
from execution_daemon.brokers.simulated_ledger import report_of
from execution_daemon.core.book import Blocked
from execution_daemon.core.manual import ManualOrder
from execution_daemon.errors import LeaseLost, NotReady, StoreFailed
from execution_daemon.shell.clock import Host
from execution_daemon.shell.daemon import Daemon
from execution_daemon.shell.failpoints import FailPoint, none_set
from execution_daemon.shell.sender import SETTLE_SECONDS
from tests.execution_daemon.shell.conftest import BEFORE_OPEN, CLOSES, cut_connections, make_batch, write_batch

WEIGHTS = {"AAPL": "0.2", "IBM": "0.2", "MSFT": "0.1"}
TICK_SECONDS = 0.02


class Poor(SimulatedBroker):
    """Lists what has happened since `begins` only, forgot what became of `lost`, loses its stream `flaps` times."""

    begins: datetime | None = None
    lost = ""
    flaps = 0
    fills_asked = 0
    recalled: dict[str, Decimal] | None = None
    keeps = 0
    is_unclear = False
    never_told: frozenset[str] | set[str] = frozenset()
    then: datetime | None = None
    finds = 0
    overtakes: Callable[[], object] | None = None
    may_answer: asyncio.Event | None = None
    tells_sums = True
    is_silent = False
    silences = 0
    hides: Sequence[bool] = ()
    is_shown = False

    async def cancel(self, client_order_id):
        if self.keeps:
            self.keeps -= 1
            state = self.ledger.orders[client_order_id]
            raise BrokerRefused(report_of(state, ExecKind.REJECTED, self.now, "it is being looked at"), "busy")
        await super().cancel(client_order_id)

    async def last_trade(self, symbols):
        if self.is_unclear:
            raise BrokerUnclear("nobody answers")
        return await super().last_trade(symbols)

    def recall(self, commissions):
        self.recalled = dict(commissions)

    async def events(self):
        while self.flaps:
            self.flaps -= 1
            yield Connected(self.flaps)
            await asyncio.sleep(0)
        async for event in super().events():
            is_end = not isinstance(event, Connected) and event.kind is ExecKind.CANCELED
            yield event if self.tells_sums or not is_end else replace(event, cum_qty=Decimal(0))

    async def market_time(self):
        if self.is_silent:
            self.silences += 1
            raise BrokerUnclear("nobody answers")
        return await super().market_time()

    def _listed(self, since):
        return max((at for at in (since, self.begins) if at), default=None)

    async def lists_from(self):
        return self.begins

    async def orders(self, since=None):
        found = await super().orders(self._listed(since))
        return tuple(one for one in found if one.client_order_id != self.lost)

    async def open_orders(self):
        return tuple(one for one in await super().open_orders() if one.client_order_id != self.lost)

    async def fills(self, since=None):
        self.fills_asked += 1
        if self.is_shown:
            self.is_shown = False
            raise BrokerUnclear("nobody answers")
        told = await super().fills(self._listed(since))
        if self.overtakes is not None and self.fills_asked % 2 == 0:  # the last question of a look
            self.overtakes()
            await asyncio.sleep(TICK_SECONDS)
        return told

    async def positions(self):
        if self.may_answer is not None:
            await self.may_answer.wait()
        return await super().positions()

    async def find(self, client_order_id):
        self.finds += 1
        if self.then is not None and self.finds == 2:  # the second look is the one that proves an absence
            self.now = self.then
        if self.is_unclear or client_order_id in self.never_told:
            raise BrokerUnclear("nobody knows")
        if self.hides:
            is_hidden, *self.hides = self.hides
            self.is_shown = not is_hidden  # and its fills are not
            if is_hidden:
                return None
        if client_order_id == self.lost:
            raise NotListed(f"{client_order_id} is listed no more")
        return await super().find(client_order_id)


class Floor:
    """A daemon, its broker and the pipeline's hand."""

    def __init__(self, settings, warehouse, session) -> None:
        self.settings = settings.model_copy(update={"poll_seconds": 0.1, "reconcile_seconds": 60.0})
        self.warehouse = warehouse
        self.session = session
        prices = {symbol: Decimal(price) for symbol, price in CLOSES.items()}
        self.broker = Poor(prices, self.settings.initial_cash, at=session.open_at - BEFORE_OPEN)
        self.daemon = Daemon(self.settings, self.broker)
        self.reached = none_set

    @asynccontextmanager
    async def trading(self, is_awaited: bool = True) -> AsyncIterator[Daemon]:
        """The daemon, running, for the length of the block; ready if that `is_awaited`."""
        self.daemon = Daemon(self.settings, self.broker, self.reached)
        task = asyncio.create_task(self.daemon.run())
        try:
            if is_awaited:
                await self.until(lambda: self.daemon.is_ready, task)
            yield self.daemon
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, done: Callable[[], bool], task: asyncio.Task[None] | None = None) -> None:
        async with asyncio.timeout(20):
            while not done():
                if task is not None and task.done():
                    task.result()
                await asyncio.sleep(TICK_SECONDS)

    async def until_unknown(self, count: int = 1) -> None:
        """Until so many orders have got no answer."""
        await self.until(lambda: sum(o.is_unknown for o in self.daemon.parts.keeper.book.orders.values()) == count)

    def write(self, weights=None) -> uuid.UUID:
        return write_batch(self.warehouse, make_batch(self.settings, self.session, weights or WEIGHTS))

    def read(self, sql: str):
        with connect(self.settings, Role.TRADER) as connection:
            return connection.execute(sql).fetchall()

    def is_worked(self, batch: uuid.UUID) -> Callable[[], bool]:
        return lambda: self.read(f"select status from trading.batch_intake where batch_id = '{batch}'") == [("worked",)]

    async def to_the_close(self) -> None:
        self.broker.now = self.session.open_at
        self.broker.open_market()
        self.broker.now = self.session.close_at
        self.broker.close_market()
        await self.daemon.wake()


@pytest.fixture
def floor(settings, warehouse, market):
    """Half an hour before the open of 20 February 2013."""
    return Floor(settings, warehouse, market("2013-02-20"))


@pytest.mark.parametrize("fault", list(Fault))
async def test_each_fault_ends_in_the_brokers_ledger(floor, fault):
    """A lost answer read as a refusal, a repeated fill counted twice, a lost one never counted."""
    async with floor.trading() as daemon:
        floor.broker.plan(fault, 2)
        batch = floor.write()
        await floor.until(floor.is_worked(batch))
        await floor.to_the_close()
        floor.broker.heal()
        found = await daemon.reconcile()
        assert found.breaks == ()
        assert len(floor.broker.accepted) == len(set(floor.broker.accepted)) == 3
        assert await daemon.parts.store.drift() == ()
    held = {p.symbol: p.qty for p in await floor.broker.positions()}
    assert dict(floor.read("select symbol, quantity from trading.positions")) == held


async def test_silence_is_unknown_then_blocked_then_proven(floor):
    """In the events: no answer first, and only then what the broker proved."""
    async with floor.trading():
        floor.broker.plan(Fault.LOST_REQUEST)
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
    kinds = [row[0] for row in floor.read("select kind from trading.order_events order by event_seq")]
    assert kinds == ["intent", "no_answer", "absent", "new"]
    assert floor.read("select count(*) from trading.blocked_symbols") == [(0,)]
    blocks = floor.read("select kind from audit.chain where kind in ('block', 'unblock') order by seq")
    assert blocks == [("block",), ("unblock",)]


async def test_a_refusal_is_proof(floor):
    """Only what the broker refused is rejected, with its reason; the symbol trades on."""
    floor.broker.prices.pop("MSFT")
    async with floor.trading() as daemon:
        floor.broker.set_price("MSFT", Decimal(CLOSES["MSFT"]))
        floor.broker.cash = Decimal(1000)  # the broker lends less than we believe
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        assert floor.read("select ord_status from trading.orders") == [("rejected",)]
        assert floor.read("select text from trading.order_events where kind = 'rejected'")[0][0].startswith(
            "buying_power"
        )
        assert daemon.parts.keeper.book.blocked == {}
        assert floor.read("select reserved from trading.cash") == [(Decimal(0),)]


async def test_the_broker_is_told_what_stands_in_the_book(floor):
    """One that tells of a fill in steps would tell of it otherwise after a restart, and differ from the book."""
    async with floor.trading():
        assert floor.broker.recalled == {}
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        await floor.to_the_close()
        await floor.until(lambda: floor.read("select count(*) from trading.fills") == [(1,)])
    async with floor.trading():
        assert floor.broker.recalled == dict(floor.read("select exec_id, commission from trading.fills"))


async def test_a_disconnected_stream_loses_nothing(floor):
    """Fills between two connections are in no stream."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write()))
        floor.broker.plan(Fault.LOST_REPORT, 100)
        floor.broker.now = floor.session.open_at
        floor.broker.open_market()
        floor.broker.heal()
        floor.broker.disconnect()
        await floor.until(lambda: not list(daemon.parts.keeper.book.open_orders()))
        assert floor.read("select count(*) from trading.fills") == [(3,)]


async def test_no_order_before_the_first_clean_reconciliation(floor):
    """A book that differs at the start must not be traded on."""
    async with floor.trading():
        pass
    floor.broker.cash -= Decimal("0.01")
    floor.daemon = Daemon(floor.settings, floor.broker)
    task = asyncio.create_task(floor.daemon.run())
    try:
        await floor.until(lambda: floor.daemon.condition == "halted", task)
        batch = floor.write()
        await floor.daemon.wake()
        assert floor.read("select count(*) from trading.batch_intake") == [(0,)]
        assert floor.broker.accepted == []
        floor.broker.cash += Decimal("0.01")
        await floor.until(floor.is_worked(batch), task)
        assert floor.daemon.condition == "ready"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_lost_lease_stops_the_daemon(floor, settings):
    """The database refuses its writes; going on would only make noise."""
    floor.settings = floor.settings.model_copy(update={"lease_seconds": 0.3})
    floor.daemon = Daemon(floor.settings, floor.broker)
    task = asyncio.create_task(floor.daemon.run())
    await floor.until(lambda: floor.daemon.is_ready, task)
    rival = connect(settings, Role.TRADER)
    rival.autocommit = True
    async with asyncio.timeout(20):
        while rival.execute("select trading.acquire_lease_v1('paper', 'rival', 60)").fetchone() == (None,):
            rival.execute("select 1 from pg_sleep(0.05)")
            await asyncio.sleep(0)
            with connect(settings, Role.OWNER) as owner:
                owner.execute("update trading.leases set expires_at = '-infinity'")
        with pytest.raises(ExceptionGroup) as stopped:
            await task
    rival.close()
    assert stopped.group_contains(LeaseLost)


async def test_a_dead_database_stops_the_daemon(floor, settings):
    """Without the warehouse nothing is durable, so nothing may be sent."""
    floor.daemon = Daemon(floor.settings, floor.broker)
    task = asyncio.create_task(floor.daemon.run())
    await floor.until(lambda: floor.daemon.is_ready, task)
    cut_connections(settings)
    with pytest.raises(ExceptionGroup) as stopped:
        async with asyncio.timeout(20):
            await task
    _ours, others = stopped.value.split(StoreFailed)
    assert others is None


async def test_a_kill_switch_also_stops_what_was_committed_and_not_yet_sent(floor, settings):
    """The button is pressed while a batch is going out: what has not left must stay."""

    def press(point: FailPoint) -> None:
        if point is FailPoint.INTENT_COMMITTED:
            with connect(settings, Role.TRADER) as connection:
                connection.execute(
                    "select trading.set_kill_switch_v1('symbol', 'MSFT', true, 'a test', 'operator', now())"
                )

    floor.reached = press
    async with floor.trading():
        await floor.until(floor.is_worked(floor.write()))
    assert floor.read("select symbol from trading.orders where ord_status = 'canceled'") == [("MSFT",)]
    assert len(floor.broker.accepted) == 2


def once_sent(floor, act: Callable[[], None]) -> None:
    """Have `act` done when the first order has been sent, and its answer is awaited no more."""
    done: list[FailPoint] = []

    def press(point: FailPoint) -> None:
        if point is FailPoint.ORDER_SENT and not done:
            done.append(point)
            act()

    floor.reached = press


async def test_a_look_up_that_is_not_answered_proves_nothing(floor):
    """The order would be sent once more, and the broker have it twice."""
    floor.broker.plan(Fault.LOST_ANSWER)
    floor.broker.plan(Fault.LOST_REPORT, 5)
    once_sent(floor, lambda: floor.broker.plan(Fault.REFUSED_READ, 20))
    async with floor.trading():
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
    assert floor.read("select kind from trading.order_events where kind = 'absent'") == []
    assert len(floor.broker.accepted) == 1


async def test_an_absent_order_against_which_a_kill_stands_says_so(floor, settings):
    """It would be called alive, and sent again but for the last look."""

    def kill() -> None:
        with connect(settings, Role.TRADER) as connection:
            connection.execute("select trading.set_kill_switch_v1('global', '*', true, 'a test', 'ann', now())")

    floor.broker.plan(Fault.LOST_REQUEST)
    once_sent(floor, kill)
    async with floor.trading():
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
    said = floor.read("select text from trading.order_events where kind = 'canceled'")
    assert said == [("never reached the broker, and a kill switch is engaged",)]


async def test_an_absence_is_judged_by_the_time_it_is_then(floor):
    """On a time that is seconds old the order would be sent again after its target's end."""
    floor.settings = floor.settings.model_copy(update={"poll_seconds": 60.0})
    floor.broker.plan(Fault.LOST_REQUEST)
    floor.broker.then = floor.session.close_at
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        assert daemon.clock.now() >= floor.session.close_at
    assert floor.broker.accepted == []
    said = floor.read("select text from trading.order_events where kind = 'canceled'")
    assert said == [("never reached the broker, and its target is no longer valid",)]


async def test_an_account_is_taken_over_from_a_ledger_at_rest(floor):
    """What is booked while the balance is read would count twice, or never."""
    floor.broker.book_cash(AdjustmentKind.FEE, Decimal(-7))
    task = asyncio.create_task(floor.daemon.run())
    await asyncio.sleep(1.0)
    assert floor.read("select count(*) from trading.accounts") == [(0,)]
    floor.broker.now += timedelta(seconds=1)
    await floor.until(lambda: floor.daemon.is_ready, task)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert floor.read("select balance from trading.cash") == [(floor.settings.initial_cash - 7,)]


async def test_what_is_booked_in_the_moment_of_the_opening_counts(floor):
    """Market time stands still in a replay: the cash differed for ever, and with it nothing was traded."""
    async with floor.trading() as daemon:
        floor.broker.book_cash(AdjustmentKind.FEE, Decimal(-7))
        assert (await daemon.reconcile()).is_clean
    assert floor.read("select balance from trading.cash") == [(floor.settings.initial_cash - 7,)]


async def test_an_account_is_taken_over_on_the_brokers_clock(floor):
    """What the broker books in the first hour would be left out, where this machine's clock is an hour ahead."""
    settings = floor.settings.model_copy(update={"clock": "system"})
    ahead = Host("ahead", lambda: floor.broker.now + timedelta(hours=1))
    daemon = Daemon(settings, floor.broker, host=ahead)
    task = asyncio.create_task(daemon.run())
    await floor.until(lambda: daemon.is_ready, task)
    floor.broker.now += timedelta(minutes=10)
    floor.broker.book_cash(AdjustmentKind.FEE, Decimal(-7))
    assert (await daemon.reconcile()).is_clean
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_cancel_that_is_asked_while_an_order_waits_to_leave_stops_it(floor):
    """It was looked at as it had been before the wait, and left after cancel-all."""
    asked: list[asyncio.Task[list[str]]] = []

    def press(point: FailPoint) -> None:
        if point is FailPoint.INTENT_COMMITTED and not asked:
            slow = floor.daemon.parts.sender.throttle = Throttle(2.0, 1.0, 0.0)
            slow.take(asyncio.get_running_loop().time())
            asked.append(asyncio.ensure_future(floor.daemon.commands.cancel_all("ann", "enough")))

    floor.reached = press
    async with floor.trading():
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
    assert len(await asked[0]) == 1
    assert floor.broker.accepted == []
    assert floor.read("select ord_status from trading.orders") == [("canceled",)]


async def test_a_break_is_not_healed_by_a_pass_that_leaves_it_out(floor):
    """Every fill would have freed an account whose cash is wrong, and called it clean."""
    async with floor.trading() as daemon:
        keeper = daemon.parts.keeper
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        floor.broker.cash += Decimal(1000)
        assert not (await daemon.reconcile()).is_clean
        assert "*" in keeper.book.blocked
        keeper.touched["MSFT"] = asyncio.get_running_loop().time()
        assert not (await daemon.parts.reconciler.reconcile(is_routine=True)).is_clean
        assert "*" in keeper.book.blocked
        keeper.book = replace(keeper.book, blocked={})
        with pytest.raises(BrokerUnclear, match="just traded"):
            await daemon.parts.reconciler.reconcile(is_routine=True)


async def test_nothing_waits_behind_a_look_at_the_ledger(floor):
    """The proof of what had become of an order waited for seconds behind a broker that was slow to list positions."""
    async with floor.trading() as daemon:
        floor.broker.may_answer = asyncio.Event()
        looking = asyncio.create_task(daemon.reconcile())
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        assert not looking.done()
        floor.broker.may_answer.set()
        assert (await looking).is_clean


@pytest.mark.parametrize("tells_sums", [True, False], ids=["a report was lost", "the stream was cut"])
async def test_an_end_waits_for_the_fills_before_it(floor, tells_sums):
    """A replacement went out for what had been executed already: 140 of 100 shares."""
    floor.broker.tells_sums, terms = tells_sums, Terms(OrdType.LIMIT, limit_price=Decimal(28))
    async with floor.trading() as daemon:
        order = ManualOrder("MSFT", Side.BUY, Decimal(100), terms, None)
        (decision,) = await daemon.commands.submit(order, "ann", uuid.uuid4())
        key = decision.client_order_id
        await floor.until(lambda: floor.broker.accepted == [key])
        floor.broker.plan(Fault.LOST_REPORT)
        floor.broker.execute(key, Decimal(40), Decimal(28))
        floor.broker.may_answer = asyncio.Event()
        if not tells_sums:
            floor.broker.disconnect()
            await floor.until(lambda: daemon.parts.reconciler.is_busy)
        await daemon.commands.amend(key, None, Decimal("28.01"), None, "ann", uuid.uuid4())
        await floor.until(lambda: not floor.broker.ledger.orders[key].status.is_open)
        await asyncio.sleep(5 * TICK_SECONDS)
        floor.broker.may_answer.set()
        await floor.until(lambda: len(floor.broker.accepted) == 2)
        assert floor.broker.ledger.orders[floor.broker.accepted[1]].qty == 60
        assert daemon.parts.keeper.book.blocked == {}


async def test_what_was_busted_unheard_fills_no_order(floor):
    """An order that works on was filled in the book, and with the bust it had ended: what came then was a break."""
    async with floor.trading() as daemon:
        terms = Terms(OrdType.LIMIT, limit_price=Decimal(28))
        order = ManualOrder("MSFT", Side.BUY, Decimal(150), terms, None)
        (decision,) = await daemon.commands.submit(order, "ann", uuid.uuid4())
        key = decision.client_order_id
        await floor.until(lambda: floor.broker.accepted == [key])
        for _ in range(2):
            floor.broker.execute(key, Decimal(50), Decimal(28))
        await floor.until(lambda: daemon.parts.keeper.book.orders[key].cum_qty == 100)
        floor.broker.plan(Fault.LOST_REPORT)
        floor.broker.bust(floor.broker.ledger.fills[0].exec_id)
        for _ in range(2):
            floor.broker.execute(key, Decimal(50), Decimal(28))
        await floor.until(lambda: not list(daemon.parts.keeper.book.open_orders()))
        assert daemon.parts.keeper.book.blocked == {}
        assert (await daemon.reconcile()).is_clean
    statuses = floor.read("select ord_status from trading.order_events order by event_seq")
    assert statuses[-1] == ("filled",) and ("canceled",) not in statuses


async def test_nothing_is_decided_before_the_first_reconciliation(floor):
    """A daemon that died before it could block what differs left it to trade, until its successor had looked."""
    floor.broker.may_answer = asyncio.Event()
    order = ManualOrder("MSFT", Side.BUY, Decimal(100), Terms(), None)
    async with floor.trading(is_awaited=False) as daemon:
        await floor.until(lambda: daemon._parts is not None and daemon.parts.reconciler.is_busy)
        for asked in (
            daemon.commands.submit(order, "ann", uuid.uuid4()),
            daemon.commands.submit_one_of((order, order), "ann", uuid.uuid4()),
            daemon.commands.amend("x", Decimal(1), None, None, "ann", uuid.uuid4()),
            daemon.commands.flatten("ann", "enough", uuid.uuid4()),
        ):
            with pytest.raises(NotReady, match="since the daemon started"):
                await asked
        assert await daemon.commands.cancel_all("ann", "enough") == []
        floor.broker.may_answer.set()
        await floor.until(lambda: daemon.is_ready)
        assert len(await daemon.commands.submit(order, "ann", uuid.uuid4())) == 1


async def test_a_broker_that_is_away_for_a_weekend_is_waited_for(floor):
    """After 1,024 looks in vain the next pause could not be reckoned any more, and the daemon ended."""
    floor.settings = floor.settings.model_copy(update={"reconcile_seconds": 0.001})
    async with floor.trading() as daemon:
        floor.broker.is_silent = True
        await floor.until(lambda: floor.broker.silences > 1100)
        floor.broker.is_silent = False
        assert (await daemon.reconcile()).is_clean


async def test_what_was_heard_during_a_look_is_not_a_break(floor):
    """A symbol would be halted because the ledger was read before the execution that the book has by now."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        floor.broker.fills_asked = 0
        floor.broker.overtakes = lambda: floor.broker.execute(floor.broker.accepted[0], Decimal(1))
        with pytest.raises(BrokerUnclear, match="MSFT differs, and was just traded"):
            await daemon.reconcile()
        floor.broker.overtakes = None
        assert (await daemon.reconcile()).is_clean
    assert floor.read("select count(*) from audit.chain where kind = 'block'") == [(0,)]


async def test_what_was_left_out_of_a_comparison_is_said(floor):
    """Beside a break that stands, who asks would be told that the rest agrees, of which a part was not compared."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        floor.broker.cash += Decimal(1000)
        assert [one.symbol for one in (await daemon.reconcile()).breaks] == ["*"]
        floor.broker.fills_asked = 0
        floor.broker.overtakes = lambda: floor.broker.execute(floor.broker.accepted[0], Decimal(1))
        with pytest.raises(BrokerUnclear, match="not all of it could be compared"):
            await daemon.reconcile()


async def test_a_comparison_has_the_time_of_what_was_read(floor):
    """The equity of a day would be marked in the next one, where the clock of a replay leaps while it is read."""
    async with floor.trading() as daemon:
        before = floor.broker.now
        floor.broker.may_answer = asyncio.Event()
        looking = asyncio.create_task(daemon.reconcile())
        await floor.until(lambda: daemon.parts.reconciler.is_busy)
        await asyncio.sleep(5 * TICK_SECONDS)
        floor.broker.now += timedelta(minutes=10)
        assert await daemon.wake() == floor.broker.now
        floor.broker.may_answer.set()
        assert (await looking).event_at == before


async def test_a_later_close_is_not_given_back_with_an_earlier_one(floor):
    """A batch would be taken before the close of its eve is in the book."""
    async with floor.trading() as daemon:
        floor.broker.may_answer = asyncio.Event()
        closing = asyncio.create_task(floor.to_the_close())
        await floor.until(lambda: daemon.parts.intake.closed_at is not None)
        await asyncio.sleep(5 * floor.settings.poll_seconds)  # the doorbell waits for the same look
        later = daemon.parts.intake.closed_at = floor.session.close_at + timedelta(days=1)
        floor.broker.may_answer.set()
        await closing
        assert daemon.parts.intake.closed_at == later
        await floor.until(lambda: daemon.parts.intake.closed_at is None)


async def test_a_close_is_reconciled_before_the_next_batch_is_taken(floor):
    """The next day's orders would be sized by holdings in which the close is missing."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        floor.broker.plan(Fault.LOST_REPORT, 100)
        floor.broker.may_answer = asyncio.Event()
        closing = asyncio.create_task(floor.to_the_close())
        await floor.until(lambda: daemon.parts.intake.closed_at is not None)
        batch = floor.write({"IBM": "0.1"})
        await asyncio.sleep(5 * floor.settings.poll_seconds)
        assert floor.read(f"select count(*) from trading.batch_intake where batch_id = '{batch}'") == [(0,)]
        floor.broker.may_answer.set()
        await closing
        assert floor.read("select count(*) from trading.fills") == [(1,)]
        await floor.until(lambda: bool(floor.read(f"select 1 from trading.batch_intake where batch_id = '{batch}'")))


async def test_what_the_broker_lists_no_more_is_not_compared(floor):
    """The fills of yesterday would halt every symbol on the next morning at a broker that lists one day."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        floor.broker.execute(floor.broker.accepted[0])
        await floor.until(lambda: floor.read("select count(*) from trading.fills") == [(1,)])
        floor.broker.now += timedelta(hours=1)
        floor.broker.begins = floor.broker.now
        found = await daemon.reconcile()
        assert (found.breaks, found.fills_checked) == ((), 0)


async def test_a_stream_that_comes_and_goes_does_not_hold_up_the_answers(floor):
    """Each reconnect had the whole ledger read: a flapping stream queued looks faster than they were done."""
    floor.broker.flaps = 100
    async with floor.trading():
        await floor.until(floor.is_worked(floor.write()))
        assert floor.broker.flaps == 0
        assert floor.broker.fills_asked < 50


async def test_an_order_that_the_broker_lost_halts_its_symbol_only(floor):
    """One order that nobody can say anything of would stop reconciliation for all."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1", "IBM": "0.1"})))
        keys = dict(floor.read("select symbol, client_order_id from trading.orders"))
        floor.broker.lost = keys["MSFT"]
        found = await daemon.reconcile()
        assert [(one.kind, one.symbol) for one in found.breaks] == [("order_missing", "MSFT")]
        assert daemon.parts.keeper.book.blocked.keys() == {"MSFT"}


async def test_what_ended_is_let_go_and_a_late_fill_of_it_still_counts(floor):
    """After a clean reconciliation the book forgets ended orders; the broker may not."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        (key,) = floor.broker.accepted
        floor.broker.execute(key)
        await floor.until(lambda: floor.read("select count(*) from trading.fills") == [(1,)])
        assert (await daemon.reconcile()).is_clean
        assert daemon.parts.keeper.book.orders == {}
        floor.broker.execute(key, Decimal(5))
        await floor.until(lambda: floor.read("select count(*) from trading.fills") == [(2,)])
        await floor.until(lambda: "MSFT" in daemon.parts.keeper.book.blocked)
        assert daemon.parts.keeper.book.blocked["MSFT"].code == "OVERFILL"
        assert (await daemon.reconcile()).is_clean
        assert await daemon.parts.store.drift() == ()


async def test_the_metrics_count_what_happened(floor):
    """Grafana would show a calm that is none."""
    async with floor.trading() as daemon:
        floor.broker.plan(Fault.LOST_ANSWER)
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1", "IBM": "0.6"})))
        await daemon.halt("global", "*", "a test", "ann")
        context = create_app(daemon, daemon.settings).state.context
        lines = set(daemon.metrics.text(await gauges_of(context)).splitlines())
        await context.warehouse.close()
    assert {
        'bifrost_risk_decisions_total{reason_code="ACCEPTED"} 1.0',
        'bifrost_risk_decisions_total{reason_code="MAX_ORDER_VALUE"} 1.0',
        'bifrost_order_events_total{kind="no_answer"} 1.0',
        'bifrost_batches_total{status="worked"} 1.0',
        "bifrost_ready 1.0",
        "bifrost_open_orders 1.0",
        "bifrost_unknown_orders 0.0",
        "bifrost_intent_commit_seconds_count 1.0",
    } <= lines


async def test_an_operator_frees_a_symbol(floor):
    """A grave block stands until a person says that it is dealt with; who did is audited."""
    async with floor.trading() as daemon:
        await floor.until(floor.is_worked(floor.write({"MSFT": "0.1"})))
        floor.broker.execute(floor.broker.accepted[0])
        floor.broker.execute(floor.broker.accepted[0], Decimal(5))
        await floor.until(lambda: "MSFT" in daemon.parts.keeper.book.blocked)
        assert daemon.parts.keeper.book.blocked["MSFT"].code == "OVERFILL"
        assert (await daemon.reconcile()).is_clean
        assert "MSFT" in daemon.parts.keeper.book.blocked
        assert await daemon.unblock("MSFT", "ann")
        assert not await daemon.unblock("MSFT", "ann")
    assert floor.read("select payload->>'actor' from audit.chain where kind = 'unblock'") == [("ann",)]


async def test_freeing_a_symbol_leaves_what_is_worked_in_slices(floor):
    """A parent would end in memory only: nothing more of it sent, and nobody told."""
    async with floor.trading() as daemon:
        keeper = daemon.parts.keeper
        order = ManualOrder("AAPL", Side.BUY, Decimal(100), Terms(), None, schedule="twap")
        await daemon.commands.submit(order, "ann", uuid.uuid4())
        before = keeper.book.parents
        keeper.book = replace(keeper.book, blocked={"MSFT": Blocked(BlockCode.OVERFILL, "more than was asked for")})
        assert await daemon.unblock("MSFT", "ann")
        assert keeper.book.parents == before != {}


async def test_an_order_that_ends_before_it_could_be_worked_is_denied(floor):
    """The table takes no parent that ends before it starts, and the daemon stopped over it."""
    ends = floor.session.open_at - timedelta(minutes=1)
    order = ManualOrder("AAPL", Side.BUY, Decimal(100), Terms(), None, schedule="twap", end_at=ends)
    async with floor.trading() as daemon:
        (decision,) = await daemon.commands.submit(order, "ann", uuid.uuid4())
        assert (decision.outcome, decision.reason_code) == ("denied", "SIGNAL_INVALID")
        assert daemon.is_ready


async def test_a_slice_is_not_amended(floor):
    """Its replacement would be asked for beside it, and the schedule send what the slice no longer does."""
    floor.broker.now = floor.session.open_at + timedelta(minutes=1)
    order = ManualOrder("AAPL", Side.BUY, Decimal(100), Terms(), None, schedule="twap")
    async with floor.trading() as daemon:
        await daemon.commands.submit(order, "ann", uuid.uuid4())
        await daemon.wake()
        await floor.until(lambda: len(floor.broker.accepted) == 1)
        with pytest.raises(BrokerError, match="is a slice"):
            await daemon.commands.amend(floor.broker.accepted[0], Decimal(1), None, None, "ann", uuid.uuid4())


async def ordered_with_exits(floor, daemon):
    """The id of an order to buy a hundred MSFT, with its exits held."""
    entry = Terms(time_in_force=TimeInForce.OPG)
    order = ManualOrder("MSFT", Side.BUY, Decimal(100), entry, None, take_profit=Decimal(29), stop_loss=Decimal(27))
    await daemon.commands.submit(order, "ann", uuid.uuid4())
    await floor.until(lambda: len(floor.broker.accepted) == 1)
    return floor.broker.accepted[0]


async def in_a_bracket(floor, daemon):
    """A hundred MSFT with their exits at work; the ids of entry, profit and stop."""
    floor.broker.execute(await ordered_with_exits(floor, daemon))
    await floor.until(lambda: len(floor.broker.accepted) == 3)
    return tuple(floor.broker.accepted)


async def test_a_partly_filled_exit_has_the_other_replaced_once(floor):
    """The commit of the replacement asked for the replacement: the daemon did nothing else any more."""
    async with floor.trading() as daemon:
        _, profit, _ = await in_a_bracket(floor, daemon)
        floor.broker.execute(profit, Decimal(40))
        await floor.until(lambda: len(floor.broker.accepted) == 4)
    assert floor.read("select order_qty from trading.orders where release = 'ended'") == [(Decimal(60),)]


async def test_an_exit_is_made_smaller_until_the_broker_does_it(floor):
    """After one refused cancel the exit worked on for all it was for, and more was sold than was held."""
    async with floor.trading() as daemon:
        _, profit, stop = await in_a_bracket(floor, daemon)
        floor.broker.keeps = 1
        floor.broker.execute(profit, Decimal(40))
        await floor.until(lambda: len(floor.broker.accepted) == 4)
    assert floor.broker.ledger.orders[stop].status is BrokerStatus.CANCELED
    replaced = "select ord_status, order_qty from trading.orders where release = 'ended' order by created_at"
    assert floor.read(replaced) == [("canceled", Decimal(60)), ("new", Decimal(60))]


async def test_an_exit_that_cannot_be_made_smaller_is_canceled(floor):
    """The broker would be asked for ever, with an order on record for each time."""
    async with floor.trading() as daemon:
        _, profit, stop = await in_a_bracket(floor, daemon)
        floor.broker.keeps = 5
        floor.broker.execute(profit, Decimal(40))
        await floor.until(lambda: not floor.broker.ledger.orders[stop].status.is_open)
    assert floor.read("select count(*) from trading.orders where release = 'ended'") == [(3,)]


async def test_an_exit_is_kept_while_the_broker_does_not_answer(floor):
    """What is left of the position would lose its stop to a moment without an answer."""
    async with floor.trading() as daemon:
        _, profit, stop = await in_a_bracket(floor, daemon)
        floor.broker.is_unclear = True
        floor.broker.execute(profit, Decimal(40))
        await floor.until(lambda: daemon.parts.keeper.book.orders[profit].cum_qty == 40)
        assert floor.broker.ledger.orders[stop].status.is_open
        floor.broker.is_unclear = False
        await floor.until(lambda: len(floor.broker.accepted) == 4)
    assert floor.broker.ledger.orders[floor.broker.accepted[3]].qty == 60


async def test_what_is_left_of_an_entry_is_canceled_and_the_rest_protected(floor):
    """Who cancels the rest of an entry would be left with a position and no stop."""
    async with floor.trading() as daemon:
        entry = await ordered_with_exits(floor, daemon)
        floor.broker.execute(entry, Decimal(60))
        await daemon.commands.cancel(entry, "ann", "enough")
        await floor.until(lambda: len(floor.broker.accepted) == 3)
    assert {floor.broker.ledger.orders[key].qty for key in floor.broker.accepted[1:]} == {Decimal(60)}


async def test_an_unknown_order_does_not_keep_others_from_being_looked_up(floor):
    """Four that nobody can tell of would keep every later one unknown, and its symbol blocked."""
    floor.broker.never_told = set()
    async with floor.trading() as daemon:
        floor.broker.plan(Fault.LOST_ANSWER, 5)
        floor.write(dict.fromkeys(CLOSES, "0.05"))
        await floor.until(lambda: len(floor.broker.accepted) == 5)
        told = floor.broker.accepted[-1]
        floor.broker.never_told |= set(floor.broker.accepted[:-1])
        await floor.until(lambda: not daemon.parts.keeper.book.orders[told].is_unknown)


async def test_what_a_predecessor_sent_is_waited_for_as_long_as_it_would_have(floor):
    """A standby that takes over at once would call absent what is still on its way, and send it again."""
    async with floor.trading():
        floor.broker.plan(Fault.LOST_REQUEST)
        floor.write({"MSFT": "0.1"})
        await floor.until_unknown()
        floor.broker.is_unclear = True
    floor.broker.is_unclear = False
    floor.settings = floor.settings.model_copy(update={"send_timeout_seconds": 2.0})
    began = asyncio.get_running_loop().time()
    async with floor.trading():
        await floor.until(lambda: bool(floor.read("select 1 from trading.order_events where kind = 'absent'")))
        assert asyncio.get_running_loop().time() - began >= floor.settings.send_timeout_seconds + SETTLE_SECONDS


async def test_what_was_seen_between_two_looks_is_not_absent(floor):
    """A list that lags behind would have an order called absent that the broker has shown a moment ago."""
    async with floor.trading() as daemon:
        floor.broker.hides = [True, False, True]
        floor.broker.plan(Fault.LOST_ANSWER)
        floor.broker.plan(Fault.LOST_REPORT)
        batch = floor.write({"MSFT": "0.1"})
        await floor.until(floor.is_worked(batch))
        assert floor.broker.hides == [] and not list(daemon.parts.keeper.book.unknown())
    kinds = [row[0] for row in floor.read("select kind from trading.order_events order by event_seq")]
    assert kinds == ["intent", "no_answer", "new"]


async def test_many_lost_orders_are_proven_absent_together(floor):
    """Each would have waited a second of its own behind the four before it: minutes after a crash amid a rebalance."""
    async with floor.trading() as daemon:
        floor.broker.plan(Fault.LOST_REQUEST, 3)
        floor.write()
        await floor.until_unknown(3)
        sender = daemon.parts.sender
        await asyncio.gather(*(sender.look_up(key) for key in list(daemon.parts.keeper.book.orders)))
        assert all(o.is_unknown for o in daemon.parts.keeper.book.orders.values())
        await floor.until(lambda: len(floor.broker.accepted) == 3)


async def test_an_unknown_order_does_not_hide_that_the_account_differs(floor):
    """Another one of its symbol was sent again into it: the symbol's block was looked at, and the account's not."""
    async with floor.trading() as daemon:
        floor.broker.plan(Fault.LOST_REQUEST, 2)
        orders = (ManualOrder("MSFT", Side.BUY, Decimal(qty), Terms(), None) for qty in (100, 200))
        told = await asyncio.gather(*(daemon.commands.submit(order, "ann", uuid.uuid4()) for order in orders))
        first, second = (decision.client_order_id for (decision,) in told)
        floor.broker.never_told = {second}
        await floor.until_unknown(2)
        floor.broker.cash += Decimal(1000)
        assert not (await daemon.reconcile()).is_clean
        await floor.until(lambda: daemon.parts.keeper.book.orders[first].status.is_terminal)
    assert floor.broker.accepted == []
    (said,) = floor.read("select text from trading.order_events where kind = 'canceled'")
    assert said == ("not sent: MSFT is blocked: RECONCILIATION_BREAK",)


async def test_a_symbol_with_an_unknown_order_is_not_freed(floor):
    """New orders would go out beside one of which nobody knows whether it works."""
    async with floor.trading() as daemon:
        floor.broker.plan(Fault.LOST_REQUEST)
        floor.write({"MSFT": "0.1"})
        await floor.until_unknown()
        floor.broker.is_unclear = True
        with pytest.raises(BrokerError, match="is unknown"):
            await daemon.unblock("MSFT", "ann")


async def test_an_order_of_which_nobody_can_tell_ends_on_a_persons_word(floor):
    """Its symbol would be blocked, and its shares counted, for ever."""
    async with floor.trading() as daemon:
        floor.broker.plan(Fault.LOST_REQUEST)
        floor.write({"MSFT": "0.1"})
        orders = daemon.parts.keeper.book.orders
        await floor.until_unknown()
        (key,) = daemon.parts.keeper.book.orders.keys() - orders.keys()
        with pytest.raises(BrokerError, match="the broker knows"):
            await daemon.conclude(key, "I think so", "ann")
        floor.broker.lost = key
        await daemon.conclude(key, "TWS shows it canceled", "ann")
        assert (await daemon.state())["blocked_symbols"] == []
        with pytest.raises(BrokerError, match="is not unknown"):
            await daemon.conclude(key, "again", "ann")
    (said,) = floor.read("select text from trading.order_events where kind = 'canceled'")
    assert said == ("ended by ann, for the broker lists it no more: TWS shows it canceled",)


async def test_only_a_stop_that_was_asked_for_lets_the_lease_go(floor):
    """A crash would look like a clean stop, and the dead-man switch stay quiet."""

    def fail(point: FailPoint) -> None:
        if point is FailPoint.BATCH_ACCEPTED:
            raise RuntimeError("a defect")

    async with floor.trading():
        assert floor.read("select holder <> '' from trading.leases") == [(True,)]
    assert floor.read("select holder <> '' from trading.leases") == [(False,)]
    floor.daemon = Daemon(floor.settings, floor.broker, fail)
    task = asyncio.create_task(floor.daemon.run())
    await floor.until(lambda: floor.daemon.is_ready, task)
    floor.write()
    with pytest.raises(ExceptionGroup):
        async with asyncio.timeout(20):
            await task
    assert floor.read("select holder <> '' from trading.leases") == [(True,)]
    async with floor.trading():
        pass  # followed at once, long before it expires
