"""The engine's fills, costs and corporate actions, against arithmetic by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from bifrost_assets.backtests.engine import Result, run
from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel
from tests.bifrost_assets.research import sample_bars

FREE = CostModel(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
CASH = Decimal(1_000_000)
BARS = sample_bars().filter(pl.col("symbol").is_in(["AAPL", "IBM"]) & (pl.col("session") > date(2005, 1, 1)))
DAYS = BARS["session"].unique().sort().to_list()


def traded(weights: dict[date, dict[str, float]], costs: CostModel = FREE, bars: pl.DataFrame = BARS) -> Result:
    return run(bars, weights, CASH, costs)


def bar(symbol: str, day: date, column: str) -> float:
    return float(BARS.filter((pl.col("symbol") == symbol) & (pl.col("session") == day))[column].item())


def short(days: int) -> pl.DataFrame:
    return BARS.filter(pl.col("session") <= DAYS[days - 1])


def test_orders_fill_at_the_next_open_with_slippage_and_commission() -> None:
    """A fill at the close that the signal was computed from is the commonest lie of backtests."""
    result = traded({DAYS[0]: {"AAPL": 0.3}}, DEFAULT_COSTS, short(10))
    (trade,) = result.trades.to_dicts()
    quantity = int(300_000 / bar("AAPL", DAYS[0], "close"))
    price = Decimal(repr(bar("AAPL", DAYS[1], "open"))) * Decimal("1.0002")
    assert (trade["session"], trade["quantity"]) == (DAYS[1], quantity)
    assert trade["price"] == pytest.approx(price, abs=Decimal("0.000002"))
    assert trade["commission"] == DEFAULT_COSTS.commission(Decimal(quantity), price)
    spent = trade["quantity"] * trade["price"] + trade["commission"]
    assert result.equity["cash"][1] == pytest.approx(float(CASH - spent), abs=0.01)


def test_a_split_changes_shares_not_wealth() -> None:
    """AAPL split two for one on 2005-02-28: unhandled, the backtest loses half its money that day."""
    before, ex = date(2005, 2, 25), date(2005, 2, 28)
    result = traded({DAYS[0]: {"AAPL": 0.5}, ex: {"AAPL": 0.0}}, bars=BARS.filter(pl.col("session") < date(2005, 4, 1)))
    bought, sold = result.trades.to_dicts()
    assert sold["quantity"] == pytest.approx(-2 * bought["quantity"], rel=Decimal("0.001"))
    assert sold["price"] == pytest.approx(
        Decimal(repr(bar("AAPL", DAYS[DAYS.index(ex) + 1], "open"))), abs=Decimal("0.00001")
    )
    values = dict(result.equity.select("session", "equity").iter_rows())
    gain = values[ex] - values[before]
    held = float(bought["quantity"]) * bar("AAPL", before, "close")
    assert gain == pytest.approx(held * bar("AAPL", ex, "total_return"), rel=1e-3)


def test_an_order_that_waits_over_a_split_buys_the_same_value() -> None:
    """Planned before the ex-session, filled after it: half the intended position, or double."""
    before, ex = date(2005, 2, 25), date(2005, 2, 28)
    (trade,) = traded(
        {before: {"AAPL": 0.5}}, bars=BARS.filter(pl.col("session") < date(2005, 3, 10))
    ).trades.to_dicts()
    assert trade["session"] == ex
    assert float(trade["quantity"] * trade["price"]) == pytest.approx(500_000, rel=0.03)


def test_dividends_are_earned() -> None:
    """IBM paid a dividend every quarter: price returns alone understate seven years of it by a fifth."""
    start, end = DAYS[1], DAYS[-1]
    result = traded({DAYS[0]: {"IBM": 1.0}})
    ibm = BARS.filter((pl.col("symbol") == "IBM") & (pl.col("session") >= start))
    first = bar("IBM", start, "close") / bar("IBM", start, "open")
    grown = first * float((1 + ibm["total_return"][1:]).product())
    assert result.trades.height == 1
    assert result.equity["equity"][-1] / float(CASH) == pytest.approx(grown, rel=2e-3)
    assert grown > bar("IBM", end, "close") / bar("IBM", start, "open") * 1.1


def test_cash_and_positions_explain_the_equity() -> None:
    """Money that appears from nowhere shows as alpha."""
    weights = {day: {"AAPL": 0.5 if i % 2 else 0.2, "IBM": 0.4 if i % 3 else -0.1} for i, day in enumerate(DAYS[:30])}
    result = traded(weights, DEFAULT_COSTS, short(31))
    for day, equity, cash in result.equity.select("session", "equity", "cash").iter_rows():
        done = result.trades.filter(pl.col("session") <= day)
        paid = sum((t["quantity"] * t["price"] + t["commission"] for t in done.to_dicts()), Decimal(0))
        worth = sum(float(t["quantity"]) * bar(t["symbol"], day, "close") for t in done.to_dicts())
        assert cash == pytest.approx(float(CASH - paid), abs=1.0)
        if day < date(2005, 2, 1):  # before the first dividend
            assert equity == pytest.approx(cash + worth, abs=1.0)


def test_weights_after_a_session_do_not_change_what_came_before() -> None:
    """An engine that peeks makes the causality checks on signals worthless."""
    base = {day: {"AAPL": 0.3} for day in DAYS[:20]}
    changed = {**base, DAYS[15]: {"AAPL": -0.5, "IBM": 1.0}}
    a, b = (traded(w, DEFAULT_COSTS, short(25)).equity.head(16) for w in (base, changed))
    assert a.equals(b)


def test_a_symbol_that_lists_later_is_traded_from_then_on() -> None:
    """FB has no bars before 2012: the others must not wait for it, and it must not be traded before."""
    bars = sample_bars().filter(pl.col("symbol").is_in(["FB", "IBM"]) & (pl.col("session") >= date(2012, 5, 1)))
    days = bars["session"].unique().sort().to_list()
    result = run(bars, {day: {"FB": 0.3, "IBM": 0.3} for day in days}, CASH, FREE)
    firsts = dict(result.trades.group_by("symbol").agg(pl.col("session").min()).iter_rows())
    assert firsts["IBM"] == days[1]
    assert firsts["FB"] == date(2012, 5, 21)
    assert result.equity["session"].to_list() == days
