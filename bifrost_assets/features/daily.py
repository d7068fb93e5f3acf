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
    """
    market = benchmark.select("session", market_return="total_return")
    panel = bars.sort("instrument_id", "session").join(market, on="session", how="left", maintain_order="left")
    indexed = panel.with_columns(index=_own((1 + pl.col("total_return").fill_null(0.0)).cum_prod()))
    features = indexed.select(
        "instrument_id",
        "session",
        _own(_known_at()).alias("available_at"),
        *(_own(e).alias(n) for n, e in _all().items()),
    )
    return features.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in FEATURES)


def _own(expression: pl.Expr) -> pl.Expr:
    return expression.over("instrument_id")


def _all() -> dict[str, pl.Expr]:
    index = pl.col("index")
    return {
        **{f"return_{n}d": index / index.shift(n) - 1 for n in RETURN_WINDOWS},
        # annualised standard deviation (n - 1) of simple returns; Hull, Options, Futures, and Other Derivatives, 15.4
        "volatility_21d": pl.col("total_return").rolling_std(MONTH) * YEAR**0.5,
        "momentum_12_1": index.shift(MONTH) / index.shift(YEAR) - 1,
        "rsi_14d": _rsi(index),
        "zscore_21d": _zscore(index),
        "volume_ratio_21d": _volume_ratio(),
        "beta_252d": _beta(pl.col("total_return"), pl.col("market_return")),
    }


def _zscore(index: pl.Expr) -> pl.Expr:
    """Distance to the 21-session mean in standard deviations; null where the price did not move."""
    mean, deviation = index.rolling_mean(MONTH), index.rolling_std(MONTH)
    return pl.when(deviation > 1e-12 * mean).then((index - mean) / deviation)


def _known_at() -> pl.Expr:
    """The latest available_at among the bars of the longest window."""
    stamp = pl.col("available_at")
    latest = stamp.to_physical().rolling_max(NEEDED_ROWS, min_samples=1)
    return latest.cast(pl.Datetime("us", "UTC"))


def _rsi(index: pl.Expr) -> pl.Expr:
    """Wilder's relative strength index (New Concepts in Technical Trading Systems, 1978) over 14 sessions.

    Wilder smooths gains and losses with an unending memory (weight 13/14 of the day before), so that the value
    would depend on where the history starts. Here the memory ends after 252 sessions: taking away the smoothed
    value of 252 sessions before, times (13/14)^252 = 8e-9, leaves exactly the last 252 terms.
    """
    change = index.diff().fill_null(0.0)
    gain, loss = (_wilder(e.clip(lower_bound=0.0)) for e in (change, -change))
    return 100 * gain / (gain + loss)


def _wilder(expression: pl.Expr) -> pl.Expr:
    smooth = expression.ewm_mean(alpha=1 / RSI_SPAN, adjust=False)
    return smooth - (1 - 1 / RSI_SPAN) ** RSI_MEMORY * smooth.shift(RSI_MEMORY)


def _volume_ratio() -> pl.Expr:
    """Volume to its 21-session mean, in shares of equal worth: volume x close / index does not jump with a split."""
    shares = pl.col("volume") * pl.col("close") / pl.col("index")
    return shares / shares.rolling_mean(MONTH)


def _beta(own: pl.Expr, market: pl.Expr) -> pl.Expr:
    """Covariance with the index over its variance (Sharpe 1963), from rolling means over 252 sessions."""
    together = (own * market).rolling_mean(YEAR) - own.rolling_mean(YEAR) * _where(own, market).rolling_mean(YEAR)
    alone = (market * market).rolling_mean(YEAR) - market.rolling_mean(YEAR) ** 2
    return together / alone


def _where(own: pl.Expr, market: pl.Expr) -> pl.Expr:
    return pl.when(own.is_not_null()).then(market)
