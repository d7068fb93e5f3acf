"""What every broker must do, whatever is behind it: test modules subclass `BrokerConformance` and give a `venue`.

A venue that can take executions back adds `BustConformance`, one that books corporate actions `AdjustmentConformance`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bifrost_core.trading.costs import CENT
from execution_daemon.brokers.port import (
    AdjustmentKind,
    BrokerOrder,
    BrokerOrderState,
    BrokerRefused,
    BrokerStatus,
    ExecKind,
    ExecutionReport,
    OrdType,
    Side,
    Terms,
    TimeInForce,
)
from tests.execution_daemon.brokers.venue import DAY, EXECUTED, UNEXECUTED, Case, Ear, Venue, limit

IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "unknown symbol": {"symbol": "NOPE"},
    "nothing": {"qty": Decimal(0)},
    "less than nothing": {"qty": Decimal(-5)},
    "a fraction at the open": {"qty": Decimal("0.5")},
    "a number that is none": {"qty": Decimal("NaN")},
    "a limit order without limit": {"terms": Terms(OrdType.LIMIT, TimeInForce.OPG)},
    "a market order with a limit": {"terms": Terms(OrdType.MARKET, TimeInForce.OPG, limit_price=Decimal(10))},
    "a stop order without stop": {"terms": Terms(OrdType.STOP)},
    "a limit order with a stop": {"terms": Terms(OrdType.LIMIT, limit_price=Decimal(9), stop_price=Decimal(9))},
    "a limit of zero": {"terms": limit(Decimal(0))},
    "a trailing stop that does not trail": {"terms": Terms(OrdType.TRAILING_STOP)},
    "a stop in an auction": {"terms": Terms(OrdType.STOP, TimeInForce.OPG, stop_price=Decimal(30))},
    "a market order that must not take": {"terms": Terms(post_only=True)},
    "an id that is too long": {"client_order_id": "x" * 49},
}
NOW_OR_NEVER = (TimeInForce.IOC, TimeInForce.FOK)
ENDED = {BrokerStatus.CANCELED, BrokerStatus.EXPIRED, BrokerStatus.REJECTED}


async def refused(venue: Venue, order: BrokerOrder) -> BrokerRefused:
    """Send an order that must be refused, with proof: afterwards the broker says that it lacks it."""
    with pytest.raises(BrokerRefused) as caught:
        await venue.broker.submit(order)
    report = caught.value.report
    assert (report.kind, report.client_order_id, report.symbol) == (
        ExecKind.REJECTED,
        order.client_order_id,
        order.symbol,
    )
    assert report.text
    assert await venue.broker.find(order.client_order_id) is None
    return caught.value


async def is_taken(venue: Venue, order: BrokerOrder) -> bool:
    """Send an order; False if the venue does not support its terms and refuses it as it must."""
    if not venue.supports(order.terms):
        await refused(venue, order)
        return False
    report = await venue.broker.submit(order)
    assert report.client_order_id == order.client_order_id
    return True


async def state(venue: Venue, name: str) -> BrokerOrderState:
    found = await venue.broker.find(name)
    assert found is not None
    return found


async def position(venue: Venue) -> Decimal:
    return sum((p.qty for p in await venue.broker.positions() if p.symbol == venue.symbol), Decimal(0))


def total(fills: Iterable[ExecutionReport]) -> Decimal:
    return sum((fill.last_qty for fill in fills), Decimal(0))


def case_order(venue: Venue, case: Case) -> BrokerOrder:
    side, terms = case
    return venue.order("a", side=side, terms=terms(venue.day))


class BrokerConformance:
    """The contract. `venue` is a fixture of the subclass."""

    @pytest.fixture
    async def ear(self, venue):
        ear = Ear(venue.broker)
        await ear.until_connected(1)
        yield ear
        await ear.stop()

    # -- sending and finding ------------------------------------------------------------------------------------------

    async def test_a_submitted_order_is_found_and_open(self, venue):
        """The daemon could not tell a sent order from a lost one."""
        report = await venue.broker.submit(venue.order("a"))
        assert report.kind in {ExecKind.NEW, ExecKind.PENDING_NEW}
        assert (report.client_order_id, report.cum_qty) == ("a", 0)
        found = await state(venue, "a")
        assert found.broker_order_id == report.broker_order_id
        assert found.status.is_open
        assert (found.symbol, found.side, found.qty, found.terms) == (
            venue.symbol,
            Side.BUY,
            100,
            venue.order("").terms,
        )
        assert await venue.broker.open_orders() == (found,)
        assert await venue.broker.orders() == (found,)

    async def test_an_id_sent_twice_is_one_order(self, venue):
        """A resend after a lost answer would trade twice, or be taken for a refusal of the living order."""
        first = await venue.broker.submit(venue.order("a"))
        again = await venue.broker.submit(venue.order("a"))
        assert again.kind in {ExecKind.NEW, ExecKind.PENDING_NEW}
        assert again.broker_order_id == first.broker_order_id
        assert len(await venue.broker.orders()) == 1

    async def test_an_id_sent_again_after_its_end_stays_ended(self, venue, ear):
        """A resend after a lost answer and a fast fill would trade twice."""
        await venue.broker.submit(venue.order("filled"))
        await venue.broker.submit(venue.order("canceled", terms=limit(venue.day.too_low)))
        await venue.broker.cancel("canceled")
        await venue.open_market()
        await ear.until(lambda _: ear.trades and any(r.kind is ExecKind.CANCELED for r in ear.reports))
        assert (await venue.broker.submit(venue.order("filled"))).cum_qty == 100
        again = await venue.broker.submit(venue.order("canceled", terms=limit(venue.day.too_low)))
        assert again.kind is ExecKind.CANCELED
        await venue.close_market()
        assert total(await venue.broker.fills()) == 100

    async def test_an_unknown_id_is_proven_absent(self, venue):
        """An order that never arrived could never be sent again."""
        assert await venue.broker.find("never-sent") is None

    @pytest.mark.parametrize("changes", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
    async def test_an_impossible_order_is_refused_and_proven_absent(self, venue, changes):
        """A refusal without proof would block the symbol for ever."""
        await refused(venue, venue.order("a", **changes))

    async def test_what_the_account_cannot_carry_is_refused(self, venue):
        """The account could be bankrupted; the second order must count the first."""
        most = (2 * venue.cash / (venue.day.open * Decimal("1.2"))).to_integral_value()
        await venue.broker.submit(venue.order("most", most))
        await refused(venue, venue.order("more", most))
        assert [o.client_order_id for o in await venue.broker.open_orders()] == ["most"]

    # -- executions ---------------------------------------------------------------------------------------------------

    async def test_a_fill_is_the_same_in_stream_fills_position_and_cash(self, venue, ear):
        """A fill heard live and read again would count twice; the books would not tie."""
        price = venue.day.open
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        await ear.until_kind(ExecKind.NEW, ExecKind.TRADE)
        fill = ear.reports[-1]
        assert (fill.client_order_id, fill.last_qty, fill.last_px, fill.cum_qty) == ("a", 100, price, 100)
        assert fill.commission == venue.commission(Decimal(100), price)
        assert fill.exec_id
        assert await venue.broker.fills() == (fill,)
        (held,) = await venue.broker.positions()
        assert (held.symbol, held.qty, held.avg_cost) == (venue.symbol, 100, price)
        account = await venue.broker.account()
        assert account.cash == venue.cash - 100 * price - fill.commission
        assert account.equity == account.cash + 100 * price
        found = await state(venue, "a")
        assert (found.status, found.cum_qty, found.avg_px) == (BrokerStatus.FILLED, 100, price)

    @pytest.mark.parametrize("case", EXECUTED.values(), ids=EXECUTED.keys())
    async def test_an_order_whose_price_is_reached_is_executed_within_its_terms(self, venue, case):
        """A stop that never triggers protects nothing; a limit that is not kept costs money."""
        order, day = case_order(venue, case), venue.day
        if not await is_taken(venue, order):
            return
        found = await state(venue, "a")
        assert (found.terms, found.side, found.status.is_open) == (order.terms, order.side, True)
        await venue.open_market()
        await venue.close_market()
        fills = await venue.broker.fills()
        assert total(fills) == 100
        assert all(day.low <= fill.last_px <= day.high for fill in fills)
        if (bound := order.terms.limit_price) is not None:
            assert all((bound - fill.last_px) * order.side.sign >= 0 for fill in fills)
        assert (await state(venue, "a")).status is BrokerStatus.FILLED
        assert await position(venue) == 100 * order.side.sign

    @pytest.mark.parametrize("case", UNEXECUTED.values(), ids=UNEXECUTED.keys())
    async def test_an_order_whose_price_is_not_reached_expires(self, venue, case):
        """An order would trade at a price it was told to refuse, or a stop would go off for nothing."""
        order = case_order(venue, case)
        if not await is_taken(venue, order):
            return
        assert (await state(venue, "a")).terms == order.terms
        await venue.open_market()
        assert (await state(venue, "a")).status.is_open
        await venue.close_market()
        assert await venue.broker.fills() == ()
        assert (await state(venue, "a")).status is BrokerStatus.EXPIRED

    async def test_partial_fills_add_up_and_the_rest_expires(self, venue, ear):
        """A large order would fill at a price it would have moved, or stay open for ever."""
        await venue.broker.submit(venue.order("big", venue.cap + 1000))
        await venue.open_market()
        await venue.close_market()
        await ear.until(lambda _: any(r.kind is ExecKind.EXPIRED for r in ear.reports))
        fills = await venue.broker.fills()
        assert total(fills) == venue.cap
        assert fills == tuple(ear.trades)
        assert fills[-1].cum_qty == venue.cap
        found = await state(venue, "big")
        assert (found.status, found.cum_qty) == (BrokerStatus.EXPIRED, venue.cap)
        assert await venue.broker.open_orders() == ()

    async def test_many_orders_fill_alike_in_stream_and_list(self, venue, ear):
        """Reconciliation would find breaks that are none."""
        for n in range(10):
            side = Side.BUY if n % 3 else Side.SELL
            await venue.broker.submit(venue.order(f"o{n}", 10 + n, side=side))
        await venue.open_market()
        await ear.until(lambda _: len(ear.trades) == 10)
        fills = await venue.broker.fills()
        assert sorted(fills, key=lambda f: f.exec_id) == sorted(ear.trades, key=lambda f: f.exec_id)
        assert len({fill.exec_id for fill in fills}) == 10
        assert {(f.client_order_id, f.last_qty) for f in fills} == {(f"o{n}", Decimal(10 + n)) for n in range(10)}
        assert await position(venue) == sum((10 + n) * (1 if n % 3 else -1) for n in range(10))

    async def test_short_positions_are_negative(self, venue):
        """A short would be booked as a long."""
        await venue.broker.submit(venue.order("a", side=Side.SELL))
        await venue.open_market()
        assert await position(venue) == -100
        (fill,) = await venue.broker.fills()
        assert (await venue.broker.account()).cash == venue.cash + 100 * venue.day.open - fill.commission

    async def test_a_fraction_is_exact_or_refused(self, venue):
        """A rounded share is a break in every reconciliation."""
        known = await venue.broker.tradability([venue.symbol])
        assert known[venue.symbol].is_fractionable is venue.takes_fractions
        order = venue.order("a", Decimal("1.123456789"), terms=DAY)
        if not venue.takes_fractions:
            await refused(venue, order)
            return
        await venue.broker.submit(order)
        assert (await state(venue, "a")).qty == Decimal("1.123456789")
        await venue.open_market()
        await venue.close_market()
        assert total(await venue.broker.fills()) == Decimal("1.123456789")
        assert await position(venue) == Decimal("1.123456789")

    # -- time in force ------------------------------------------------------------------------------------------------

    async def test_an_opening_order_ends_with_the_opening(self, venue):
        """It would trade later in the day, at a price nobody asked for."""
        await venue.broker.submit(venue.order("no", terms=limit(venue.day.too_low, TimeInForce.OPG)))
        await venue.broker.submit(venue.order("yes", terms=limit(venue.day.open, TimeInForce.OPG)))
        await venue.open_market()
        assert [(f.client_order_id, f.last_px) for f in await venue.broker.fills()] == [("yes", venue.day.open)]
        await venue.close_market()
        assert (await state(venue, "no")).status in ENDED

    async def test_an_opening_order_after_the_open_is_refused(self, venue):
        """It would wait for an auction that is over."""
        await venue.open_market()
        await refused(venue, venue.order("late"))
        report = await venue.broker.submit(venue.order("day", terms=limit(venue.day.too_low)))
        assert report.kind in {ExecKind.NEW, ExecKind.PENDING_NEW}

    async def test_a_closing_order_trades_at_the_close_only(self, venue):
        """It would trade at any other price of the day."""
        at_close = Terms(time_in_force=TimeInForce.CLS)
        if not await is_taken(venue, venue.order("market", terms=at_close)):
            return
        await venue.broker.submit(venue.order("no", terms=limit(venue.day.too_low, TimeInForce.CLS)))
        await venue.open_market()
        assert await venue.broker.fills() == ()
        await venue.close_market()
        assert [(f.client_order_id, f.last_px) for f in await venue.broker.fills()] == [("market", venue.day.close)]
        assert (await state(venue, "no")).status in ENDED

    async def test_good_till_cancel_outlives_the_day(self, venue):
        """A working order would be believed dead, or the other way round."""
        order = venue.order("a", terms=limit(venue.day.too_low, TimeInForce.GTC))
        if not await is_taken(venue, order):
            return
        await venue.open_market()
        await venue.close_market()
        assert (await state(venue, "a")).status.is_open
        await venue.broker.cancel("a")
        assert (await state(venue, "a")).status in {BrokerStatus.CANCELED, BrokerStatus.PENDING_CANCEL}

    @pytest.mark.parametrize("time_in_force", NOW_OR_NEVER)
    async def test_now_or_never_is_over_at_once(self, venue, time_in_force):
        """An order that must not rest would rest."""
        await venue.open_market()
        if not await is_taken(venue, venue.order("no", terms=limit(venue.day.too_low, time_in_force))):
            return
        assert await venue.broker.open_orders() == ()
        assert (await state(venue, "no")).status in ENDED
        await venue.broker.submit(venue.order("yes", terms=limit(venue.day.too_high, time_in_force)))
        assert (await state(venue, "yes")).status is BrokerStatus.FILLED
        assert [(f.client_order_id, f.last_qty) for f in await venue.broker.fills()] == [("yes", 100)]

    @pytest.mark.parametrize("time_in_force", NOW_OR_NEVER)
    async def test_what_is_more_than_there_is_fills_in_part_or_not_at_all(self, venue, time_in_force):
        """Fill-or-kill would leave half a hedge; immediate-or-cancel would leave an order in the book."""
        await venue.open_market()
        terms = Terms(time_in_force=time_in_force)
        if not await is_taken(venue, venue.order("a", venue.cap * 8, terms=terms)):
            return
        found = await state(venue, "a")
        assert found.status in ENDED
        assert total(await venue.broker.fills()) == found.cum_qty < venue.cap * 8
        assert (found.cum_qty == 0) is (time_in_force is TimeInForce.FOK)

    async def test_post_only_rests_or_does_not_trade(self, venue):
        """An order that was to earn the spread would pay it."""
        await venue.open_market()
        if not await is_taken(venue, venue.order("rests", terms=limit(venue.day.too_low, post_only=True))):
            return
        assert (await state(venue, "rests")).status.is_open
        try:
            await venue.broker.submit(venue.order("takes", terms=limit(venue.day.too_high, post_only=True)))
        except BrokerRefused:
            assert await venue.broker.find("takes") is None
        else:
            assert (await state(venue, "takes")).status in ENDED
        await venue.close_market()
        assert await venue.broker.fills() == ()

    async def test_reduce_only_cannot_cross_zero(self, venue):
        """An order that was to close a position would open one."""
        reducing = Terms(reduce_only=True)
        if not venue.supports(reducing):
            await refused(venue, venue.order("a", terms=reducing))
            return
        await refused(venue, venue.order("nothing held", side=Side.SELL, terms=reducing))
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        await refused(venue, venue.order("more of it", terms=reducing))
        await refused(venue, venue.order("too much", 101, side=Side.SELL, terms=reducing))
        await venue.broker.submit(venue.order("out", side=Side.SELL, terms=reducing))
        await venue.close_market()
        assert await position(venue) == 0

    # -- canceling ----------------------------------------------------------------------------------------------------

    async def test_cancel_is_reported_and_final(self, venue, ear):
        """A kill switch could not stop what is working."""
        await venue.broker.submit(venue.order("a"))
        await venue.broker.cancel("a")
        await ear.until_kind(ExecKind.NEW, ExecKind.CANCELED)
        assert (await state(venue, "a")).status is BrokerStatus.CANCELED
        with pytest.raises(BrokerRefused):
            await venue.broker.cancel("a")
        with pytest.raises(BrokerRefused):
            await venue.broker.cancel("never-sent")
        await venue.open_market()
        assert await venue.broker.fills() == ()

    async def test_a_filled_order_cannot_be_canceled(self, venue):
        """A fill would be undone in the book, and not at the broker."""
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        with pytest.raises(BrokerRefused):
            await venue.broker.cancel("a")
        assert (await state(venue, "a")).status is BrokerStatus.FILLED
        assert total(await venue.broker.fills()) == 100

    async def test_canceling_the_rest_keeps_what_was_filled(self, venue, ear):
        """The part that traded would be forgotten with the part that did not."""
        terms = limit(venue.day.open)
        await venue.broker.submit(venue.order("big", venue.cap + 1000, terms=terms))
        await venue.open_market()
        assert (await state(venue, "big")).status is BrokerStatus.PARTIALLY_FILLED
        await venue.broker.cancel("big")
        await ear.until(lambda _: any(r.kind is ExecKind.CANCELED for r in ear.reports))
        found = await state(venue, "big")
        assert (found.status, found.cum_qty) == (BrokerStatus.CANCELED, venue.cap)
        await venue.close_market()
        assert total(await venue.broker.fills()) == venue.cap == await position(venue)

    async def test_a_cancel_that_races_a_fill_has_one_winner(self, venue, ear):
        """Both or neither would be believed."""
        await venue.broker.submit(venue.order("a"))
        outcome, _ = await asyncio.gather(venue.broker.cancel("a"), venue.open_market(), return_exceptions=True)
        await venue.close_market()
        found = await state(venue, "a")
        assert found.cum_qty == total(await venue.broker.fills()) == await position(venue)
        assert found.status is (BrokerStatus.FILLED if found.cum_qty else BrokerStatus.CANCELED)
        assert isinstance(outcome, BrokerRefused) is (found.status is BrokerStatus.FILLED)
        last = ExecKind.TRADE if found.cum_qty else ExecKind.CANCELED
        await ear.until_kind(ExecKind.NEW, last)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def test_history_is_cut_by_time(self, venue):
        """Filling a gap would read years of history, or miss its first report."""
        await venue.broker.submit(venue.order("a"))
        sent_at = (await venue.broker.orders())[0].submitted_at
        await venue.open_market()
        (fill,) = await venue.broker.fills()
        assert await venue.broker.fills(fill.at) == (fill,)
        assert await venue.broker.fills(fill.at + timedelta(seconds=1)) == ()
        assert len(await venue.broker.orders(sent_at)) == 1
        assert await venue.broker.orders(sent_at + timedelta(seconds=1)) == ()

    async def test_history_is_oldest_first(self, venue):
        """Cumulative quantities would run backwards."""
        for name in "abc":
            await venue.broker.submit(venue.order(name, terms=limit(venue.day.below)))
        assert [order.client_order_id for order in await venue.broker.orders()] == ["a", "b", "c"]

    async def test_prices_and_time_are_the_markets(self, venue):
        """Risk checks would judge by a price from the future or by the wrong clock."""
        before = await venue.broker.market_time()
        await venue.open_market()
        assert before < await venue.broker.market_time() == venue.day.open_at
        trades = await venue.broker.last_trade([venue.symbol, "NOPE"])
        assert set(trades) == {venue.symbol}
        trade = trades[venue.symbol]
        assert (trade.price, trade.at) == (venue.day.open, venue.day.open_at)
        if trade.bid is not None and trade.ask is not None:
            assert Decimal(0) < trade.bid <= trade.ask
        assert await venue.broker.last_trade([]) == {}

    async def test_what_may_be_traded_is_known(self, venue):
        """Orders would be sent into a halt, or held back without one."""
        known = await venue.broker.tradability([venue.symbol, "NOPE"])
        assert set(known) == {venue.symbol}
        found = known[venue.symbol]
        assert (found.symbol, found.is_tradable, found.is_halted, found.is_shortable) == (
            venue.symbol,
            True,
            False,
            True,
        )
        assert found.available_to_short is None or found.available_to_short > 0
        assert await venue.broker.tradability([]) == {}

    async def test_nothing_is_adjusted_without_a_reason(self, venue):
        """Trades would be booked a second time, as adjustments."""
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        assert await venue.broker.adjustments() == ()

    async def test_an_empty_account_is_empty(self, venue):
        """The first reconciliation would find what is not there."""
        account = await venue.broker.account()
        assert account.cash == account.equity == venue.cash
        assert account.buying_power >= venue.cash
        empty = (
            await venue.broker.positions(),
            await venue.broker.orders(),
            await venue.broker.open_orders(),
            await venue.broker.fills(),
        )
        assert empty == ((), (), (), ())

    # -- the stream ---------------------------------------------------------------------------------------------------

    async def test_a_lost_stream_comes_back_and_says_so(self, venue, ear):
        """Fills of the gap would be missing until the next reconciliation, unnoticed."""
        await venue.broker.submit(venue.order("a"))
        await venue.disconnect()
        await ear.until_connected(2)
        await venue.open_market()
        await ear.until(lambda _: bool(ear.trades))
        assert tuple(ear.trades) == await venue.broker.fills()

    async def test_nothing_is_lost_between_the_lists_and_the_stream(self, venue, ear):
        """What happens while the lists are read after a reconnect would be in neither."""
        await venue.broker.submit(venue.order("before"))
        await venue.disconnect()
        await ear.until_connected(2)
        listed, _ = await asyncio.gather(venue.broker.fills(), venue.open_market())
        known = {fill.exec_id for fill in listed}
        await ear.until(lambda _: bool(known | {fill.exec_id for fill in ear.trades}))
        assert known | {f.exec_id for f in ear.trades} == {f.exec_id for f in await venue.broker.fills()}


class BustConformance:
    """Executions that are taken back or changed; `venue.bust` and `venue.correct` are given."""

    async def test_a_busted_execution_is_undone(self, venue):
        """The book would hold shares that nobody delivers."""
        ear = Ear(venue.broker)
        await ear.until_connected(1)
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        await ear.until(lambda _: bool(ear.trades))
        (fill,) = ear.trades
        await venue.bust(fill.exec_id)
        await ear.until(lambda _: ear.reports[-1].kind is ExecKind.TRADE_CANCEL)
        taken_back = ear.reports[-1]
        assert (taken_back.client_order_id, taken_back.exec_ref_id) == ("a", fill.exec_id)
        assert await venue.broker.fills() == (fill, taken_back)
        assert await position(venue) == 0
        assert (await venue.broker.account()).cash == venue.cash
        await ear.stop()

    async def test_a_corrected_execution_has_its_new_price(self, venue):
        """Cash would differ from the broker's for ever."""
        ear = Ear(venue.broker)
        await ear.until_connected(1)
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        await ear.until(lambda _: bool(ear.trades))
        (fill,) = ear.trades
        price = fill.last_px - CENT
        await venue.correct(fill.exec_id, price)
        await ear.until(lambda _: ear.reports[-1].kind is ExecKind.TRADE_CORRECT)
        corrected = ear.reports[-1]
        assert (corrected.exec_ref_id, corrected.last_qty, corrected.last_px) == (fill.exec_id, 100, price)
        assert corrected.exec_id and corrected.exec_id != fill.exec_id
        assert await venue.broker.fills() == (fill, corrected)
        assert await position(venue) == 100
        cash = (await venue.broker.account()).cash
        assert cash == venue.cash - 100 * price - corrected.commission
        await ear.stop()


