"""Interactive Brokers' adapter against a TWS that misbehaves: nothing is sent twice, and silence proves nothing."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from bifrost_core.settings import load_settings
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.brokers.choose import broker_of as broker_of_settings
from execution_daemon.brokers.ib_session import Endpoint
from execution_daemon.brokers.interactive_brokers import InteractiveBrokersBroker
from execution_daemon.brokers.port import BrokerRefused, BrokerStatus, BrokerUnclear, Connected, ExecKind, NotListed
from tests.execution_daemon.brokers import tws_server as tws
from tests.execution_daemon.brokers.test_interactive_brokers import CLIENT_ID, SESSION, server_before_the_open, venue_of
from tests.execution_daemon.brokers.tws_wire import Placed
from tests.execution_daemon.brokers.venue import DAY, Ear, limit

SHORT_SECONDS, LONG_SECONDS = 0.5, 20.0


def broker_of(server, **changes):
    patience = {"timeout_seconds": SHORT_SECONDS, "heartbeat_seconds": LONG_SECONDS, "commission_seconds": LONG_SECONDS}
    return InteractiveBrokersBroker(Endpoint("127.0.0.1", server.port, CLIENT_ID), **(patience | changes))


@pytest.fixture
async def server():
    server = server_before_the_open()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def make(server):
    """Makes venues whose brokers are closed in the end."""
    made = []

    def make(**changes):
        made.append(broker_of(server, **changes))
        return venue_of(server, made[-1])

    yield make
    for broker in made:
        await broker.close()


@pytest.fixture
def venue(make):
    return make()


@pytest.fixture
async def ear(venue):
    ear = Ear(venue.broker)
    await ear.until_connected(1)
    yield ear
    await ear.stop()


# -- sending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "cut_before"])
async def test_an_order_that_never_arrived_is_proven_absent_and_may_be_sent_again(server, venue, fault):
    """It would be stuck for ever, or taken for refused."""
    await venue.broker.market_time()
    getattr(server.faults, fault).add(tws.PLACE)
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))
    assert await venue.broker.find("a") is None
    assert (await venue.broker.submit(venue.order("a"))).kind is ExecKind.NEW
    assert server.placed == ["a"]


@pytest.mark.parametrize("fault", ["unanswered", "cut_after", "garbled"])
async def test_an_order_whose_answer_is_lost_is_found_and_not_sent_again(server, venue, fault):
    """The case that makes naive daemons trade twice."""
    await venue.broker.market_time()
    if fault == "garbled":
        server.faults.unanswered.add(tws.PLACE)
        server.faults.garbled.add(tws.TIME)
        submitting = asyncio.create_task(venue.broker.submit(venue.order("a")))
        await asyncio.sleep(0.05)
        with pytest.raises(BrokerUnclear, match="cannot be read"):
            await venue.broker.market_time()
        with pytest.raises(BrokerUnclear):
            await submitting
    else:
        getattr(server.faults, fault).add(tws.PLACE)
        with pytest.raises(BrokerUnclear):
            await venue.broker.submit(venue.order("a"))
    found = await venue.broker.find("a")
    assert found is not None and found.status.is_open and found.terms == venue.order("a").terms
    again = await venue.broker.submit(venue.order("a"))
    assert (again.kind, again.broker_order_id) == (ExecKind.NEW, found.broker_order_id)
    assert server.placed == ["a"]


async def test_a_new_process_does_not_send_what_an_old_one_sent(server, make):
    """A restart would double every working order, and every one that was filled or canceled today."""
    old = make()
    for name in ("open", "filled", "canceled"):
        terms = old.order("").terms if name == "filled" else limit(old.day.too_low)
        await old.broker.submit(old.order(name, terms=terms))
    await old.broker.cancel("canceled")
    await old.open_market()
    await old.broker.close()
    new = make()
    kinds = {name: (await new.broker.submit(new.order(name))).kind for name in ("open", "filled", "canceled")}
    assert kinds == {"open": ExecKind.NEW, "filled": ExecKind.NEW, "canceled": ExecKind.CANCELED}
    assert server.placed == ["open", "filled", "canceled"]
    assert (await new.broker.find("open")).terms == limit(old.day.too_low)
    await new.broker.cancel("open")
    assert (await new.broker.find("open")).status is BrokerStatus.CANCELED


async def test_an_order_that_tws_has_shown_and_lists_no_more_is_unclear(server, venue):
    """A list that lost an order would prove it absent, and it would be sent again."""
    await venue.broker.submit(venue.order("a"))
    server.book.orders.clear()
    with pytest.raises(BrokerUnclear, match="does not list a"):
        await venue.broker.find("a")
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))
    assert server.placed == ["a"]


async def test_absence_from_todays_lists_proves_nothing_of_yesterdays_order(server, venue):
    """An order that was executed yesterday would be sent again today."""
    await venue.broker.market_time()
    server.faults.unanswered.add(tws.PLACE)
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))
    server.book.orders.clear()
    server.book.now += timedelta(days=1)
    server.disconnect()
    with pytest.raises(BrokerUnclear, match="Trade Log"):
        await venue.broker.find("a")


async def test_order_ids_stay_above_all_that_tws_has_named(server, venue):
    """TWS would refuse the order as a duplicate, or change another one."""
    by_hand = Placed(900, 5, 77, 1, "MSFT", "BUY", Decimal(1), "LMT", Decimal(1), None, None, "DAY", tws.ACCOUNT, "")
    server.book.take(by_hand)
    await venue.broker.submit(venue.order("a"))
    assert server.book.orders[-1].order_id > 900


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [110, 201, 203, 321, 10243])
async def test_a_documented_refusal_is_a_proof(server, venue, code):
    """The symbol would be blocked for an order that is not there."""
    server.faults.refusal = (code, "no")
    with pytest.raises(BrokerRefused) as refused:
        await venue.broker.submit(venue.order("a"))
    assert (refused.value.code, refused.value.report.text) == (str(code), "no")
    assert await venue.broker.find("a") is None


@pytest.mark.parametrize("code", [103, 106, 133, 322, 399, 404, 9999])
async def test_any_other_message_is_none(server, venue, code):
    """An order that lives would be taken for refused."""
    server.faults.refusal = (code, "hm")
    with pytest.raises(BrokerUnclear):
        await venue.broker.submit(venue.order("a"))


async def test_a_refusal_of_an_order_that_works_is_not_believed(server, venue):
    """One wrong code would let the daemon trade the same target again."""
    server.faults.refusal, server.faults.works_what_it_refuses = (201, "Order rejected - reason:?"), True
    with pytest.raises(BrokerUnclear, match="shows it at work"):
        await venue.broker.submit(venue.order("a"))
    assert (await venue.broker.find("a")).status.is_open


async def test_a_rejection_after_the_acknowledgement_is_reported(server, venue, ear):
    """The daemon would wait for the fill of an order that is dead."""
    await venue.broker.submit(venue.order("a"))
    order = server.book.orders.pop()
    (client,) = server._clients
    client.send(tws.wire.error(order.order_id, 201, "Order rejected - reason:margin"))
    await ear.until_kind(ExecKind.NEW, ExecKind.REJECTED)
    assert "margin" in ear.reports[-1].text


async def test_a_rejection_that_is_told_before_the_order_has_left_the_list_is_believed_when_it_has(server, venue, ear):
    """The order would stay open for ever, inactive at TWS."""
    await venue.broker.submit(venue.order("a"))
    (order,), (client,) = server.book.orders, server._clients
    client.send(tws.wire.error(order.order_id, 201, "Order rejected - reason:margin"))
    await venue.broker.open_orders()
    assert ear.reports[-1].kind is ExecKind.NEW
    order.status = "Inactive"
    server._tell(order)
    await ear.until_kind(ExecKind.NEW, ExecKind.REJECTED)
    assert (await venue.broker.find("a")).status is BrokerStatus.REJECTED


@pytest.mark.parametrize("code", [110, 136, 201, 321])
async def test_a_cancel_that_is_refused_leaves_the_order_at_work(server, venue, ear, code):
    """An order that works would be taken for rejected, and its target traded again."""
    await venue.broker.submit(venue.order("a"))
    server.faults.cancel_refusal = (code, "no")
    with pytest.raises(BrokerRefused) as refused:
        await venue.broker.cancel("a")
    assert (refused.value.code, refused.value.report.text) == (str(code), "no")
    assert (await venue.broker.find("a")).status.is_open
    assert [report.kind for report in ear.reports] == [ExecKind.NEW]
    await venue.broker.cancel("a")
    await ear.until_kind(ExecKind.NEW, ExecKind.CANCELED)


async def test_terms_that_the_contract_does_not_list_are_refused_unsent(server, venue):
    """TWS would hold the order as inactive, and nobody would know what it is."""
    for terms in (Terms(time_in_force=TimeInForce.FOK), limit(Decimal(28), post_only=True)):
        with pytest.raises(BrokerRefused):
            await venue.broker.submit(venue.order("a", terms=terms))
    assert server.placed == []


async def test_fractions_go_in_the_contracts_steps(server, venue):
    """TWS would round, or refuse with an inactive order."""
    server.steps["MSFT"] = "0.0001"
    assert (await venue.broker.tradability(["MSFT"]))["MSFT"].is_fractionable
    await venue.broker.submit(venue.order("a", "1.2345", terms=DAY))
    assert server.book.orders[0].qty == Decimal("1.2345")
    with pytest.raises(BrokerRefused, match=r"steps of 0\.0001"):
        await venue.broker.submit(venue.order("b", "1.23456", terms=DAY))


# -- the connection ----------------------------------------------------------------------------------------------------


async def test_no_tws_is_said_with_a_remedy():
    """An operator would see a stack trace instead of what to start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    broker = InteractiveBrokersBroker(Endpoint("127.0.0.1", port, CLIENT_ID))
    with pytest.raises(BrokerUnclear, match="no TWS or IB Gateway listens") as caught:
        await broker.account()
    assert "BIFROST_IB_PORT" in caught.value.remedy


