"""Prices over a split, on the real bars of AAPL around its two-for-one split of 28 February 2005."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from bifrost_core.calendar import Session, sessions_between
from bifrost_core.clock import ManualClock
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.exchange import Exchange, HouseRules
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.market import Market, WarehouseReader, sample_bars
from execution_daemon.paper_exchange.records import AssetState, StoredOrder
from execution_daemon.paper_exchange.refusals import NewOrder, Refused
from tests.execution_daemon.conftest import insert_bar

CASH = Decimal(1_000_000)
HOUR = timedelta(hours=1)
IN_OLD_SHARES = Decimal("88.99")  # the close before the split, a Friday
IN_NEW_SHARES = Decimal("44.495")
AT_OPEN = Terms(time_in_force=TimeInForce.OPG)
FAR_BID = Terms(order_type=OrdType.LIMIT, limit_price=Decimal(1), time_in_force=TimeInForce.GTC)


def add_split(owner, symbol: str, session: str, factor: float) -> None:
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.corporate_actions"
            " select instrument_id, %s, now(), now(), 'split', %s, 'test', %s"
            " from reference.instruments where symbol = %s",
            (session, factor, "0" * 64, symbol),
        )


def add_bar(owner, session: Session, symbol: str = "AAPL", times: int = 1) -> None:
    """The packaged bar, its prices `times` as high."""
    bar = sample_bars()[session.session][symbol]
    prices = [float(price) * times for price in (bar.open, bar.high, bar.low, bar.close)]
    with owner.transaction() as connection, connection.cursor() as cursor:
        insert_bar(cursor, symbol, session.session, *prices, float(bar.volume))


@pytest.fixture
def day(settings, owner) -> Callable[[str], Session]:
    """Gives the session of a day such as 02-28; the split is in the warehouse, the bars are the packaged ones."""
    sessions = sessions_between(settings.exchange, date(2005, 2, 1), date(2005, 3, 31))
    with owner.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
            " values (%s, %s, 'equity', %s, 'USD')",
            [(symbol, symbol, settings.exchange) for symbol in ("AAPL", "IBM")],
        )
        cursor.executemany(
            "insert into reference.sessions values (%s, %s, %s, %s, %s)",
            [(settings.exchange, s.session, s.open_at, s.close_at, s.is_half_day) for s in sessions],
        )
    add_split(owner, "AAPL", "2005-02-28", 0.5)
    return {s.session.isoformat()[5:]: s for s in sessions}.__getitem__


@pytest.fixture
def read_market(settings) -> Iterator[Market]:
    reader = WarehouseReader(settings)
    yield Market(settings, reader)
    reader.close()


@pytest.fixture
def replay(day, read_market, tmp_path) -> Iterator[Exchange]:
    """An account that holds nothing, an hour before the open of the last session in old shares."""
    yield from exchange_on(read_market, tmp_path, day("02-25").open_at - HOUR, None)


def exchange_on(market: Market, folder, start, wall) -> Iterator[Exchange]:
    ledger = Ledger(folder / "ledger.sqlite")
    market.load()
    yield Exchange(ledger, market, HouseRules(initial_cash=CASH, start=start), wall, lambda _: None)
    ledger.close()


def send(exchange: Exchange, name: str, terms: Terms, side: Side = Side.BUY, **more: Decimal) -> StoredOrder:
    return exchange.submit(NewOrder(name, "AAPL", side, Decimal(100), terms, **more))


def test_a_factor_does_not_outlive_its_morning(replay, day):
    """The account would lose half of every purchase on paper for days: nothing was held that cleared the factor."""
    send(replay, "canceled at dawn", FAR_BID)
    replay.move_clock(day("02-28").open_at + HOUR)
    assert replay.ledger.open_orders() == ()
    send(replay, "a", Terms(time_in_force=TimeInForce.IOC))
    (execution,) = replay.ledger.executions()
    assert execution.price == Decimal("44.68")
    assert replay.capacity.equity() == CASH - execution.commission


def test_who_was_flat_at_dawn_sees_new_shares_before_the_open(replay, day):
    """Buying power would be counted with twice the price."""
    replay.move_clock(day("02-28").open_at - HOUR)
    assert replay.marks(["AAPL"]) == {"AAPL": IN_NEW_SHARES}
    replay.move_clock(day("02-28").open_at)
    assert replay.marks(["AAPL"]) == {"AAPL": Decimal("44.68")}


def test_clients_are_told_what_was_printed(replay, day):
    """The paper exchange would hide from the daemon what Alpaca's data will show it on the morning of a split."""
    trade = replay.market.last_trade("AAPL", day("02-28").open_at - HOUR)
    assert trade is not None
    assert (trade.price, trade.at) == (IN_OLD_SHARES, day("02-25").close_at)


