"""Interactive Brokers' adapter with the real ib_async client against a loopback TWS: the contract."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bifrost_core.trading.terms import Terms, TimeInForce
from execution_daemon.brokers.choose import broker_of
from execution_daemon.brokers.ib_session import Endpoint
from execution_daemon.brokers.interactive_brokers import InteractiveBrokersBroker
from tests.execution_daemon.brokers.conformance import BrokerConformance, BustConformance
from tests.execution_daemon.brokers.tws_server import TwsServer
from tests.execution_daemon.brokers.venue import Day, Venue

SESSION = Day(
    open_at=datetime(2013, 2, 20, 14, 30, tzinfo=UTC),
    close_at=datetime(2013, 2, 20, 21, 0, tzinfo=UTC),
    open=Decimal("28.13"),
    high=Decimal("28.20"),
    low=Decimal("27.83"),
    close=Decimal("27.87"),
)
CASH, CAP = Decimal("1000000.00"), Decimal(5000)
CLIENT_ID = 17


def supports(terms: Terms) -> bool:
    return terms.time_in_force is not TimeInForce.FOK and not terms.post_only


def venue_of(server: TwsServer, broker: InteractiveBrokersBroker) -> Venue:
    async def open_market() -> None:
        server.book.now = SESSION.open_at
        server.book.open_market(SESSION.open)

    async def close_market() -> None:
        server.book.now = SESSION.close_at
        for price in (SESSION.high, SESSION.low):
            server.book.trade(price)
        server.book.close_market(SESSION.close)

    async def disconnect() -> None:
        server.disconnect()

    async def bust(exec_id: str) -> None:
        server.book.correct(exec_id, Decimal(0), Decimal(0))

    async def correct(exec_id: str, price: Decimal) -> None:
        server.book.correct(exec_id, price)

    return Venue(
        broker=broker,
        symbol="MSFT",
        day=SESSION,
        cap=CAP,
        cash=CASH,
        open_market=open_market,
        close_market=close_market,
        disconnect=disconnect,
        supports=supports,
        takes_fractions=False,
        bust=bust,
        correct=correct,
    )


def server_before_the_open() -> TwsServer:
    return TwsServer("MSFT", SESSION.open, CASH, datetime(2013, 2, 20, 14, 0, tzinfo=UTC), CAP)


@pytest.fixture
async def venue():
    server = server_before_the_open()
    await server.start()
    broker = InteractiveBrokersBroker(Endpoint("127.0.0.1", server.port, CLIENT_ID))
    yield venue_of(server, broker)
    await broker.close()
    await server.stop()


class TestInteractiveBrokers(BrokerConformance):
    pass


class TestInteractiveBrokersBusts(BustConformance):
    pass


async def test_a_symbol_is_described_once_for_whoever_asks_at_the_same_time():
    """TWS allows fifty messages a second: the first look at a universe would take twice as many as it needs."""
    server = server_before_the_open()
    await server.start()
    broker = InteractiveBrokersBroker(Endpoint("127.0.0.1", server.port, CLIENT_ID))
    await asyncio.gather(broker.last_trade(["MSFT"]), broker.tradability(["MSFT"]))
    assert server.described == ["MSFT"]
    await broker.close()
    await server.stop()


async def test_the_settings_choose_the_broker(settings):
    """Orders would go to another broker than the one that was named."""
    ours = {"ib_port": 4002, "ib_client_id": 3, "ib_account": "DU1"}
    chosen = broker_of(settings.model_copy(update={"broker": "interactive_brokers", **ours}))
    assert isinstance(chosen, InteractiveBrokersBroker)
    assert chosen.endpoint == Endpoint("127.0.0.1", 4002, 3, "DU1")
    assert broker_of(settings).name == "paper"


def test_the_daemon_does_not_import_it_unless_it_is_chosen():
    """Every daemon would start 0.3 s later and take 30 MB more for a broker that it does not use."""
    code = "import sys, execution_daemon.main; sys.exit('ib_async' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
