"""Whole loads from the providers into the real database: what each hands over fits what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.alpaca_server import AlpacaServer, alpaca_server, day_bar
from tests.bifrost_assets.market_data.yahoo_server import Listed, YahooServer, yahoo_server

FIRST, LAST = date(2013, 2, 14), date(2013, 2, 19)
DAYS = [date(2013, 2, 14), date(2013, 2, 15), date(2013, 2, 19)]
CLOSES = """
    select i.symbol, b.session, b.close, b.provider
    from raw.daily_bars b join reference.instruments i using (instrument_id) order by i.symbol, b.session
"""
ACTIONS = "select ex_session, kind, value from raw.corporate_actions order by ex_session, kind"


def loaded(settings: Settings, **changes: object) -> Warehouse:
    """A warehouse after a load of the window, twice: the second time must add nothing."""
    warehouse = Warehouse(settings.model_copy(update=changes), Role.PIPELINE)
    provider = provider_of(warehouse.settings)
    store_sessions(warehouse)
    register_instruments(warehouse, provider)
    load_bars(warehouse, provider, FIRST, LAST, "run")
    assert load_bars(warehouse, provider, FIRST, LAST, "run").appended.inserted == 0
    return warehouse


def test_a_dump_of_all_symbols_is_stored_with_one_payload(settings: Settings, tmp_path: Path) -> None:
    """The file would be in the warehouse once for every symbol."""
    real = SampleProvider(settings).fetch(["AAPL", "IBM"], FIRST, LAST).loaded
    pl.concat([one.bars.with_columns(symbol=pl.lit(one.symbol)) for one in real]).write_csv(tmp_path / "all.csv")
    source = {"source_folder": tmp_path, "source_bars": "all.csv"}
    warehouse = loaded(settings, provider="csv", universe=("AAPL",), benchmark="IBM", **source)
    stored = warehouse.read(CLOSES)
    assert stored["close"].to_list() == [close for one in real for close in one.bars["close"]]
    assert warehouse.read("select distinct subject, content_type from raw.payloads").rows() == [("all.csv", "text/csv")]
    assert warehouse.read("select count(*) from raw.payloads").item() == 1


@pytest.fixture
def alpaca() -> Iterator[AlpacaServer]:
    with alpaca_server() as vendor:
        for symbol in ("AAPL", "SPY"):
            vendor.bars["1Day"][symbol] = [day_bar(day, volume=1000 + day.day) for day in DAYS]
            vendor.list_asset(symbol)
        yield vendor


def test_alpacas_bars_and_actions_are_stored(settings: Settings, alpaca: AlpacaServer) -> None:
    """The named split would be lost, or read as a fall of the price."""
    day = DAYS[1].isoformat()
    action = {"symbol": "AAPL", "ex_date": day, "process_date": day, "new_rate": 2, "old_rate": 1}
    alpaca.actions = {"forward_splits": [action]}
    urls = {"alpaca_data_url": alpaca.url, "alpaca_assets_url": alpaca.url}
    keys = Settings(alpaca_key_id="key", alpaca_secret_key="secret")
    named = {"alpaca_key_id": keys.alpaca_key_id, "alpaca_secret_key": keys.alpaca_secret_key}
    warehouse = loaded(settings, provider="alpaca", universe=("AAPL",), benchmark="SPY", **urls, **named)
    stored = warehouse.read(CLOSES)
    assert stored.rows() == [(symbol, day, 10.5, "alpaca") for symbol in ("AAPL", "SPY") for day in DAYS]
    assert warehouse.read(ACTIONS).rows() == [(DAYS[1], "split", 2.0)]


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    rows = [(day, 1000.0, 1100.0, 900.0, 1050.0, 1000 + day.day, 1050.0) for day in DAYS]
    with yahoo_server() as vendor:
        pence = {"currency": "GBp", "zone": "Europe/London"}
        vendor.listed["SHEL-L"] = Listed(rows, dividends=[(DAYS[1], 25.0)], **pence)
        vendor.listed["^GSPC"] = Listed(rows, kind="INDEX")
        yield vendor


def test_a_london_share_is_stored_in_pounds(settings: Settings, yahoo: YahooServer) -> None:
    """Price, dividend and currency would not belong together."""
    warehouse = loaded(settings, provider="yahoo", yahoo_url=yahoo.url, universe=("SHEL.L",))
    stored = warehouse.read(CLOSES).filter(symbol="SHEL.L")
    assert stored["close"].to_list() == [10.5] * 3
    currency = "select currency from reference.instruments where symbol = 'SHEL.L'"
    assert warehouse.read(currency).item() == "GBP"
    assert warehouse.read(ACTIONS).rows() == [(DAYS[1], "cash_dividend", 0.25)]
