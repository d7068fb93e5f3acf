"""The broker in memory: the contract, and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from execution_daemon.brokers.port import BrokerRefused, BrokerStatus, BrokerUnclear, Connected, ExecKind, Side
from execution_daemon.brokers.simulated import EPOCH, LATE_BY_REQUESTS, Fault, SimulatedBroker
from tests.execution_daemon.brokers.conformance import AdjustmentConformance, BrokerConformance, BustConformance
from tests.execution_daemon.brokers.venue import DAY, Day, Ear, Venue

OPEN_AT = EPOCH + timedelta(minutes=30)
CASH = Decimal("1000000.00")
SESSION = Day(
    open_at=OPEN_AT,
    close_at=OPEN_AT + timedelta(hours=6, minutes=30),
    open=Decimal("28.13"),
    high=Decimal("28.20"),
    low=Decimal("27.83"),
    close=Decimal("27.87"),
)


def make_venue(**options: object) -> Venue:
    broker = SimulatedBroker(
        {"MSFT": SESSION.open},
        CASH,
        volume_cap=Decimal(5000),
        takes_fractions=True,
        **options,  # type: ignore[arg-type]
    )

    async def open_market() -> None:
        broker.now = SESSION.open_at
        broker.open_market()

    async def close_market() -> None:
        broker.now = SESSION.close_at
        for price in (SESSION.high, SESSION.low, SESSION.close):
            broker.trade("MSFT", price)
        broker.close_market()

    async def disconnect() -> None:
        broker.disconnect()

    async def bust(exec_id: str) -> None:
        broker.bust(exec_id)

    async def correct(exec_id: str, price: Decimal) -> None:
        broker.correct(exec_id, price)

    async def adjust() -> None:
        broker.pay_dividend("MSFT", Decimal("1.00"))
        broker.now += timedelta(hours=1)
        broker.split("MSFT", Fraction(2))

    return Venue(
        broker=broker,
        symbol="MSFT",
        day=SESSION,
        cap=Decimal(5000),
        cash=CASH,
        open_market=open_market,
        close_market=close_market,
        disconnect=disconnect,
        bust=bust,
        correct=correct,
        adjust=adjust,
    )


class TestSimulated(BrokerConformance, BustConformance, AdjustmentConformance):
    @pytest.fixture
    def venue(self):
        return make_venue()


async def heard_after_a_fill(*faults: Fault) -> list[tuple[ExecKind, Decimal]]:
    """Kinds and quantities heard for one order of 100 shares that is filled, under planned faults."""
    venue = make_venue()
    ear = Ear(venue.broker)
    await ear.until_connected(1)
    for fault in faults:
        venue.broker.plan(fault)
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    venue.broker.heal()
    await venue.broker.submit(venue.order("mark", terms=DAY))
    await ear.until(lambda heard: any(getattr(e, "client_order_id", "") == "mark" for e in heard))
    await ear.stop()
    return [(r.kind, r.last_qty) for r in ear.reports if r.client_order_id == "a"]


async def test_a_lost_request_leaves_nothing_behind():
    """A simulated timeout would not be one: the id must be free to be sent again."""
    venue = make_venue()
    venue.broker.plan(Fault.LOST_REQUEST)
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))
    assert await venue.broker.find("a") is None
    assert (await venue.broker.submit(venue.order("a"))).kind is ExecKind.NEW


async def test_a_lost_answer_leaves_the_order():
    """The case that makes naive daemons trade twice would not be simulated."""
    venue = make_venue()
    venue.broker.plan(Fault.LOST_ANSWER)
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))
    assert await venue.broker.find("a") is not None
    await venue.broker.submit(venue.order("a"))
    assert venue.broker.accepted == ["a"]


async def test_a_duplicated_report_is_heard_twice():
    """Idempotent fills would not be tested."""
    heard = await heard_after_a_fill(Fault.DUPLICATE_REPORT)
    assert heard == [(ExecKind.NEW, 0), (ExecKind.NEW, 0), (ExecKind.TRADE, 100)]


async def test_a_reordered_report_comes_after_the_next():
    """A fill before its acknowledgement would not be tested."""
    assert await heard_after_a_fill(Fault.REORDERED_REPORT) == [(ExecKind.TRADE, 100), (ExecKind.NEW, 0)]


async def test_a_lost_report_is_not_heard_but_in_the_ledger():
    """Gap filling would not be tested."""
    assert await heard_after_a_fill(Fault.LOST_REPORT) == [(ExecKind.TRADE, 100)]


async def test_a_partial_fill_adds_up():
    """Cumulative quantities would not be tested."""
    new, first, second = await heard_after_a_fill(Fault.PARTIAL_FILL)
    assert (new[0], first[0], second[0]) == (ExecKind.NEW, ExecKind.TRADE, ExecKind.TRADE)
    assert 0 < first[1] < 100 and first[1] + second[1] == 100


async def test_a_disconnect_loses_what_was_not_read():
    """Reconnects would lose nothing, so nobody would notice a daemon that does not fill gaps."""
    venue = make_venue()
    stream = venue.broker.events()
    assert await anext(stream) == Connected(1)
    await venue.broker.submit(venue.order("a"))
    venue.broker.disconnect()
    assert await anext(stream) == Connected(2)
    await venue.broker.submit(venue.order("b"))
    assert (await anext(stream)).client_order_id == "b"
    await stream.aclose()


async def test_a_late_request_arrives_after_its_absence_was_proven():
    """The nastiest case would not be simulated: the broker lacks the id, and a moment later it has it."""
    venue = make_venue()
    venue.broker.plan(Fault.LATE_REQUEST)
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))
    assert venue.broker.accepted == []
    for _ in range(LATE_BY_REQUESTS + 1):
        await venue.broker.market_time()
    assert venue.broker.accepted == ["a"]
    await venue.broker.submit(venue.order("a"))
    assert venue.broker.accepted == ["a"]


async def test_a_late_cancel_arrives_too():
    """An order that was given up canceling would be believed to work."""
    venue = make_venue()
    await venue.broker.submit(venue.order("a"))
    venue.broker.plan(Fault.LATE_REQUEST)
    with pytest.raises(BrokerUnclear):
        await venue.broker.cancel("a")
    venue.broker.deliver_late()
    assert (await venue.broker.find("a")).status is BrokerStatus.CANCELED


async def test_a_request_that_is_given_up_on_its_way_arrives_later():
    """A send that timed out would always be lost, and never late."""
    venue = make_venue(slow_seconds=3600.0)
    venue.broker.plan(Fault.SLOW_ANSWER)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await venue.broker.submit(venue.order("a"))
    assert venue.broker.accepted == []
    venue.broker.deliver_late()
    assert venue.broker.accepted == ["a"]


QUESTIONS: dict[str, Callable[[SimulatedBroker], Awaitable[Any]]] = {
    "find": lambda broker: broker.find("a"),
    "open_orders": lambda broker: broker.open_orders(),
    "orders": lambda broker: broker.orders(),
    "fills": lambda broker: broker.fills(),
    "adjustments": lambda broker: broker.adjustments(),
    "positions": lambda broker: broker.positions(),
    "account": lambda broker: broker.account(),
    "market_time": lambda broker: broker.market_time(),
    "last_trade": lambda broker: broker.last_trade(["MSFT"]),
    "tradability": lambda broker: broker.tradability(["MSFT"]),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())
async def test_every_question_can_be_refused(ask):
    """A reconciliation that fails in its middle would not be simulated."""
    venue = make_venue()
    venue.broker.plan(Fault.REFUSED_READ)
    with pytest.raises(BrokerUnclear):
        await ask(venue.broker)
    await ask(venue.broker)


async def test_a_stale_answer_is_what_was_true_before_but_absence_is_proof():
    """Lists that lag behind the stream would not be simulated; an order that a list denies would be sent twice."""
    venue = make_venue()
    venue.broker.plan(Fault.STALE_READ, 3)
    await venue.broker.submit(venue.order("a"))
    assert await venue.broker.orders() == ()
    assert await venue.broker.find("a") is not None
    await venue.open_market()
    assert await venue.broker.positions() == ()
    assert len(await venue.broker.positions()) == 1


async def test_a_cut_stream_loses_the_report_that_it_was_cut_at():
    """A disconnect in the middle of a burst of fills would lose nothing."""
    venue = make_venue()
    stream = venue.broker.events()
    assert await anext(stream) == Connected(1)
    venue.broker.plan(Fault.DISCONNECT)
    await venue.broker.submit(venue.order("a"))
    assert await anext(stream) == Connected(2)
    await venue.open_market()
    assert (await anext(stream)).kind is ExecKind.TRADE
    await stream.aclose()


async def test_a_continuous_market_fills_at_once_and_a_halted_one_not_at_all():
    """Slices of a parent order would wait for an auction; orders would trade through a halt."""
    venue = make_venue(is_continuous=True)
    await venue.open_market()
    await venue.broker.submit(venue.order("now", terms=DAY))
    assert (await venue.broker.find("now")).status is BrokerStatus.FILLED
    venue.broker.set_tradability("MSFT", is_halted=True)
    await venue.broker.submit(venue.order("later", terms=DAY))
    venue.broker.trade("MSFT", Decimal(28))
    assert (await venue.broker.find("later")).status is BrokerStatus.NEW
    assert (await venue.broker.tradability(["MSFT"]))["MSFT"].is_halted
    venue.broker.set_tradability("MSFT", is_halted=False)
    venue.broker.trade("MSFT", Decimal(28))
    assert (await venue.broker.find("later")).status is BrokerStatus.FILLED


async def test_shares_that_nobody_lends_are_not_sold_short():
    """Short-sale checks of the daemon would never be put to the test."""
    venue = make_venue()
    venue.broker.set_tradability("MSFT", available_to_short=Decimal(50))
    with pytest.raises(BrokerRefused, match="can be borrowed"):
        await venue.broker.submit(venue.order("a", 51, side=Side.SELL))
    await venue.broker.submit(venue.order("b", 50, side=Side.SELL))
    venue.broker.set_tradability("MSFT", is_tradable=False)
    with pytest.raises(BrokerRefused, match="not_tradable"):
        await venue.broker.submit(venue.order("c"))


async def test_quotes_and_volume_are_what_the_driver_says():
    """Price collars and participation rates could not be simulated."""
    venue = make_venue()
    assert (await venue.broker.last_trade(["MSFT"]))["MSFT"].volume is None
    venue.broker.set_quote("MSFT", Decimal("28.12"), Decimal("28.14"))
    venue.broker.trade("MSFT", Decimal("28.13"), Decimal(700))
    venue.broker.trade("MSFT", Decimal("28.13"), Decimal(300))
    last = (await venue.broker.last_trade(["MSFT"]))["MSFT"]
    assert (last.bid, last.ask, last.volume) == (Decimal("28.12"), Decimal("28.14"), 1000)


async def test_a_clock_that_is_given_is_the_markets():
    """Two daemons on a virtual clock would see a market that stands still."""
    moments = iter([EPOCH, OPEN_AT, OPEN_AT + timedelta(seconds=1)])
    broker = SimulatedBroker({}, CASH, clock=lambda: next(moments))
    assert [await broker.market_time() for _ in range(2)] == [OPEN_AT, OPEN_AT + timedelta(seconds=1)]


async def run_with_rates(seed: int) -> list[str]:
    venue = make_venue(seed=seed, rates=dict.fromkeys(Fault, 0.2))
    outcomes = []
    for n in range(40):
        try:
            outcomes.append((await venue.broker.submit(venue.order(f"o{n}", 10))).broker_order_id)
        except BrokerUnclear:
            outcomes.append("?")
    await venue.open_market()
    return outcomes + [f"{f.client_order_id}:{f.last_qty}" for f in venue.broker.ledger.fills]


async def test_the_same_seed_gives_the_same_faults():
    """A failing simulation could not be run again."""
    assert await run_with_rates(7) == await run_with_rates(7)
    assert await run_with_rates(7) != await run_with_rates(8)
