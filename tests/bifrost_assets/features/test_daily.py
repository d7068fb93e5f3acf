"""Features against their definitions, written out row by row."""

from __future__ import annotations

import statistics
from datetime import date

import polars as pl
import pytest

from bifrost_assets.causality import look_ahead, sampled
from bifrost_assets.features.daily import FEATURES, LOOKBACK_SESSIONS, NEEDED_ROWS, daily_features
from bifrost_assets.features.history import features_of
from tests.bifrost_assets.research import sample_bars

BARS = sample_bars()
STOCKS, INDEX = BARS.filter(pl.col("symbol") != "SPX"), BARS.filter(pl.col("symbol") == "SPX")
AAPL = STOCKS.filter(pl.col("symbol") == "AAPL")
ROW = 1_300  # some day in 2005, with the split of 2005-02-28 inside its year


def features(stocks: pl.DataFrame = STOCKS) -> pl.DataFrame:
    return daily_features(stocks, INDEX)


def path(bars: pl.DataFrame = AAPL) -> list[float]:
    levels = [1.0]
    for r in bars["total_return"].to_list()[1:]:
        levels.append(levels[-1] * (1 + r))
    return levels


def expected_rsi(levels: list[float], memory: int) -> float:
    changes = [b - a for a, b in zip(levels[-memory - 1 :], levels[-memory:], strict=False)]
    gain = loss = 0.0
    for change in changes:
        gain = gain * 13 / 14 + max(change, 0.0) / 14
        loss = loss * 13 / 14 + max(-change, 0.0) / 14
    return 100 * gain / (gain + loss)


def expected() -> dict[str, float]:
    levels = path()[: ROW + 1]
    returns = AAPL["total_return"].to_list()[: ROW + 1]
    days = AAPL["session"].to_list()[: ROW + 1]
    market = dict(INDEX.select("session", "total_return").iter_rows())
    month, volumes, closes = levels[-21:], AAPL["volume"].to_list()[: ROW + 1], AAPL["close"].to_list()[: ROW + 1]
    shares = [v * c / level for v, c, level in zip(volumes, closes, levels, strict=True)]
    theirs = [market[day] for day in days[-252:]]
    return {
        **{f"return_{n}d": levels[-1] / levels[-1 - n] - 1 for n in (1, 5, 21, 63, 252)},
        "volatility_21d": statistics.stdev(returns[-21:]) * 252**0.5,
        "momentum_12_1": levels[-22] / levels[-253] - 1,
        "rsi_14d": expected_rsi(levels, 252),
        "zscore_21d": (levels[-1] - statistics.mean(month)) / statistics.stdev(month),
        "volume_ratio_21d": shares[-1] / statistics.mean(shares[-21:]),
        "beta_252d": statistics.covariance(returns[-252:], theirs) / statistics.variance(theirs),
    }


def test_every_feature_follows_its_definition() -> None:
    """A window off by one, or a wrong denominator, changes every signal and no other test notices."""
    row = features().filter(pl.col("instrument_id") == 1).row(ROW, named=True)
    wanted = expected()
    assert set(wanted) == set(FEATURES)
    for name, value in wanted.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name


def test_rsi_is_wilders_to_eight_digits() -> None:
    """Cutting the smoothing's memory off must not make another indicator of it."""
    row = features().filter(pl.col("instrument_id") == 1).row(ROW, named=True)
    assert row["rsi_14d"] == pytest.approx(expected_rsi(path()[: ROW + 1], ROW), rel=1e-7)


@pytest.mark.parametrize(
    ("name", "first"),
    [("return_1d", 1), ("return_252d", 252), ("volatility_21d", 21), ("momentum_12_1", 252), ("rsi_14d", 252),
     ("zscore_21d", 20), ("volume_ratio_21d", 20), ("beta_252d", 252)],
)  # fmt: skip
def test_short_history_is_null_not_a_partial_window(name: str, first: int) -> None:
    """A volatility of three days looks like one of twenty-one, and sizes a position."""
    column = features(AAPL)[name]
    assert column[:first].null_count() == first
    assert column[first] is not None


