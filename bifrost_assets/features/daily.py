"""Daily features: frame to frame, set-wise, from each row's own past and nothing later.

Every window is whole or the value is null. Prices enter through the total return index (the product of
1 + total_return), so that splits and dividends move no feature.
"""

from __future__ import annotations

import polars as pl

YEAR = 252
MONTH = 21
RSI_SPAN = 14
RSI_MEMORY = YEAR
RETURN_WINDOWS = (1, 5, 21, 63, 252)
NEEDED_ROWS = YEAR + 1  # bars that the longest window looks at, its own included
LOOKBACK_SESSIONS = NEEDED_ROWS + MONTH  # a margin for sessions in which an instrument has no bar

FEATURES = (
    *(f"return_{n}d" for n in RETURN_WINDOWS),
    "volatility_21d",
    "momentum_12_1",
    "rsi_14d",
    "zscore_21d",
    "volume_ratio_21d",
    "beta_252d",
)


def daily_features(bars: pl.DataFrame, benchmark: pl.DataFrame) -> pl.DataFrame:
    """One row per row of `bars`: instrument_id, session, available_at and FEATURES.

    `bars` (instrument_id, session, close, volume, total_return, available_at) holds one row per instrument and
    session; `benchmark` (session, total_return) is the index. Returns and volatility are fractions, RSI is 0..100.
    `available_at` is when the last of the bars behind a row was known.

    With the instruments one after the other, windows run over the whole column, and those that reach into the
    instrument before are cut off: a third of the time of grouping each column.
    """
    market = benchmark.select("session", market_return="total_return")
    panel = _ordered(bars).join(market, on="session", how="left", maintain_order="left")
    growth = 1 + pl.col("total_return").fill_null(0.0)
    indexed = panel.with_columns(index=growth.cum_prod().over("instrument_id"))
    smoothed = indexed.with_columns(**_parts(pl.col("index"), pl.col("total_return"), pl.col("market_return")))
    known = _known_at(panel).alias("available_at")
    return smoothed.select("instrument_id", "session", known, *(e.alias(n) for n, e in _features().items()))


def _ordered(bars: pl.DataFrame) -> pl.DataFrame:
    """`bars` by instrument and session; as they are where they come so."""
    later = (pl.col("instrument_id") == pl.col("instrument_id").shift(1)) & (
        pl.col("session") > pl.col("session").shift(1)
    )
    ascending = later | (pl.col("instrument_id") > pl.col("instrument_id").shift(1)).fill_null(True)
    return bars if bars.select(ascending.all()).item() else bars.sort("instrument_id", "session")


def _whole(rows: int, expression: pl.Expr) -> pl.Expr:
    """`expression` where the last `rows` rows are of one instrument, else null."""
    instrument = pl.col("instrument_id")
    return pl.when(instrument == instrument.shift(rows - 1)).then(expression)


def _parts(index: pl.Expr, own: pl.Expr, market: pl.Expr) -> dict[str, pl.Expr]:
    """What features are put together from, as columns, so that each is computed once."""
    change = _change(index)
    both = pl.when(own.is_not_null()).then(market)
    shares = pl.col("volume") * pl.col("close") / index  # of equal worth: no jump with a split
    return {
        "gain": _wilder(change.clip(lower_bound=0.0)),
        "loss": _wilder((-change).clip(lower_bound=0.0)),
        "mean_21d": index.rolling_mean(MONTH),
        # grouped: a variance cannot run on from one instrument's levels to another's without losing digits
        "deviation_21d": index.rolling_std(MONTH).over("instrument_id"),
        "shares": shares,
        "shares_mean": shares.rolling_mean(MONTH),
        "own_mean": own.rolling_mean(YEAR),
        "market_mean": both.rolling_mean(YEAR),
        "market_square": (both * both).rolling_mean(YEAR),
        "product_mean": (own * market).rolling_mean(YEAR),
    }


def _features() -> dict[str, pl.Expr]:
    index, own = pl.col("index"), pl.col("total_return")
    return {
        **{f"return_{n}d": _whole(n + 1, index / index.shift(n) - 1) for n in RETURN_WINDOWS},
        # annualised standard deviation (n - 1) of simple returns; Hull, Options, Futures, and Other Derivatives, 15.4
        "volatility_21d": _whole(MONTH, own.rolling_std(MONTH) * YEAR**0.5),
        "momentum_12_1": _whole(YEAR + 1, index.shift(MONTH) / index.shift(YEAR) - 1),
        "rsi_14d": _whole(RSI_MEMORY + 1, _ratio(100 * pl.col("gain"), pl.col("gain") + pl.col("loss"))),
        "zscore_21d": _zscore(index),
        "volume_ratio_21d": _whole(MONTH, _ratio(pl.col("shares"), pl.col("shares_mean"))),
        "beta_252d": _whole(YEAR, _beta()),
    }


def _zscore(index: pl.Expr) -> pl.Expr:
    """Distance to the 21-session mean in standard deviations; null where the price did not move."""
    mean, deviation = pl.col("mean_21d"), pl.col("deviation_21d")
    return pl.when(deviation > 1e-12 * mean).then((index - mean) / deviation)


def _known_at(panel: pl.DataFrame) -> pl.Expr:
    """The latest available_at among the bars of the longest window: the row's own, unless one was restated."""
    stamp, instrument = pl.col("available_at"), pl.col("instrument_id")
    restated = (stamp < stamp.shift(1)) & (instrument == instrument.shift(1))
    if not panel.select(restated.any()).item():
        return stamp
    latest = stamp.to_physical().rolling_max(NEEDED_ROWS, min_samples=1)
    return latest.cast(pl.Datetime("us", "UTC")).over("instrument_id")


def _change(index: pl.Expr) -> pl.Expr:
    """Change of the index since the row before; 0 where an instrument begins."""
    difference = index.diff()
    return pl.coalesce(_whole(2, pl.when(difference.is_finite()).then(difference)), 0.0)


def _wilder(change: pl.Expr) -> pl.Expr:
    """Wilder's average of gains or losses, from which the relative strength index is made.

    Wilder (New Concepts in Technical Trading Systems, 1978) smooths with an unending memory (weight 13/14 of the day
    before), so that the value would depend on where the history starts. Here the memory ends after 252 sessions:
    taking away the smoothed value of 252 sessions before, times (13/14)^252 = 8e-9, leaves exactly the last 252 terms.
    """
    smooth = change.ewm_mean(alpha=1 / RSI_SPAN, adjust=False)
    return smooth - (1 - 1 / RSI_SPAN) ** RSI_MEMORY * smooth.shift(RSI_MEMORY)


def _beta() -> pl.Expr:
    """Covariance with the index over its variance (Sharpe 1963), from means over 252 sessions."""
    together = pl.col("product_mean") - pl.col("own_mean") * pl.col("market_mean")
    return _ratio(together, pl.col("market_square") - pl.col("market_mean") ** 2)


def _ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    return pl.when(below > 0).then(above / below)
