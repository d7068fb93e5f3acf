"""What backtests trade on: the universe of each session, the losers that were delisted among it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from bifrost_assets.backtests import ledger
from bifrost_assets.backtests.trials import Done, Setting, execute, trials
from bifrost_assets.market_data.reference.listings import delist
from bifrost_assets.market_data.reference.restricted import restrict
from bifrost_assets.market_data.reference.universe import update_universe
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import IDS, load, rows, sample_bars

FIRST, LAST = date(2013, 1, 2), date(2013, 2, 15)
GONE, DAY_BEFORE = date(2013, 2, 1), date(2013, 1, 31)
SETTING = Setting(Decimal(1_000_000), PortfolioLimits(0.5, 1.0, 1.0), "SPX", "code")


@pytest.fixture
def held(warehouse: Warehouse) -> Warehouse:
    """Six weeks of bars, and a signal every session to hold half AAPL, half IBM."""
    load(warehouse, sample_bars().filter(pl.col("session").is_between(FIRST, LAST)))
    with warehouse.transaction() as connection:
        connection.execute(
            "insert into signals.signals (session, strategy, instrument_id, weight, data_version, code_version,"
            " dagster_run_id) select session, 'half', instrument_id, 0.5, 'd', 'c', 'r' from marts.fct_daily_bars"
            " where symbol in ('AAPL', 'IBM')"
        )
    return warehouse


def backtest(warehouse: Warehouse) -> Done:
    return execute(next(trials(*ledger.read(warehouse, FIRST, LAST), ("half",), SETTING)))


def traded(done: Done) -> set[str]:
    return set(done.trades["symbol"])


def sessions(frame: pl.DataFrame, symbol: str) -> Iterable[date]:
    return frame.filter(pl.col("instrument_id") == IDS[symbol])["session"]


def test_a_delisted_loser_is_in_the_backtest_while_it_was_listed(held: Warehouse) -> None:
    """Survivorship bias: a backtest over those who are left never held what went to nothing."""
    with held.transaction() as connection:
        delist(connection, held.settings, "IBM", GONE, 0.0, "me")
        update_universe(connection, ["AAPL", "FB", "GOOG", "MSFT"])  # today's settings name the survivors only
    as_of = backtest(held)
    with held.transaction() as connection:
        connection.execute("delete from reference.universe_members where instrument_id = %s", (IDS["IBM"],))
    survivors = backtest(held)
    assert (traded(as_of), traded(survivors)) == ({"AAPL", "IBM"}, {"AAPL"})
    lost = survivors.metrics["total_return"] - as_of.metrics["total_return"]
    assert 0.45 < lost < 0.6, "half of the money was in it"


def test_a_delisting_pays_what_the_share_was_worth(held: Warehouse) -> None:
    """A takeover at a premium is a gain, and the cash is free for other names the day after."""
    close = rows(held, "select close from marts.fct_daily_bars where symbol = 'IBM' and session = %s", DAY_BEFORE)[0][0]
    with held.transaction() as connection:
        delist(connection, held.settings, "IBM", GONE, 2 * close, "me")
    done = backtest(held)
    sale = done.trades.filter((pl.col("symbol") == "IBM") & (pl.col("quantity") < 0)).row(-1, named=True)
    assert sale["session"] == GONE
    assert float(sale["price"]) == pytest.approx(2 * close, rel=0.01)  # less slippage
    assert done.trades.filter(pl.col("symbol") == "IBM")["quantity"].sum() == 0


def test_nothing_is_traded_in_what_is_gone(held: Warehouse) -> None:
    """A vendor may go on sending bars under the symbol; they belong to nobody we know."""
    with held.transaction() as connection:
        delist(connection, held.settings, "IBM", GONE, None, "me")
    signals, bars = ledger.read(held, FIRST, LAST)
    assert max(sessions(signals, "IBM")) < DAY_BEFORE
    assert max(sessions(bars, "IBM")) == GONE
    last, end = bars.filter(pl.col("instrument_id") == IDS["IBM"])["close"][-2:]
    assert last == end, "nobody said what it was worth"


def test_members_of_the_session_only(held: Warehouse) -> None:
    """Who joined an index after a run of gains would be in the backtest during the run."""
    with held.transaction() as connection:
        connection.execute(
            "update reference.universe_members set valid_from = %s where instrument_id = %s", (GONE, IDS["IBM"])
        )
    signals, bars = ledger.read(held, FIRST, LAST)
    assert min(sessions(signals, "IBM")) == GONE
    assert min(sessions(bars, "IBM")) == FIRST, "a leaver must be sold after it left"


def test_nothing_restricted_is_wanted(held: Warehouse) -> None:
    """The list holds for what was traded then: orders of the first restricted session come from the one before."""
    with held.transaction() as connection:
        restrict(connection, "IBM", GONE, date(2013, 2, 6), "we advise them", "me")
    wanted = set(sessions(ledger.read(held, FIRST, LAST)[0], "IBM"))
    assert {date(2013, 1, 30), date(2013, 2, 5)} <= wanted
    assert not wanted & {DAY_BEFORE, GONE, date(2013, 2, 4)}


def test_two_companies_of_one_symbol_are_two_names(held: Warehouse) -> None:
    """Their prices would be one series, with a jump that nobody could have traded."""
    with held.transaction() as connection:
        delist(connection, held.settings, "IBM", GONE, None, "me")
        connection.execute(
            "insert into reference.instruments (instrument_id, symbol, name, asset_class, exchange_mic, currency)"
            " values (77, 'IBM', 'New IBM', 'equity', 'XNYS', 'USD')"
        )
        connection.execute("insert into reference.universe_members values ('default', 77, %s)", (GONE,))
        connection.execute(
            "insert into marts.fct_daily_bars"
            " (instrument_id, symbol, asset_class, session, open, high, low, close, volume)"
            " values (77, 'IBM', 'equity', '2013-02-04', 1, 1, 1, 1, 1)"
        )
    names = dict(ledger.read(held, FIRST, LAST)[1].select("instrument_id", "symbol").unique().iter_rows())
    assert (names[IDS["IBM"]], names[77]) == (f"IBM#{IDS['IBM']}", "IBM")
