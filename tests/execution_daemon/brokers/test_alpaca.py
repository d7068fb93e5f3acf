"""Alpaca's adapter against the real paper exchange process: the contract over HTTP and a websocket."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from execution_daemon.brokers.alpaca import ACTIVITIES_PAGE, AlpacaBroker
from execution_daemon.brokers.port import BrokerUnclear, Side
from tests.execution_daemon.brokers.conformance import BrokerConformance
from tests.execution_daemon.brokers.venue import Day, Ear, Venue

SESSION = "2013-02-20"  # of MSFT: 44,110,200 shares
CASH = Decimal("1000000000.00")


@pytest.fixture(scope="module")
def exchange_environment():
    """An account that can hold a tenth of a day's volume."""
    return {"BIFROST_INITIAL_CASH": str(CASH)}


@pytest.fixture
def paper_exchange(shared_exchange):
    return shared_exchange


@pytest.fixture
async def venue(paper_exchange, calendar):
    session = calendar(SESSION)
    paper_exchange.move_clock(session.open_at - timedelta(minutes=30))
    broker = AlpacaBroker.of(paper_exchange.settings)

    async def open_market() -> None:
        await asyncio.to_thread(paper_exchange.move_clock, session.open_at)

    async def close_market() -> None:
        await asyncio.to_thread(paper_exchange.move_clock, session.close_at)

    async def disconnect() -> None:
        await asyncio.to_thread(paper_exchange.kill)
        await asyncio.to_thread(paper_exchange.start)

    yield Venue(
        broker=broker,
        symbol="MSFT",
        day=Day(
            open_at=session.open_at,
            close_at=session.close_at,
            open=Decimal("28.13"),
            high=Decimal("28.2"),
            low=Decimal("27.83"),
            close=Decimal("27.87"),
        ),
        cap=Decimal(4_411_020),
        cash=CASH,
        open_market=open_market,
        close_market=close_market,
        disconnect=disconnect,
    )
    await broker.close()


class TestAlpaca(BrokerConformance):
    pass


async def test_every_page_of_fills_is_read(venue):
    """A busy day's later fills would be missing from the book."""
    names = [f"o{n}" for n in range(ACTIVITIES_PAGE + 5)]
    for n, name in enumerate(names):
        await venue.broker.submit(venue.order(name, 1, side=Side.BUY if n % 2 else Side.SELL))
    await venue.open_market()
    fills = await venue.broker.fills()
    assert [fill.client_order_id for fill in fills] == names
    assert len({fill.exec_id for fill in fills}) == len(names)


async def test_wrong_credentials_are_unclear_not_a_refusal(venue, paper_exchange):
    """A mistyped key would mark every order as rejected."""
    stranger = AlpacaBroker(paper_exchange.settings.paper_exchange_url, "who", "knows")
    with pytest.raises(BrokerUnclear):
        await stranger.submit(venue.order("a"))
    with pytest.raises(BrokerUnclear, match="key and secret"):
        await stranger.account()
    with pytest.raises(BrokerUnclear, match="key and secret"):
        await anext(stranger.events())
    await stranger.close()


async def test_two_listeners_hear_the_same(venue):
    """A dashboard's stream would take reports away from the daemon's."""
    ears = [Ear(venue.broker), Ear(venue.broker)]
    for ear in ears:
        await ear.until_connected(1)
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    for ear in ears:
        await ear.until(lambda heard: len(heard) == 3)
    assert ears[0].reports == ears[1].reports
    for ear in ears:
        await ear.stop()
