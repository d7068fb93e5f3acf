"""The return model's predictions, turned into a long-only book that changes by a fifth a session."""

from __future__ import annotations

import polars as pl

from bifrost_assets.strategies.strategy import Strategy

HOLDING = 5  # sessions: the horizon the model predicts


def weights(known: pl.DataFrame) -> pl.DataFrame:
    """Hold what the model expects to beat the universe, in proportion to prediction / volatility.

    Each session opens a book with a fifth of the capital and holds it for the five sessions that were predicted, so
    the weight is the sum of the last five books (overlapping portfolios, Jegadeesh and Titman 1993): a fifth of the
    turnover of trading every prediction at once. Sessions without any prediction have no rows.
    """
    liked = (pl.col("prediction") > 0) & (pl.col("volatility_21d") > 0)
    score = pl.when(liked).then(pl.col("prediction") / pl.col("volatility_21d")).otherwise(0.0)
    share = (pl.col("score") / pl.col("score").sum().over("session")).fill_nan(0.0)
    books = (
        known.with_columns(
            score=score.fill_null(0.0), predicted=pl.col("prediction").is_not_null().any().over("session")
        )
        .with_columns(book=share / HOLDING)
        .sort("instrument_id", "session")
    )
    held = pl.sum_horizontal(_book_of(n) for n in range(HOLDING))
    return books.with_columns(weight=held).filter("predicted").select("session", "instrument_id", "weight")


def _book_of(sessions_ago: int) -> pl.Expr:
    return pl.col("book").shift(sessions_ago).over("instrument_id").fill_null(0.0)


STRATEGY = Strategy(
    name="model",
    description="Long what the walk-forward return model expects to beat the universe, five overlapping books",
    weights=weights,
    lookback=HOLDING - 1,
    uses_model=True,
)
