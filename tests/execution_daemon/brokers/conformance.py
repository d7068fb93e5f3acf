"""What every broker must do, whatever is behind it: test modules subclass `BrokerConformance` and give a `venue`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bifrost_core.trading.costs import DEFAULT_COSTS
from execution_daemon.brokers.port import (
    Broker,
    BrokerOrder,
    BrokerRefused,
    BrokerStatus,
    Connected,
    ExecKind,
    ExecutionReport,
    OrdType,
    Side,
    StreamEvent,
    Terms,
    TimeInForce,
)

PATIENCE_SECONDS = 20.0
AT_OPEN = Terms(time_in_force=TimeInForce.OPG)
DAY = Terms()
IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"symbol": "NOPE"},
    {"qty": Decimal(0)},
    {"qty": Decimal(-5)},
    {"qty": Decimal("0.5")},
    {"terms": Terms(OrdType.LIMIT, TimeInForce.OPG)},
    {"terms": Terms(OrdType.MARKET, TimeInForce.OPG, limit_price=Decimal(10))},
)


def limit_at_open(price: Decimal) -> Terms:
    return Terms(OrdType.LIMIT, TimeInForce.OPG, limit_price=price)


@dataclass
class Venue:
    """A broker and the market behind it, before an open. `cap` shares of `symbol` are traded at the open at most."""

    broker: Broker
    symbol: str
    open_price: Decimal
    cap: Decimal
    cash: Decimal
    open_at: datetime
    open_market: Callable[[], Awaitable[None]]
    close_market: Callable[[], Awaitable[None]]
    disconnect: Callable[[], Awaitable[None]]

    def order(self, name: str, qty: int | str = 100, **changes: object) -> BrokerOrder:
        plain = {
            "client_order_id": name,
            "symbol": self.symbol,
            "side": Side.BUY,
            "qty": Decimal(qty),
            "terms": AT_OPEN,
        }
        return BrokerOrder(**(plain | changes))  # type: ignore[arg-type]


class Ear:
    """Listens to a broker's events in the background and keeps them."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[StreamEvent] = []
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._listen(broker))

    async def _listen(self, broker: Broker) -> None:
        async for event in broker.events():
            async with self._changed:
                self.heard.append(event)
                self._changed.notify_all()

    async def until(self, enough: Callable[[list[StreamEvent]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: enough(self.heard))

    async def until_kind(self, *kinds: ExecKind) -> None:
        await self.until(lambda heard: [r.kind for r in heard if isinstance(r, ExecutionReport)] == list(kinds))

    async def until_connected(self, times: int) -> None:
        await self.until(lambda heard: sum(isinstance(e, Connected) for e in heard) >= times)

    @property
    def reports(self) -> list[ExecutionReport]:
        return [event for event in self.heard if isinstance(event, ExecutionReport)]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class BrokerConformance:
    """The contract. `venue` is a fixture of the subclass."""

    @pytest.fixture
    async def ear(self, venue):
        ear = Ear(venue.broker)
        await ear.until_connected(1)
        yield ear
        await ear.stop()

    async def test_a_submitted_order_is_found_and_open(self, venue):
        """The daemon could not tell a sent order from a lost one."""
        report = await venue.broker.submit(venue.order("a"))
        assert (report.kind, report.client_order_id, report.cum_qty) == (ExecKind.NEW, "a", 0)
        found = await venue.broker.find("a")
        assert found is not None
        assert (found.broker_order_id, found.status) == (report.broker_order_id, BrokerStatus.NEW)
        assert (found.symbol, found.side, found.qty) == (venue.symbol, Side.BUY, 100)
        assert await venue.broker.open_orders() == (found,)
        assert await venue.broker.orders() == (found,)

    async def test_an_id_sent_twice_is_one_order(self, venue):
        """A resend after a lost answer would trade twice, or be taken for a refusal of the living order."""
        first = await venue.broker.submit(venue.order("a"))
        again = await venue.broker.submit(venue.order("a"))
        assert (again.kind, again.broker_order_id) == (ExecKind.NEW, first.broker_order_id)
        assert len(await venue.broker.orders()) == 1

    async def test_an_unknown_id_is_proven_absent(self, venue):
        """An order that never arrived could never be sent again."""
        assert await venue.broker.find("never-sent") is None

    async def test_a_fill_is_the_same_in_stream_fills_position_and_cash(self, venue, ear):
        """A fill heard live and read again would count twice; the books would not tie."""
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        await ear.until_kind(ExecKind.NEW, ExecKind.TRADE)
        fill = ear.reports[-1]
        assert (fill.client_order_id, fill.last_qty, fill.last_px) == ("a", 100, venue.open_price)
        assert fill.commission == DEFAULT_COSTS.commission(Decimal(100), venue.open_price)
        assert fill.exec_id
        assert await venue.broker.fills() == (fill,)
        (position,) = await venue.broker.positions()
        assert (position.symbol, position.qty, position.avg_cost) == (venue.symbol, 100, venue.open_price)
        account = await venue.broker.account()
        assert account.cash == venue.cash - 100 * venue.open_price - fill.commission
        assert account.equity == account.cash + 100 * venue.open_price
        found = await venue.broker.find("a")
        assert found is not None
        assert (found.status, found.cum_qty, found.avg_px) == (BrokerStatus.FILLED, 100, venue.open_price)

    async def test_an_impossible_order_is_refused_and_proven_absent(self, venue):
        """A refusal without proof would block the symbol for ever."""
        for changes in IMPOSSIBLE:
            with pytest.raises(BrokerRefused) as refused:
                await venue.broker.submit(venue.order("a", **changes))
            assert (refused.value.report.kind, refused.value.report.client_order_id) == (ExecKind.REJECTED, "a")
            assert refused.value.report.text
            assert await venue.broker.find("a") is None, changes

    async def test_what_the_account_cannot_carry_is_refused(self, venue):
        """The account could be bankrupted; the second order must count the first."""
        most = (2 * venue.cash / (venue.open_price * Decimal("1.2"))).to_integral_value()
        await venue.broker.submit(venue.order("most", str(most)))
        with pytest.raises(BrokerRefused):
            await venue.broker.submit(venue.order("more", str(most)))
        assert [o.client_order_id for o in await venue.broker.open_orders()] == ["most"]

    async def test_an_opening_order_after_the_open_is_refused(self, venue):
        """It would wait for an auction that is over."""
        await venue.open_market()
        with pytest.raises(BrokerRefused):
            await venue.broker.submit(venue.order("late"))
        report = await venue.broker.submit(venue.order("day", terms=DAY))
        assert report.kind is ExecKind.NEW

    async def test_cancel_is_reported_and_final(self, venue, ear):
        """A kill switch could not stop what is working."""
        await venue.broker.submit(venue.order("a"))
        await venue.broker.cancel("a")
        await ear.until_kind(ExecKind.NEW, ExecKind.CANCELED)
        found = await venue.broker.find("a")
        assert found is not None and found.status is BrokerStatus.CANCELED
        with pytest.raises(BrokerRefused):
            await venue.broker.cancel("a")
        with pytest.raises(BrokerRefused):
            await venue.broker.cancel("never-sent")
        await venue.open_market()
        assert await venue.broker.fills() == ()

    async def test_what_the_cap_leaves_over_expires(self, venue, ear):
        """A large order would fill at a price it would have moved, or stay open for ever."""
        await venue.broker.submit(venue.order("big", str(venue.cap + 1000)))
        await venue.open_market()
        await venue.close_market()
        await ear.until_kind(ExecKind.NEW, ExecKind.TRADE, ExecKind.EXPIRED)
        found = await venue.broker.find("big")
        assert found is not None
        assert (found.status, found.cum_qty) == (BrokerStatus.EXPIRED, venue.cap)
        assert await venue.broker.open_orders() == ()

    async def test_a_limit_is_kept(self, venue):
        """An order would trade at a price it was told to refuse."""
        below = venue.open_price - 20
        await venue.broker.submit(venue.order("no", terms=limit_at_open(below)))
        await venue.broker.submit(venue.order("yes", terms=limit_at_open(venue.open_price)))
        await venue.open_market()
        assert [fill.client_order_id for fill in await venue.broker.fills()] == ["yes"]

    async def test_short_positions_are_negative(self, venue):
        """A short would be booked as a long."""
        await venue.broker.submit(venue.order("a", side=Side.SELL))
        await venue.open_market()
        (position,) = await venue.broker.positions()
        assert position.qty == -100
        fill = (await venue.broker.fills())[0]
        assert (await venue.broker.account()).cash == venue.cash + 100 * venue.open_price - fill.commission

    async def test_history_is_cut_by_time(self, venue):
        """Filling a gap would read years of history, or miss its first report."""
        await venue.broker.submit(venue.order("a"))
        sent_at = (await venue.broker.orders())[0].submitted_at
        await venue.open_market()
        assert len(await venue.broker.fills(venue.open_at)) == 1
        assert await venue.broker.fills(venue.open_at + timedelta(seconds=1)) == ()
        assert len(await venue.broker.orders(sent_at)) == 1
        assert await venue.broker.orders(sent_at + timedelta(seconds=1)) == ()

    async def test_prices_and_time_are_the_markets(self, venue):
        """Risk checks would judge by a price from the future or by the wrong clock."""
        before = await venue.broker.market_time()
        await venue.open_market()
        assert before < await venue.broker.market_time() == venue.open_at
        trades = await venue.broker.last_trade([venue.symbol, "NOPE"])
        assert set(trades) == {venue.symbol}
        assert (trades[venue.symbol].price, trades[venue.symbol].at) == (venue.open_price, venue.open_at)
        assert await venue.broker.last_trade([]) == {}

    async def test_a_lost_stream_comes_back_and_says_so(self, venue, ear):
        """Fills of the gap would be missing until the next reconciliation, unnoticed."""
        await venue.broker.submit(venue.order("a"))
        await venue.disconnect()
        await ear.until_connected(2)
        await venue.open_market()
        await ear.until(lambda heard: any(isinstance(e, ExecutionReport) and e.last_qty for e in heard))
        assert len(await venue.broker.fills()) == 1