async def test_a_client_id_that_is_taken_is_said_at_once_and_waited_for(server, make):
    """Two daemons would share order ids; or a successor would give up while TWS still has its predecessor."""
    first, second = make(), make(timeout_seconds=LONG_SECONDS)
    await first.broker.market_time()
    with pytest.raises(BrokerUnclear, match="326") as caught:
        await second.broker.market_time()
    assert "BIFROST_IB_CLIENT_ID" in caught.value.remedy
    ear = Ear(second.broker)
    await first.broker.close()
    await ear.until_connected(1)
    await ear.stop()


async def test_several_accounts_need_a_choice(server, venue):
    """Orders would go to whatever account comes first."""
    server.accounts = [tws.ACCOUNT, "DU7654321"]
    with pytest.raises(BrokerUnclear, match="several accounts") as caught:
        await anext(venue.broker.events())
    assert "BIFROST_IB_ACCOUNT" in caught.value.remedy


async def test_a_silent_connection_is_noticed(server, make):
    """Fills would stop coming, and nobody would know."""
    venue = make(heartbeat_seconds=0.1)
    ear = Ear(venue.broker)
    await ear.until_connected(1)
    server.faults.is_silent = True
    await asyncio.sleep(0.2 + SHORT_SECONDS)
    server.faults.is_silent = False
    await ear.until_connected(2)
    await ear.stop()


