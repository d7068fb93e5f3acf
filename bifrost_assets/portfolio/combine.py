"""One book from many strategies: equal capital to each."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from bifrost_assets.portfolio.limits import PortfolioLimits, limited


def combined(signals: pl.DataFrame, strategies: Collection[str], limits: PortfolioLimits) -> pl.DataFrame:
    """The book within `limits`: rows (session, instrument_id, weight), from signals of the same with strategy.

    Each of `strategies` gets an equal share of the capital, whether or not it has signals in a session: what it
    does not use is cash.
    """
    return limited(
        parts(signals, strategies).group_by("session", "instrument_id").agg(pl.col("weight").sum()), limits
    ).sort("session", "instrument_id")


def parts(signals: pl.DataFrame, strategies: Collection[str]) -> pl.DataFrame:
    """Each strategy's part of the book before limits: its signals times its share of the capital."""
    mine = signals.filter(pl.col("strategy").is_in(list(strategies)))
    share = 1 / len(strategies) if strategies else 0.0
    return mine.select("session", "strategy", "instrument_id", pl.col("weight") * share).sort(
        "session", "instrument_id", "strategy"
    )
