"""What makes a stored bar doubtful: one score for each kind of error, and the score from which on it is doubted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from bifrost_assets.market_data.quality.measures import INSTRUMENT, KEY, PRICES, VALUES, measured
from bifrost_core.thresholds import Thresholds

COARSE_FROM = 5.0  # below this price a bar of whole numbers is no surprise
UNDONE = 0.02  # one wrong close makes two factors that are each other's inverse but for rounding
TAKEN_BACK = 0.25  # the next bar is back where the one before was, to within this share of the jump
RETURN = 0.5  # a move that undoes the one before to within this share of it is the way back


@dataclass(frozen=True, slots=True)
class Detector:
    """`score` is a column of measured bars; above `limit` the bar is doubted, for the reason in `words`."""

    name: str
    words: str
    score: pl.Expr
    limit: Callable[[Thresholds], float]


def _before(name: str, sessions: int = 1) -> pl.Expr:
    return pl.col(name).shift(sessions).over(INSTRUMENT)


def _one_if(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(False).cast(pl.Float64)


def _jump() -> pl.Expr:
    """The weighed step; none on the way back from a larger one, which is where the error is."""
    back = ((pl.col("move") + _before("move")).abs() < RETURN * _before("move").abs()) & (
        _before("step") > pl.col("step") * RETURN
    )
    return pl.when(back.fill_null(False)).then(0.0).otherwise(pl.col("step"))


def _spike() -> pl.Expr:
    """The lesser of the step and the next one, where that takes it back; the newest bar has no next one yet."""
    move, after = pl.col("move"), pl.col("move").shift(-1).over(INSTRUMENT)
    undone = (move + after).abs() < TAKEN_BACK * move.abs()
    both = pl.min_horizontal("step", pl.col("step").shift(-1).over(INSTRUMENT))
    return pl.when(undone.fill_null(False)).then(both).otherwise(0.0)


def _dividend() -> pl.Expr:
    """Share of the price paid out; 1 where it is negative or the next session undoes it, as only a wrong close does."""
    factor, after = pl.col("dividend_factor"), pl.col("dividend_factor").shift(-1).over(INSTRUMENT)
    way_back = (factor > 1) & ((factor * _before("dividend_factor") - 1).abs() < UNDONE * (factor - 1))
    undone = (factor < 1) & ((factor * after - 1).abs() < UNDONE * (1 - factor))
    wrong = ((factor > 1) & ~way_back.fill_null(False)) | undone
    return pl.when(wrong.fill_null(False)).then(1.0).otherwise(1 - factor)


def _unchanged() -> pl.Expr:
    """How many sessions in a row, this one included, closed where the one before did."""
    same = (pl.col("close") == _before("close")).fill_null(False)
    since = pl.when(~same).then(pl.int_range(pl.len())).forward_fill().over(INSTRUMENT)
    return (pl.int_range(pl.len()).over(INSTRUMENT) - since).fill_null(0).cast(pl.Float64)


def _every(names: list[str], holds: Callable[[str], pl.Expr]) -> pl.Expr:
    return pl.all_horizontal(holds(name) for name in names)


TRADES = pl.col("usual_spread") > 0
DETECTORS = (
    Detector("jump", "the close jumps without an action or the volume of news", _jump(), lambda t: t.jump_sigmas),
    Detector("spike", "the close jumps, and the next bar takes it back", _spike(), lambda t: t.spike_sigmas),
    Detector("wick", "high or low is far beyond open and close", pl.col("wick_sigmas"), lambda t: t.wick_sigmas),
    Detector(
        "volume_spike", "the volume is many times the usual", pl.col("volume_log"), lambda t: math.log(t.volume_times)
    ),
    Detector(
        "volume_drought",
        "the volume is a small share of the usual",
        -pl.col("volume_log"),
        lambda t: -math.log(t.volume_share),
    ),
    Detector(
        "dividend",
        "close and adjusted close tell of a dividend that cannot be",
        _dividend(),
        lambda t: t.largest_dividend,
    ),
    Detector(
        "flat",
        "open, high, low and close are one price",
        _one_if(TRADES & (pl.col("high") == pl.col("low"))),
        lambda _: 0,
    ),
    Detector("unchanged", "the close has not changed for sessions", _unchanged(), lambda t: t.unchanged_closes - 1),
    Detector(
        "repeated",
        "the prices are those of the session before",
        _one_if(TRADES & _every(PRICES, lambda name: pl.col(name) == _before(name))),
        lambda _: 0,
    ),
    Detector(
        "coarse",
        "every price is a whole number",
        _one_if((pl.col("close") >= COARSE_FROM) & _every(PRICES, lambda name: pl.col(name) == pl.col(name).round(0))),
        lambda _: 0,
    ),
)
OUT_OF_STEP = Detector(
    "out_of_step",
    "the series fits the index better a session earlier or later",
    pl.col("out_of_step"),
    lambda t: t.shift_correlation,
)
ALL = (*DETECTORS, OUT_OF_STEP)


def scored(bars: pl.DataFrame, actions: pl.DataFrame, limits: Thresholds, benchmark: int | None = None) -> pl.DataFrame:
    """`bars` (instrument_id, session, OHLCV) with one column per detector of ALL, null where it cannot say.

    `actions` as in measures.measured; `benchmark` is the instrument_id of the index among the bars, if it is there.
    """
    known = measured(bars, actions, limits)
    return known.select(
        *KEY,
        *VALUES,
        *(one.score.alias(one.name) for one in DETECTORS),
        _steps(known, limits, benchmark).alias("out_of_step"),
    )


def doubted(scores: pl.DataFrame, limits: Thresholds) -> pl.DataFrame:
    """The doubtful rows of `scores`, with `reason`: the words of every detector whose limit is passed.

    A series that is out of step is named at the first bar where it is seen.
    """
    begins = {OUT_OF_STEP.name: ~(_before(OUT_OF_STEP.name) > OUT_OF_STEP.limit(limits)).fill_null(False)}
    passed = [
        pl.when((pl.col(one.name) > one.limit(limits)) & begins.get(one.name, True)).then(pl.lit(one.words))
        for one in ALL
    ]
    reason = pl.concat_str(passed, separator="; ", ignore_nulls=True)
    return scores.with_columns(reason=reason).filter(pl.col("reason") != "")


def _steps(known: pl.DataFrame, limits: Thresholds, benchmark: int | None) -> pl.Series:
    """How well a series' moves fit the index's a session early or late, or how much better than on the day: the lesser.

    Correlations over shift_sessions. Both count, as a share that never follows the index fits no day better.
    """
    index = known.filter(pl.col(INSTRUMENT) == benchmark).select(
        "session", today="move", late=pl.col("move").shift(1), early=pl.col("move").shift(-1)
    )
    both = known.join(index, on="session", how="left", maintain_order="left")

    def fit(name: str) -> pl.Expr:
        moves = pl.rolling_corr("move", name, window_size=limits.shift_sessions, min_samples=limits.shift_sessions // 2)
        return moves.over(INSTRUMENT)

    beside = pl.max_horizontal(fit("late"), fit("early"))
    gain = pl.min_horizontal(beside, beside - fit("today"))
    return both.select(
        pl.when((pl.col(INSTRUMENT) != benchmark) & gain.is_not_nan()).then(gain).otherwise(None).alias("gain")
    )["gain"]
