"""Which names a batch must have targets for."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from bifrost_assets.market_data.reference.listings import delist, rename
from bifrost_assets.market_data.reference.restricted import restrict
from bifrost_assets.portfolio.batch import Inputs, build, write
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_assets.portfolio.stored import faults
from bifrost_assets.portfolio.universe import tradable
from bifrost_assets.stamp import Stamp
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import IDS, load, sample_bars

DAY, NEXT = date(2013, 2, 14), date(2013, 2, 15)
STAMP = Stamp("run", "code")


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    load(warehouse, sample_bars().filter(pl.col("session").is_in([DAY, NEXT])))
    return warehouse


def names(warehouse: Warehouse, session: date = DAY) -> list[str]:
    return tradable(warehouse, session)["symbol"].to_list()


def inputs(warehouse: Warehouse, session: date, symbol: str) -> Inputs:
    """The inputs of a batch that wants 20 % of `symbol`."""
    signals = pl.DataFrame(
        {
            "session": [session],
            "strategy": ["a"],
            "instrument_id": [IDS[symbol]],
            "weight": [0.2],
            "data_version": ["v"],
        },
        schema_overrides={"instrument_id": pl.Int32},
    )
    return Inputs(session, signals, tradable(warehouse, session).select("instrument_id", "symbol", "close"))


def test_members_of_the_session_that_trade_in_the_next(loaded: Warehouse) -> None:
    """A target under yesterday's symbol, or for what is gone tomorrow, is an order nobody takes."""
    assert names(loaded) == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    with loaded.transaction() as connection:
        rename(connection, loaded.settings, "FB", "META", NEXT, "me")
        delist(connection, loaded.settings, "IBM", NEXT, None, "me")
        connection.execute("update reference.universe_members set valid_from = %s where instrument_id = 3", (NEXT,))
    assert names(loaded) == ["AAPL", "META", "MSFT"]


def test_what_left_the_universe_is_sold(loaded: Warehouse) -> None:
    """A symbol without a target is not touched: the position would stay for ever."""
    with loaded.transaction() as connection:
        write(connection, build(loaded.settings, ("a",), inputs(loaded, DAY, "IBM"), STAMP))
        connection.execute(
            "update reference.universe_members set valid_to = %s where instrument_id = any(%s)",
            (NEXT, [IDS["IBM"], IDS["MSFT"]]),
        )
    assert names(loaded, NEXT) == ["AAPL", "FB", "GOOG", "IBM"], "IBM was held, MSFT was not"


def test_a_restricted_name_is_marked_and_a_batch_that_wants_it_is_at_fault(loaded: Warehouse) -> None:
    """The desk would hear of it from the daemon's denial, or from the regulator."""
    with loaded.transaction() as connection:
        restrict(connection, "IBM", NEXT, None, "we advise them", "me")
    rows = tradable(loaded, DAY)
    restricted = rows.filter("is_restricted")["symbol"].to_list()
    assert restricted == ["IBM"]
    batch = build(loaded.settings, ("a",), inputs(loaded, DAY, "IBM"), STAMP)
    found = faults(batch, PortfolioLimits.of(loaded.settings), rows["symbol"].to_list(), restricted)
    assert found == ["wants restricted names: IBM"]
