"""Alpaca's adapter against the real paper exchange process: the contract over HTTP and a websocket."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from execution_daemon.brokers.alpaca import ACTIVITIES_PAGE, ASSETS_ONE_BY_ONE, AlpacaBroker
from execution_daemon.brokers.port import AdjustmentKind, BrokerUnclear, Side
from tests.execution_daemon.brokers.conformance import AdjustmentConformance, BrokerConformance, BustConformance
from tests.execution_daemon.brokers.venue import Day, Ear, Venue
from tests.execution_daemon.conftest import UNKNOWN_PAYLOAD, PaperExchange

SESSION, DIVIDEND_SESSION, SPLIT_SESSION = "2013-02-20", "2013-02-21", "2013-02-22"
CAP = Decimal(4_411_020)  # a tenth of MSFT's 44,110,200 shares
CASH = Decimal("1000000000.00")


@pytest.fixture(scope="module")
def exchange_environment():
    """An account that can hold a tenth of a day's volume."""
    return {"BIFROST_INITIAL_CASH": str(CASH)}


def make_venue(exchange: PaperExchange, calendar, cash: Decimal) -> Venue:
    session = calendar(SESSION)
    exchange.move_clock(session.open_at - timedelta(minutes=30))

    async def open_market() -> None:
        await asyncio.to_thread(exchange.move_clock, session.open_at)

    async def close_market() -> None:
        await asyncio.to_thread(exchange.move_clock, session.close_at)

    async def disconnect() -> None:
        await asyncio.to_thread(exchange.kill)
        await asyncio.to_thread(exchange.start)

    async def bust(exec_id: str) -> None:
        await asyncio.to_thread(tell, exchange, f"executions/{exec_id}/bust", {})

    async def correct(exec_id: str, price: Decimal) -> None:
        change = {"qty": "100", "price": str(price)}
        await asyncio.to_thread(tell, exchange, f"executions/{exec_id}/correct", change)

    async def adjust() -> None:
        for day in (DIVIDEND_SESSION, SPLIT_SESSION):
            await asyncio.to_thread(exchange.move_clock, calendar(day).open_at)

    return Venue(
        broker=AlpacaBroker.of(exchange.settings),
        symbol="MSFT",
        day=Day(
            open_at=session.open_at,
            close_at=session.close_at,
            open=Decimal("28.13"),
            high=Decimal("28.2"),
            low=Decimal("27.83"),
            close=Decimal("27.87"),
        ),
        cap=CAP,
        cash=cash,
        open_market=open_market,
        close_market=close_market,
        disconnect=disconnect,
        bust=bust,
        correct=correct,
        adjust=adjust,
    )


def tell(exchange: PaperExchange, what: str, fields: dict[str, object]) -> None:
    """Have the exchange's operator do something."""
    with exchange.admin as admin:
        admin.post(f"/admin/{what}", json=fields).raise_for_status()


@pytest.fixture
async def venue(shared_exchange, calendar):
    venue = make_venue(shared_exchange, calendar, CASH)
    yield venue
    await venue.broker.close()


class TestAlpaca(BrokerConformance, BustConformance):
    pass


class TestAlpacaAdjustments(AdjustmentConformance):
    @pytest.fixture
    async def venue(self, paper_exchange, calendar, owner):
        with owner.transaction() as connection:
            for session, kind, factor, value in (
                (DIVIDEND_SESSION, "cash_dividend", 0.96, 1.0),
                (SPLIT_SESSION, "split", 0.5, None),
            ):
                connection.execute(
                    "insert into raw.corporate_actions (instrument_id, ex_session, ingested_at, available_at, kind,"
                    " price_factor, value, provider, payload_sha256)"
                    " select instrument_id, %s, now(), now(), %s, %s, %s, 'test', %s"
                    " from reference.instruments where symbol = 'MSFT'",
                    (session, kind, factor, value, UNKNOWN_PAYLOAD),
                )
        venue = make_venue(paper_exchange, calendar, paper_exchange.settings.initial_cash)
        yield venue
        await venue.broker.close()


async def test_fees_interest_and_transfers_are_adjustments(venue, shared_exchange):
    """Cash would differ from the broker's by every fee."""
    entries = {"FEE": "-1.25", "INT": "3.50", "CSW": "-100", "CSD": "1000"}
    for kind, amount in entries.items():
        tell(shared_exchange, "entries", {"activity_type": kind, "net_amount": amount})
    told = [
        (entry.kind, entry.symbol, entry.qty_change, entry.cash_change) for entry in await venue.broker.adjustments()
    ]
    kinds = [AdjustmentKind.FEE, AdjustmentKind.INTEREST, AdjustmentKind.TRANSFER, AdjustmentKind.TRANSFER]
    assert told == [(kind, "", 0, Decimal(amount)) for kind, amount in zip(kinds, entries.values(), strict=True)]
    assert (await venue.broker.account()).cash == CASH + Decimal("902.25")


async def test_a_halt_and_what_can_be_borrowed_are_told(venue, shared_exchange):
    """Orders would be sent into a halt, and shares sold short that nobody lends."""
    said = {"halted": True, "short_sale_restricted": True, "available_to_short": "250", "fractionable": False}
    tell(shared_exchange, "assets/MSFT", said)
    found = (await venue.broker.tradability(["MSFT"]))["MSFT"]
    assert (found.is_halted, found.is_short_restricted, found.is_fractionable) == (True, True, False)
    assert found.available_to_short == 250


async def test_many_symbols_are_asked_for_in_one_list(venue, shared_exchange):
    """A rebalance of 500 would spend Alpaca's requests of two minutes on what may be traded; all would be late."""
    tell(shared_exchange, "assets/MSFT", {"halted": True})
    many = ["MSFT", "AAPL", *(f"NONE{n}" for n in range(ASSETS_ONE_BY_ONE))]
    found = await venue.broker.tradability(many)
    assert found == await venue.broker.tradability(["AAPL", "MSFT"])
    assert found["MSFT"].is_halted


async def test_every_page_of_fills_is_read(venue):
    """A busy day's later fills would be missing from the book."""
    names = [f"o{n}" for n in range(ACTIVITIES_PAGE + 5)]
    for n, name in enumerate(names):
        await venue.broker.submit(venue.order(name, 1, side=Side.BUY if n % 2 else Side.SELL))
    await venue.open_market()
    fills = await venue.broker.fills()
    assert [fill.client_order_id for fill in fills] == names
    assert len({fill.exec_id for fill in fills}) == len(names)


async def test_wrong_credentials_are_unclear_not_a_refusal(venue, shared_exchange):
    """A mistyped key would mark every order as rejected."""
    stranger = AlpacaBroker(shared_exchange.settings.paper_exchange_url, "who", "knows")
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