async def test_tws_coming_back_is_found(server, venue, ear):
    """The nightly restart of TWS would end the daemon's trading."""
    await venue.broker.submit(venue.order("a"))
    await server.stop()
    with pytest.raises(BrokerUnclear):
        await venue.broker.find("a")
    await server.start()
    await ear.until_connected(2)
    await venue.open_market()
    await ear.until(lambda _: bool(ear.trades))


async def test_what_happened_while_it_was_away_is_in_the_returned_list(server, venue, ear):
    """Missed executions come with no event: the position would differ from the broker's."""
    await venue.broker.submit(venue.order("a"))
    await server.stop()
    await venue.open_market()
    await server.start()
    await ear.until_connected(2)
    (fill,) = await venue.broker.fills()
    assert (fill.client_order_id, fill.last_qty) == ("a", 100) and not ear.trades


async def test_without_its_upstream_nothing_is_sent_and_nothing_proven(server, venue, ear):
    """Stale lists would prove a living order absent."""
    await venue.broker.submit(venue.order("a"))
    server.say(1100, "Connectivity between IB and TWS has been lost.")
    await asyncio.sleep(0.05)
    for asking in (
        venue.broker.find("a"),
        venue.broker.find("never-sent"),
        venue.broker.submit(venue.order("b")),
        venue.broker.positions(),
        venue.broker.account(),
    ):
        with pytest.raises(BrokerUnclear, match="IBKR"):
            await asking
    assert server.placed == ["a"]
    server.say(1102, "Connectivity between IB and TWS has been restored- data maintained.")
    await ear.until_connected(2)
    assert await venue.broker.find("never-sent") is None


