"""The market as read from the warehouse."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from bifrost_core.calendar import session_of
from execution_daemon.paper_exchange.market import Market, WarehouseReader, sample_bars


@pytest.fixture
def reading(settings):
    reader = WarehouseReader(settings)
    yield reader
    reader.close()


def test_sessions_beyond_the_table_come_from_the_calendar(settings, market, reading):
    """A replay would stop at the last session that the pipeline has stored."""
    beyond = session_of(settings.exchange, date(2013, 7, 5))
    found = Market(settings, reading).sessions(beyond.open_at - timedelta(hours=1), beyond.close_at)
    assert beyond in found


def test_an_empty_warehouse_has_no_sessions_and_no_instruments(settings, reading):
    """The exchange could not start before the first load."""
    empty = Market(settings, reading)
    empty.load()
    assert empty.session_at(session_of("XNYS", date(2013, 2, 20)).open_at) == (None, None)
    assert empty.instrument("MSFT") is None


def test_instruments_that_come_later_are_found(settings, owner, reading):
    """A symbol added by tonight's job could not be traded until a restart."""
    empty = Market(settings, reading)
    empty.load()
    with owner.transaction() as connection:
        connection.execute(
            "insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
            " values ('NEW', 'New', 'equity', 'XNYS', 'USD')"
        )
    found = empty.instrument("NEW")
    assert found is not None and found.is_tradable


def test_bars_are_exact_decimals(settings, market, reading):
    """A float's tail would appear in fills, and cash would not tie."""
    bar = Market(settings, reading).bars(date(2013, 2, 20))["GOOG"]
    assert (str(bar.open), str(bar.low), str(bar.close), bar.volume) == ("805.3", "791.794", "792.46", 5_522_800)


def test_the_packaged_bars_are_those_in_the_warehouse(settings, market, reading):
    """A session would trade at other prices before and after it is loaded."""
    day = date(2013, 2, 20)
    assert sample_bars()[day] == Market(settings, reading).bars(day)


def test_another_providers_market_has_no_packaged_bars(settings, market, reading):
    """Live symbols would trade at the sample's prices."""
    live = Market(settings.model_copy(update={"provider": "yahoo"}), reading)
    assert live.bars(date(2013, 3, 1)) == {}


def test_the_latest_vintage_of_a_split_is_used(settings, market, owner, reading):
    """A corrected split ratio would be ignored; a third would be rounded to something that is none."""
    with owner.transaction() as connection:
        for day, factor in (("2013-03-01", 0.5), ("2013-03-02", 1 / 3)):
            connection.execute(
                "insert into raw.corporate_actions"
                " select instrument_id, '2013-02-21', %s, now(), 'split', %s, 'test', %s"
                " from reference.instruments where symbol = 'MSFT'",
                (day, factor, "0" * 64),
            )
    assert Market(settings, reading).splits(date(2013, 2, 21)) == {"MSFT": Fraction(1, 3)}
    assert Market(settings, reading).splits(date(2013, 2, 22)) == {}


def test_a_symbol_that_has_not_traded_lately_has_no_price(settings, market, reading):
    """A price of months ago would pass for the last one."""
    live = Market(settings.model_copy(update={"provider": "yahoo"}), reading)
    day = session_of(settings.exchange, date(2013, 2, 28))
    trade = live.last_trade("MSFT", day.close_at)
    assert trade is not None and trade.price == Decimal("27.81")
    assert live.last_trade("MSFT", session_of(settings.exchange, date(2013, 3, 27)).close_at) is None
    assert live.last_trade("NOPE", day.close_at) is None