@pytest.mark.parametrize("by", ["amount", "percent"])
def test_a_trailing_stop_is_not_fired_by_the_split(replay, day, by):
    """A position would be sold at the open because its shares are others, not because they fell."""
    send(replay, "a", AT_OPEN)
    replay.move_clock(day("02-28").open_at - HOUR)
    offset = {"trail_offset": Decimal(2)} if by == "amount" else {}
    percent = {"trail_percent": Decimal(5)} if by == "percent" else {}
    order = send(replay, "stop", Terms(order_type=OrdType.TRAILING_STOP, **offset), Side.SELL, **percent)
    assert order.live.high_water == IN_NEW_SHARES
    assert order.terms.trail_offset == (Decimal(2) if by == "amount" else Decimal("2.22475"))
    replay.move_clock(day("02-28").close_at)
    assert [e.side for e in replay.ledger.executions()] == [Side.BUY]
    (position,) = replay.ledger.positions()
    assert position.qty == 200


@pytest.mark.parametrize("has_book", [False, True])
def test_a_short_sale_is_held_against_the_bid_in_new_shares(replay, day, has_book):
    """Under Rule 201 no short sale would be taken on the morning of a split."""
    if has_book:
        load_book(replay, day)
    replay.set_asset(AssetState("AAPL", is_short_restricted=True))
    replay.move_clock(day("02-28").open_at - HOUR)
    send(replay, "above", Terms(order_type=OrdType.LIMIT, limit_price=Decimal(46)), Side.SELL)
    with pytest.raises(Refused, match="must exceed the bid"):
        send(replay, "below", Terms(order_type=OrdType.LIMIT, limit_price=Decimal(44)), Side.SELL)


def load_book(replay: Exchange, day) -> None:
    """The last quote before the close, in old shares."""
    at = (day("02-25").close_at - timedelta(minutes=1)).isoformat()
    replay.load_book(f"at,symbol,bid,bid_size,ask,ask_size\n{at},AAPL,88.98,100,89.00,100\n")


def test_a_post_only_order_meets_an_old_quote_in_new_shares(replay, day):
    """It would be refused for a bid that nobody makes any more, or taken although it trades at once."""
    load_book(replay, day)
    replay.move_clock(day("02-28").open_at + HOUR)
    send(replay, "rests", Terms(OrdType.LIMIT, limit_price=Decimal(46), post_only=True), Side.SELL)
    with pytest.raises(Refused, match="would trade at once"):
        send(replay, "takes", Terms(OrdType.LIMIT, limit_price=Decimal(50), post_only=True))


def test_a_split_is_no_fall(read_market, day):
    """Rule 201 would bar short sales for two days after every split."""
    times = [day("02-28").open_at + HOUR, day("02-28").close_at + HOUR, day("03-01").open_at + HOUR]
    assert [read_market.is_short_restricted("AAPL", at) for at in times] == [False, False, False]


def test_a_reverse_split_hides_no_fall(read_market, day, owner):
    """A share that fell by a fifth on the day of its reverse split could be sold short at any price."""
    add_bar(owner, day("03-01"), "IBM")
    add_bar(owner, day("03-02"), "IBM", times=8)
    add_split(owner, "IBM", "2005-03-02", 10.0)
    assert read_market.is_short_restricted("IBM", day("03-02").open_at + HOUR)


def test_a_live_position_is_worth_the_same_while_its_split_waits_for_bars(settings, day, owner, tmp_path):
    """Equity would halve from the dawn of an announced split until the evening, when the shares are changed."""
    clock = ManualClock(day("02-25").open_at - HOUR)
    reader = WarehouseReader(settings)
    add_bar(owner, day("02-24"))
    live_market = Market(settings.model_copy(update={"provider": "yahoo"}), reader)
    for live in exchange_on(live_market, tmp_path, clock.at, clock):
        send(live, "a", AT_OPEN)
        add_bar(owner, day("02-25"))
        clock.at = day("02-25").close_at + HOUR
        live.run_due()
        before = live.capacity.equity()
        clock.at = day("02-28").open_at + HOUR
        assert live.run_due() == []
        assert live.capacity.equity() == before
        add_bar(owner, day("02-28"))
        clock.at = day("02-28").close_at + HOUR
        live.run_due()
        assert live.capacity.equity() == before + 200 * (Decimal("44.86") - IN_NEW_SHARES)
    reader.close()


def test_the_news_of_a_split_may_come_with_the_bars(settings, day, owner):
    """Whoever asked for a price in the morning would have the split forgotten: shares and price would not meet."""
    reader = WarehouseReader(settings)
    live = Market(settings.model_copy(update={"provider": "yahoo"}), reader)
    assert live.splits(day("03-02").session) == {}
    add_split(owner, "AAPL", "2005-03-02", 0.5)
    add_bar(owner, day("03-02"))
    assert list(live.splits(day("03-02").session)) == ["AAPL"]
    add_split(owner, "IBM", "2005-03-02", 0.5)
    assert list(live.splits(day("03-02").session)) == ["AAPL"]  # what was used is not changed by a later vintage
    reader.close()