async def test_notices_change_nothing(server, venue, ear):
    """Every message about a data farm would cut the connection."""
    for code in (2104, 2106, 2107, 2158, 9999):
        server.say(code, "?")
    await venue.broker.submit(venue.order("a"))
    assert [event for event in ear.heard if isinstance(event, Connected)] == [Connected(1)]


@pytest.mark.parametrize(
    "message", [tws.ALL_OPEN, tws.COMPLETED, tws.EXECUTIONS, tws.POSITIONS, tws.SUMMARY, tws.DETAILS]
)
@pytest.mark.parametrize("fault", ["unanswered", "garbled", "cut_after"])
async def test_a_list_that_is_not_whole_is_unclear(server, venue, message, fault):
    """A list without the order would prove it absent."""
    await venue.broker.market_time()
    getattr(server.faults, fault).add(message)
    with pytest.raises(BrokerUnclear):
        await venue.broker.find("never-sent")
        await venue.broker.positions()
        await venue.broker.account()
        await venue.broker.tradability(["MSFT"])
    assert await venue.broker.find("never-sent") is None


async def test_a_caller_that_gives_up_leaves_no_rows_for_the_next(server, venue):
    """The next caller would get the end of a list that it did not ask for."""
    await venue.broker.submit(venue.order("a"))
    server.faults.unanswered.add(tws.ALL_OPEN)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await venue.broker.find("a")
    assert [order.client_order_id for order in await venue.broker.open_orders()] == ["a"]


async def test_a_cancel_without_an_answer_is_unclear(server, venue):
    """A kill switch would believe that nothing works any more."""
    await venue.broker.submit(venue.order("a"))
    server.faults.lost.add(tws.CANCEL)
    with pytest.raises(BrokerUnclear):
        await venue.broker.cancel("a")
    assert (await venue.broker.find("a")).status.is_open
    await venue.broker.cancel("a")
    assert (await venue.broker.find("a")).status is BrokerStatus.CANCELED


# -- executions --------------------------------------------------------------------------------------------------------


async def test_an_execution_that_comes_twice_is_told_once(server, venue, ear):
    """It would count twice in whoever trusts the stream."""
    server.faults.repeats_executions = True
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    await venue.broker.submit(venue.order("b", terms=limit(venue.day.too_low)))
    await ear.until(lambda _: ear.reports[-1].client_order_id == "b")
    assert len(ear.trades) == 1


