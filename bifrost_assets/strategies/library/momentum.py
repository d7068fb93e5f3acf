"""12-1 momentum, long only, sized by inverse volatility and scaled to a volatility target."""

from __future__ import annotations

import polars as pl

from bifrost_assets.strategies.strategy import Strategy

VOLATILITY_TARGET = 0.20  # a year


def weights(known: pl.DataFrame) -> pl.DataFrame:
    """Hold what rose over the last twelve months without the last one, each by 1 / volatility.

    Momentum after Jegadeesh and Titman (1993); only positive trends, and the scaling, after Moskowitz, Ooi and
    Pedersen (2012). The book's volatility is taken as sum(w x volatility), which correlation can only lower, so the
    target is an upper bound; what is not needed to reach it stays cash. An instrument without a whole year of
    history is held at 0.
    """
    rising = (pl.col("momentum_12_1") > 0) & (pl.col("volatility_21d") > 0)
    inverse = pl.when(rising).then(1 / pl.col("volatility_21d")).otherwise(0.0)
    share = (pl.col("inverse") / pl.col("inverse").sum().over("session")).fill_nan(0.0)
    book_volatility = (pl.col("share") * pl.col("volatility_21d").fill_null(0.0)).sum().over("session")
    scale = pl.min_horizontal(pl.lit(1.0), VOLATILITY_TARGET / book_volatility)
    return (
        known.with_columns(inverse=inverse.fill_null(0.0))
        .with_columns(share=share)
        .select(
            "session", "instrument_id", weight=pl.when(pl.col("share") > 0).then(pl.col("share") * scale).otherwise(0.0)
        )
    )


STRATEGY = Strategy(
    name="momentum",
    description="12-1 momentum, long only, inverse volatility, 20 % volatility target",
    weights=weights,
)
