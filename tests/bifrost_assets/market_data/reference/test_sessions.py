"""Calendars: of every exchange that something is listed on, and facts of exchanges that agree with their calendars."""

from __future__ import annotations

import exchange_calendars

from bifrost_assets.market_data.reference import store_sessions
from bifrost_core.warehouse.warehouse import Warehouse

LARGE = ("XNYS", "XNAS", "ARCX", "BATS", "XLON", "XETR", "XPAR", "XTKS", "XHKG")
COUNT = "select exchange_mic, count(*) from reference.sessions group by 1 order by 1"


def test_every_exchange_with_a_listing_has_its_sessions(warehouse: Warehouse) -> None:
    """A London share has no bar on a bank holiday, and would be missed that day."""
    with warehouse.transaction() as connection:
        connection.execute(
            "insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
            " values ('VOD.L', 'Vodafone', 'equity', 'XLON', 'GBP')"
        )
    assert store_sessions(warehouse) > 10_000
    assert [row[0] for row in warehouse.read(COUNT).rows()] == ["XLON", "XNYS"]
    closed = "select count(*) from reference.sessions where session = '2013-05-06' and exchange_mic = $1"
    assert warehouse.read(closed, "XLON").item() == 0  # Early May Bank Holiday
    assert warehouse.read(closed, "XNYS").item() == 1
    assert store_sessions(warehouse) == 0


def test_the_large_exchanges_agree_with_their_calendars(warehouse: Warehouse) -> None:
    """A wrong time zone moves every bar to another session."""
    zones = dict(warehouse.read("select mic, timezone from reference.exchanges").iter_rows())
    for mic in LARGE:
        assert str(exchange_calendars.get_calendar(mic, start="2024-01-02", end="2024-01-31").tz) == zones[mic]