async def test_a_late_commission_holds_the_fill_and_what_follows_it(server, venue, ear):
    """A fill would be booked without its cost, or after the end of its order."""
    server.faults.holds_commissions = True
    await venue.broker.submit(venue.order("a", venue.cap + 1))
    await venue.open_market()
    await asyncio.sleep(0.1)
    assert [r.kind for r in ear.reports] == [ExecKind.NEW]
    server.release_commissions()
    await ear.until_kind(ExecKind.NEW, ExecKind.TRADE, ExecKind.EXPIRED)
    assert ear.trades[0].commission == venue.commission(venue.cap, venue.day.open)
    assert await venue.broker.fills() == tuple(ear.trades)


async def told_without_its_commission(server, make):
    """A venue, who hears its reports, and the fill of a hundred shares that TWS has not told the commission of."""
    venue = make(commission_seconds=0.1)
    ear = Ear(venue.broker)
    await ear.until_connected(1)
    server.faults.holds_commissions = True
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    await ear.until_kind(ExecKind.NEW, ExecKind.TRADE)
    (fill,) = ear.trades
    return venue, ear, fill


async def test_a_commission_that_does_not_come_is_told_as_missing_and_corrected_when_it_does(server, make):
    """Shares would be missing from the book for the sake of a dollar; or the dollar would never be booked."""
    venue, ear, fill = await told_without_its_commission(server, make)
    assert (fill.last_qty, fill.commission) == (100, 0) and "commission" in fill.text
    async with asyncio.timeout(0.1):
        assert await venue.broker.fills() == (fill,)  # it is not waited for again
    server.release_commissions()
    await ear.until_kind(ExecKind.NEW, ExecKind.TRADE, ExecKind.TRADE_CORRECT)
    correction = ear.reports[-1]
    assert (correction.exec_ref_id, correction.last_qty, correction.last_px) == (fill.exec_id, 100, fill.last_px)
    assert correction.commission == venue.commission(Decimal(100), venue.day.open)
    assert await venue.broker.fills() == (fill, correction)
    await venue.correct(fill.exec_id, fill.last_px - 1)
    await ear.until(lambda _: ear.reports[-1].last_px == fill.last_px - 1)
    assert ear.reports[-1].exec_ref_id == correction.exec_id
    await ear.stop()


async def test_a_correction_that_was_missed_is_told_after_the_reconnect(server, venue, ear):
    """Cash would differ until a person looks."""
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    await ear.until(lambda _: bool(ear.trades))
    await server.stop()
    await venue.correct(ear.trades[0].exec_id, Decimal("28.00"))
    await server.start()
    await ear.until(lambda _: ear.reports[-1].kind is ExecKind.TRADE_CORRECT)
    assert (ear.reports[-1].exec_ref_id, ear.reports[-1].last_px) == (ear.trades[0].exec_id, Decimal("28.00"))


async def test_revisions_form_a_chain(server, venue):
    """The second correction would be about an execution that no longer stands."""
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    first = server.book.executions[0].exec_id
    second = server.book.correct(first, Decimal("28.00")).exec_id
    server.book.correct(second, Decimal("27.90"))
    fills = await venue.broker.fills()
    assert [(b.exec_ref_id, a.exec_id) for a, b in pairwise(fills)] == [(f.exec_id, f.exec_id) for f in fills[:-1]]
    assert (await venue.broker.find("a")).avg_px == Decimal("27.90")


# -- what others do in the account -------------------------------------------------------------------------------------


async def test_an_order_by_hand_is_shown_and_not_ours_to_cancel(server, venue):
    """Exposure that a person made would be invisible, or canceled under another's id."""
    by_hand = Placed(0, 0, 77, 1, "MSFT", "SELL", Decimal(5), "REL", None, None, None, "GTD", tws.ACCOUNT, "")
    server.book.orders.append(by_hand)
    by_hand.status = "Submitted"
    (found,) = await venue.broker.open_orders()
    assert (found.client_order_id, found.side, found.qty) == ("ib-77", Side.SELL, 5)
    with pytest.raises(BrokerRefused, match="another client"):
        await venue.broker.cancel("ib-77")


