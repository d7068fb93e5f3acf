"""The gate before the warehouse: bars that are wrong almost for certain are held, and nothing is computed from them.

What is only doubtful is stored, and the checks flag it. The difference is what a mistake costs: a wrong bar that is
stored can still be withdrawn, but a right one that is held is missing from every feature until a person releases it.
No rule looks at what follows a bar: a history load would store another past than the nights did.
"""

from __future__ import annotations

import math

import polars as pl

from bifrost_assets.market_data.quality.measures import INSTRUMENT, KEY, VALUES, measured
from bifrost_core.thresholds import Thresholds

LN_10 = math.log(10)


def implausible(
    bars: pl.DataFrame, history: pl.DataFrame, actions: pl.DataFrame, thresholds: Thresholds
) -> pl.DataFrame:
    """The rows of `bars` that must not be stored, with a column `reason`.

    `bars` has instrument_id and the columns of BAR_SCHEMA, one row per instrument and session, already possible (see
    bars.sift); `history` the last history_sessions stored bars per instrument before them (instrument_id, session,
    OHLCV); `actions` split_factor and dividend_factor per instrument_id and session, 1 where there is none.
    """
    if bars.is_empty():
        return bars.with_columns(reason=pl.lit(None, dtype=pl.String))
    earlier = history.select(*KEY, *VALUES).join(bars, on=KEY, how="anti")
    known = measured(pl.concat([earlier, bars.select(*KEY, *VALUES)]), actions, thresholds)
    judged = known.select(*KEY, reason=_reason(thresholds))
    return bars.join(judged.filter(pl.col("reason").is_not_null()), on=KEY, maintain_order="left")


def _reason(limits: Thresholds) -> pl.Expr:
    """The first rule that a measured bar breaks, or null."""
    return (
        pl.when(_unit(limits) != 0)
        .then(pl.lit("the prices are a power of ten away: another currency unit, or a shifted decimal"))
        .when(pl.col("wick") > math.log(limits.hold_wick_times))
        .then(pl.lit("high or low is of another scale than open and close"))
        .when(_repeats())
        .then(pl.lit("price for price and share for share the bar of the session before"))
    )


def _unit(limits: Thresholds) -> pl.Expr:
    """Powers of ten by which a bar's prices differ from the first one's: a jump by one changes it until it is undone.

    A price can fall by nine tenths in a day, but then everybody trades: one power with much volume is believed.
    """
    power = (pl.col("move") / LN_10).round(0)
    near = (pl.col("move") - power * LN_10).abs() <= limits.hold_scale_tolerance
    quiet = pl.col("volume_log").fill_null(0.0) < math.log(limits.hold_volume_times)
    taken = near & ((power.abs() > 1) | quiet)
    return pl.when(taken.fill_null(False)).then(power).otherwise(0.0).cum_sum().over(INSTRUMENT)


def _repeats() -> pl.Expr:
    """The same five numbers as the session before, of something that trades: no two days are alike to the share."""
    alike = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1).over(INSTRUMENT) for name in VALUES)
    return alike & (pl.col("high") > pl.col("low")) & (pl.col("volume") > 0)