def test_history_before_the_lookback_changes_nothing() -> None:
    """The nightly run reads a year, the first run reads all: the same session must get the same features."""
    start = AAPL["session"][-LOOKBACK_SESSIONS - 20]
    short = daily_features(STOCKS.filter(pl.col("session") >= start), INDEX.filter(pl.col("session") >= start))
    kept = short.filter(pl.col("session") >= AAPL["session"][-20])
    whole = features().join(kept.select("instrument_id", "session"), on=["instrument_id", "session"])
    assert kept.height > 90
    for name in FEATURES:
        assert kept[name].is_null().to_list() == whole[name].is_null().to_list(), name
        assert (kept[name] - whole[name]).abs().max() < 1e-9, name


def test_a_split_moves_no_feature() -> None:
    """Unadjusted prices halve at a split; a feature that sees it sells the best stock."""
    factor = pl.when(pl.col("session") >= date(2006, 6, 1)).then(2.0).otherwise(1.0)
    split = AAPL.with_columns(close=pl.col("close") / factor, volume=pl.col("volume") * factor)
    plain = features(AAPL)
    for name in FEATURES:
        assert (features(split)[name] - plain[name]).abs().max() < 1e-9, name


def test_a_price_that_does_not_move_has_no_zscore() -> None:
    """Zero over zero must become null, not a NaN or infinity that a model then learns from."""
    halted = AAPL.with_columns(total_return=pl.when(pl.int_range(pl.len()) > 400).then(0.0).otherwise("total_return"))
    tail = features(halted).tail(100)
    assert tail["zscore_21d"].null_count() == 100
    assert all(tail[name].is_finite().all() for name in FEATURES if tail[name].null_count() == 0)


def test_the_index_has_no_rows_and_its_absence_only_costs_beta() -> None:
    """The benchmark is measured against, not traded."""
    got = features_of(BARS, "SPX")
    assert got.height == STOCKS.height
    assert features_of(STOCKS, "SPX")["beta_252d"].null_count() == STOCKS.height


def test_a_row_says_when_the_last_bar_behind_it_was_known() -> None:
    """A restated bar was not known when the features of the sessions after it were first made."""
    late = AAPL["available_at"][ROW + 2_000 - 1_000]
    restated = AAPL.with_columns(
        available_at=pl.when(pl.int_range(pl.len()) == ROW).then(pl.lit(late)).otherwise("available_at")
    )
    known = features(restated)["available_at"]
    assert known[ROW - 1] == AAPL["available_at"][ROW - 1]
    assert known[ROW] == known[ROW + NEEDED_ROWS - 1] == late
    assert known[ROW + NEEDED_ROWS] == AAPL["available_at"][ROW + NEEDED_ROWS]


def test_features_see_only_the_past() -> None:
    """Look-ahead in a feature makes every backtest a lie."""
    recent = BARS.filter(pl.col("session") > date(2011, 1, 1))
    assert look_ahead(lambda bars: features_of(bars, "SPX"), recent, sampled(recent["session"].to_list(), 8)).is_empty()


def test_instruments_do_not_reach_into_each_other() -> None:
    """Windows run over the column of all instruments: one's last prices must not be another's past, nor its garbage."""
    alone = features(AAPL)
    wild = AAPL.with_columns(
        instrument_id=pl.lit(0, pl.Int32),
        total_return=pl.when(pl.int_range(pl.len()) % 500 == 499)
        .then(float("nan"))
        .otherwise(pl.col("total_return") * 3),
    )
    beside = features(
        pl.concat([STOCKS.filter(pl.col("symbol") == "MSFT"), AAPL, wild]).sample(fraction=1, shuffle=True, seed=1)
    )
    ours = beside.filter(pl.col("instrument_id") == 1)
    assert ours["session"].to_list() == alone["session"].to_list()
    for name in FEATURES:
        assert ours[name].is_null().to_list() == alone[name].is_null().to_list(), name
        assert (ours[name] - alone[name]).abs().max() < 1e-9, name