async def test_a_copy_of_our_order_is_not_our_order(server, venue):
    """TWS copies the reference with the ticket: the copy's fills would be booked as ours."""
    await venue.broker.submit(venue.order("a"))
    copy = Placed(0, 0, 5000, 1, "MSFT", "BUY", Decimal(7), "LMT", Decimal(20), None, None, "DAY", tws.ACCOUNT, "a")
    copy.status = "Submitted"
    server.book.orders.append(copy)
    assert {(o.client_order_id, o.qty) for o in await venue.broker.open_orders()} == {("a", 100), ("ib-5000", 7)}


async def test_an_overseer_comes_beside_the_daemon_and_cancels_what_that_sent(server, venue, tmp_path):
    """TWS lets a client id in once: the dead-man switch would shut the daemon out, or cancel nothing."""
    await venue.broker.submit(venue.order("a"))
    here = {"broker": "interactive_brokers", "ib_port": server.port, "ib_client_id": CLIENT_ID}
    overseer = broker_of_settings(load_settings(home=tmp_path, **here), is_overseer=True)
    try:
        for order in await overseer.open_orders():
            await overseer.cancel(order.client_order_id)
        assert not await overseer.open_orders()
    finally:
        await overseer.close()
    assert not (await venue.broker.find("a")).status.is_open


# -- days --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2013-02-20T21:00+00:00", "2013-02-20T05:00+00:00"),
        ("2013-02-21T01:00+00:00", "2013-02-21T00:00+00:00"),
        ("2013-07-02T03:59+00:00", "2013-07-02T00:00+00:00"),
        ("2013-07-02T04:00+00:00", "2013-07-02T04:00+00:00"),
    ],
)
async def test_the_lists_begin_at_midnight(server, venue, now, since):
    """Yesterday's fills would be breaks on the next day: IB Gateway lists them no more."""
    server.book.now = datetime.fromisoformat(now)
    assert await venue.broker.lists_from() == datetime.fromisoformat(since)


async def test_an_order_that_cannot_be_judged_does_not_hide_the_others(server, venue):
    """One order that TWS lost would stop every reconciliation."""
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    server.book.executions[0] = replace(server.book.executions[0], qty=Decimal(99))
    server.book.orders.clear()
    await venue.broker.submit(venue.order("b", terms=limit(Decimal(20))))
    assert [order.client_order_id for order in await venue.broker.orders()] == ["b"]
    with pytest.raises(NotListed):
        await venue.broker.find("a")


# -- the market --------------------------------------------------------------------------------------------------------


async def test_what_tws_does_not_quote_has_no_price_and_is_halted(server, venue):
    """Risk checks would pass on data that nobody has."""
    await venue.open_market()
    server.no_quotes = (354, "Requested market data is not subscribed.")
    assert await venue.broker.last_trade(["MSFT"]) == {}
    known = (await venue.broker.tradability(["MSFT"]))["MSFT"]
    assert (known.is_halted, known.is_shortable) == (True, False)
    server.no_quotes = (9999, "?")
    with pytest.raises(BrokerUnclear):
        await venue.broker.last_trade(["MSFT"])


@pytest.mark.parametrize(("halted", "shortable", "fall"), [("1", "3.0", "0"), ("2", "2.0", "0"), ("0", "1.0", "0.1")])
async def test_halts_locates_and_rule_201_are_told(server, venue, halted, shortable, fall):
    """Orders would go into a halt; shorts would be sent without shares to borrow, or below the bid."""
    await venue.open_market()
    server.halted, server.shortable = halted, shortable
    server.close = venue.day.open / (1 - Decimal(fall))
    known = (await venue.broker.tradability(["MSFT"]))["MSFT"]
    assert known.is_halted is (halted != "0")
    assert known.is_shortable is (shortable == "3.0")
    assert known.is_short_restricted is (fall == "0.1")