class AdjustmentConformance:
    """Dividends and splits; `venue.adjust` is given."""

    async def test_positions_and_cash_are_fills_plus_adjustments(self, venue):
        """A split or a dividend would be a break that only a person can clear."""
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        (fill,) = await venue.broker.fills()
        before = (await venue.broker.account()).cash
        await venue.adjust()
        entries = await venue.broker.adjustments()
        assert {e.kind for e in entries} == {AdjustmentKind.DIVIDEND, AdjustmentKind.SPLIT}
        assert len({e.adjustment_id for e in entries}) == len(entries)
        assert {e.symbol for e in entries} == {venue.symbol}
        dividends = sum((e.cash_change for e in entries if e.kind is AdjustmentKind.DIVIDEND), Decimal(0))
        assert dividends == 100
        assert fill.last_qty + sum((e.qty_change for e in entries), Decimal(0)) == 200 == await position(venue)
        assert (await venue.broker.account()).cash == before + sum((e.cash_change for e in entries), Decimal(0))

    async def test_a_short_position_owes_dividends_and_splits(self, venue):
        """Signs would be those of a long position."""
        await venue.broker.submit(venue.order("a", side=Side.SELL))
        await venue.open_market()
        before = (await venue.broker.account()).cash
        await venue.adjust()
        assert await position(venue) == -200
        assert (await venue.broker.account()).cash == before - 100
        assert sum((e.qty_change for e in await venue.broker.adjustments()), Decimal(0)) == -100

    async def test_adjustments_are_cut_by_time(self, venue):
        """Every reconciliation would read all of history."""
        await venue.broker.submit(venue.order("a"))
        await venue.open_market()
        await venue.adjust()
        entries = await venue.broker.adjustments()
        assert await venue.broker.adjustments(entries[0].at) == entries
        assert await venue.broker.adjustments(entries[-1].at + timedelta(days=1)) == ()
