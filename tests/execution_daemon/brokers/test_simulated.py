"""The broker in memory: the contract, and its faults."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from execution_daemon.brokers.port import BrokerUnclear, Connected, ExecKind
from execution_daemon.brokers.simulated import EPOCH, Fault, SimulatedBroker
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


async def run_with_rates(seed: int) -> list[str]:
    venue = make_venue(seed=seed, rates={Fault.LOST_REQUEST: 0.3, Fault.LOST_ANSWER: 0.3, Fault.PARTIAL_FILL: 0.5})
    outcomes = []
    for n in range(40):
        try:
            outcomes.append((await venue.broker.submit(venue.order(f"o{n}", 10))).broker_order_id)
        except BrokerUnclear:
            outcomes.append("?")
    await venue.open_market()
    return outcomes + [f"{f.client_order_id}:{f.last_qty}" for f in await venue.broker.fills()]


async def test_the_same_seed_gives_the_same_faults():
    """A failing simulation could not be run again."""
    assert await run_with_rates(7) == await run_with_rates(7)
    assert await run_with_rates(7) != await run_with_rates(8)
