"""Corporate actions, read off the vendor's adjusted closes.

The vendor's adjustment factor of a session is adjusted close / close. It changes only where an action takes effect, so

    price_factor(t) = (adjusted(t-1) / close(t-1)) / (adjusted(t) / close(t))

is 1 but for rounding on every other session, and what multiplies earlier prices to make them comparable with those from
t on: 0.5 for a two-for-one split, 1 - dividend / close(t-1) for a cash dividend. Only t and t-1 are looked at, so what
is found for a session never depends on later ones.
"""

from __future__ import annotations

from fractions import Fraction

import polars as pl

SPLIT_AT_LEAST = 0.15  # a smaller step of the factor is a dividend: nobody splits finer than 6-for-5
SPLIT_PARTS_MAX = 50
SPLITS = sorted(
    {
        float(Fraction(old, new))
        for old in range(1, SPLIT_PARTS_MAX + 1)
        for new in range(1, SPLIT_PARTS_MAX + 1)
        if old != new and (min(old, new) <= 5) and abs(old / new - 1) >= SPLIT_AT_LEAST
    }
)


def derive_actions(bars: pl.DataFrame, price_unit: float) -> pl.DataFrame:
    """Actions (instrument_id, ex_session, kind, price_factor, noise) in `bars`, one row per session with one.

    `bars` has instrument_id, session, close and vendor_adj_close, consecutive sessions per instrument; `price_unit` is
    the step in which the vendor publishes adjusted closes, USD: a factor as near to 1 as rounding can take it is none.
    """
    vendor = pl.col("vendor_adj_close") / pl.col("close")
    steps = (
        bars.filter((pl.col("vendor_adj_close") > 0) & (pl.col("close") > 0))
        .sort("instrument_id", "session")
        .with_columns(
            factor=vendor.shift(1).over("instrument_id") / vendor,
            noise=price_unit * (1 / pl.col("vendor_adj_close")).rolling_sum(2).over("instrument_id"),
        )
        .filter((pl.col("factor") - 1).abs() > pl.col("noise") + 1e-7)
    )
    split = pl.struct("factor", "noise").map_elements(
        lambda row: _split_ratio(row["factor"], row["noise"]), return_dtype=pl.Float64
    )
    return steps.with_columns(split=split).select(
        "instrument_id",
        ex_session="session",
        kind=pl.when(pl.col("split").is_null()).then(pl.lit("cash_dividend")).otherwise(pl.lit("split")),
        price_factor=pl.coalesce("split", "factor"),
        noise="noise",
    )


def _split_ratio(factor: float, noise: float) -> float | None:
    """The simple ratio that `factor` is within rounding, or None where it is none."""
    nearest = min(SPLITS, key=lambda ratio: abs(ratio - factor))
    return nearest if abs(nearest - factor) <= max(factor * noise, 1e-6) else None