async def test_an_account_in_another_currency_is_unclear(server, venue):
    """Euros would be spent as dollars."""
    server.currency = "EUR"
    with pytest.raises(BrokerUnclear, match="EUR"):
        await venue.broker.account()


async def test_every_order_type_arrives_with_its_numbers(server, venue):
    """A stop's trigger would be its limit."""
    cases = {
        Terms(OrdType.STOP_LIMIT, limit_price=Decimal("28.5"), stop_price=Decimal("28.4")): ("STP LMT", "28.5", "28.4"),
        Terms(OrdType.TRAILING_STOP, trail_offset=Decimal("0.37")): ("TRAIL", None, "0.37"),
        Terms(OrdType.MARKET, TimeInForce.CLS): ("MOC", None, None),
        Terms(OrdType.LIMIT, TimeInForce.CLS, limit_price=Decimal("28.1")): ("LOC", "28.1", None),
    }
    for number, (terms, said) in enumerate(cases.items()):
        await venue.broker.submit(venue.order(f"o{number}", 10, terms=terms))
        order = server.book.orders[-1]
        assert (order.kind, *(None if n is None else str(n) for n in (order.limit, order.aux))) == said
    other = broker_of(server)
    await venue.broker.close()
    assert [order.terms for order in await other.orders()] == list(cases)
    await other.close()


async def test_the_session_is_left_behind_with_the_adapter(make):
    """Tasks and sockets would outlive the daemon's run."""
    venue = make()
    before = asyncio.all_tasks()
    ear = Ear(venue.broker)
    await ear.until_connected(1)
    await venue.broker.submit(venue.order("a", terms=limit(SESSION.too_low)))
    await ear.stop()
    await venue.broker.close()
    await asyncio.sleep(0.05)
    ours = [t for t in asyncio.all_tasks() - before if "ib_" in repr(t) or "interactive" in repr(t)]
    assert ours == []


@pytest.mark.parametrize("is_booked", [False, True])
async def test_a_late_commission_is_a_correction_after_a_restart_too(server, make, is_booked):
    """The fill would differ from the one in the book, or its correction be absent: a halt, for a dollar."""
    venue = make(commission_seconds=0.1)
    server.faults.holds_commissions = True
    await venue.broker.submit(venue.order("a"))
    await venue.open_market()
    (fill,) = await venue.broker.fills()
    server.release_commissions()
    booked = (await venue.broker.fills())[-1] if is_booked else fill
    await venue.broker.close()
    started_again = make().broker
    started_again.recall({booked.exec_id: booked.commission})
    told, correction = await started_again.fills()
    assert (told, correction.exec_ref_id) == (fill, fill.exec_id)
    assert correction.commission == venue.commission(Decimal(100), fill.last_px)
    assert booked in (told, correction)


async def test_a_fill_that_is_corrected_before_its_commission_comes_is_corrected_once(server, make):
    """Both the correction and the commission would replace the fill: its shares would count twice."""
    venue, ear, fill = await told_without_its_commission(server, make)
    await venue.correct(fill.exec_id, fill.last_px - 1)
    await ear.until_kind(ExecKind.NEW, ExecKind.TRADE, ExecKind.TRADE_CORRECT)
    assert ear.reports[-1].exec_ref_id == fill.exec_id
    server.release_commissions()
    await ear.until_kind(ExecKind.NEW, ExecKind.TRADE, ExecKind.TRADE_CORRECT, ExecKind.TRADE_CORRECT)
    assert ear.reports[-1].exec_ref_id == ear.reports[-2].exec_id
    assert [one.exec_ref_id for one in await venue.broker.fills()] == ["", fill.exec_id, ear.reports[-2].exec_id]
    await ear.stop()
