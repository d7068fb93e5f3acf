"""What is usual for an instrument, and how far each bar is from it. Frames in, frames out.

Everything is robust: medians over the sessions before a bar, so that the errors looked for do not hide themselves by
widening what they are measured with. The scale of daily moves is 1.4826 times the median absolute deviation, which
equals the standard deviation where moves are normal (Hampel, "The Influence Curve and its Role in Robust Estimation",
JASA 69, 1974; Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", JASA 88, 1993). Deviations are
taken from zero, as the median of daily log returns is next to it. Half of the bars may be wrong before a median is.
"""

from __future__ import annotations

import polars as pl

from bifrost_core.thresholds import Thresholds

INSTRUMENT = "instrument_id"
KEY = [INSTRUMENT, "session"]
PRICES = ["open", "high", "low", "close"]
VALUES = [*PRICES, "volume"]
MAD_TO_SIGMA = 1.4826
NO_ACTIONS = pl.DataFrame(
    schema={"instrument_id": pl.Int32, "session": pl.Date, "split_factor": pl.Float64, "dividend_factor": pl.Float64}
)


def measured(bars: pl.DataFrame, actions: pl.DataFrame, limits: Thresholds) -> pl.DataFrame:
    """`bars` (instrument_id, session, OHLCV, one row per key) in key order, each with its distance from the usual.

    `actions` has split_factor and dividend_factor per instrument_id and session: what multiplies earlier prices.
    Added: `move`, the log return of the close including actions; `sigma`, the robust scale of the moves before it;
    `volume_log`, the log of the volume over its usual one, in shares of one size; `step`, the move in sigmas, divided
    by 1 + that log where more than usual was traded: news moves prices and volume, a wrong number one of them. Also
    `wick`, the log distance of high or low from open and close, `wick_sigmas`, which is weighed as the step is, and
    `usual_spread`, the median log of high over low.
    Null where there is nothing to compare with.
    """
    close, traded = pl.col("close").log(), pl.col("volume").clip(lower_bound=1).log() + pl.col("split_log")
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    return (
        _with_actions(bars, actions, limits)
        .with_columns(
            move=(close - close.shift(1) - pl.col("action_log") + pl.col("action_log").shift(1)).over(INSTRUMENT),
            traded=traded,
            spread=(pl.col("high") / pl.col("low")).log(),
            wick=pl.max_horizontal((pl.col("high") / top).log(), (bottom / pl.col("low")).log()),
        )
        .with_columns(
            sigma=(MAD_TO_SIGMA * _usual(pl.col("move").abs(), limits))
            .fill_null(limits.new_listing_move)
            .clip(lower_bound=limits.smallest_move),
            volume_log=pl.col("traded") - _usual(pl.col("traded"), limits),
            usual_spread=_usual(pl.col("spread"), limits),
        )
        .with_columns(step=_weighed(pl.col("move").abs()), wick_sigmas=_weighed(pl.col("wick")))
    )


def factors_of(found: pl.DataFrame) -> pl.DataFrame:
    """Factors by session, as `measured` takes them, of actions (instrument_id, ex_session, kind, price_factor)."""
    factor, kind = pl.col("price_factor"), pl.col("kind")
    return (
        found.filter(kind.is_in(["split", "cash_dividend"]))
        .group_by(INSTRUMENT, session="ex_session")
        .agg(
            split_factor=factor.filter(kind == "split").product(),
            dividend_factor=factor.filter(kind == "cash_dividend").product(),
        )
    )


def _with_actions(bars: pl.DataFrame, actions: pl.DataFrame, limits: Thresholds) -> pl.DataFrame:
    """`bars` with the dividend factor of their session, and the sums of the logs of all factors up to it.

    Sums, so that the action of a session without a bar is in the move to the next one. A dividend above the price, or
    above what is believed, is an error of the bars that it was read off: moves are taken without it.
    """
    believed = pl.col("dividend_factor").is_between(1 - limits.largest_dividend, 1)
    split = pl.col("split_factor").log()
    sums = actions.sort(KEY).select(
        *KEY,
        split_log=split.cum_sum().over(INSTRUMENT),
        action_log=(split + pl.when(believed).then(pl.col("dividend_factor").log()).otherwise(0.0))
        .cum_sum()
        .over(INSTRUMENT),
    )
    return (
        bars.sort(KEY)
        .join(actions.select(*KEY, "dividend_factor"), on=KEY, how="left")
        .sort("session")
        .join_asof(sums.sort("session"), on="session", by=INSTRUMENT, check_sortedness=False)
        .with_columns(pl.col("split_log", "action_log").fill_null(0.0), pl.col("dividend_factor").fill_null(1.0))
        .sort(KEY)
    )


def _usual(values: pl.Expr, limits: Thresholds) -> pl.Expr:
    """The median of the sessions before; null where they are too few."""
    median = values.rolling_median(limits.history_sessions, min_samples=limits.warm_up_sessions)
    return median.shift(1).over(INSTRUMENT)


def _weighed(distance: pl.Expr) -> pl.Expr:
    """A log distance in sigmas, less where more than the usual volume was traded."""
    return distance / pl.col("sigma") / (1 + pl.col("volume_log").fill_null(0.0).clip(lower_bound=0))
