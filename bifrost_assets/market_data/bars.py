"""The rules a daily bar has to keep. No Dagster, no SQL: frames in, frames out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_assets.market_data.rules import Rule, Sifted, first_broken, number_rules, repeats, typed

KEY = ["symbol", "session"]


def sift(bars: pl.DataFrame, sessions: Sequence[date], closed_through: date) -> Sifted:
    """Keep the bars (symbol and BAR_SCHEMA) that are possible; name what is wrong with each of the others.

    `sessions` are the exchange's sessions that may appear, `closed_through` the last one whose bar can be known.
    """
    judged = bars.with_columns(reason=first_broken(_rules(sessions, closed_through)))
    possible = judged.filter(pl.col("reason").is_null()).drop("reason")
    impossible = judged.filter(pl.col("reason").is_not_null())
    if not possible.select(pl.struct(KEY).is_duplicated().any()).item():
        return Sifted(possible, impossible)
    again = repeats(possible, KEY, "session")
    repeated = possible.with_columns(reason=again).filter(pl.col("reason").is_not_null())
    return Sifted(possible.filter(again.is_null()), pl.concat([impossible, repeated]))


def in_schema(bars: pl.DataFrame) -> pl.DataFrame:
    """`bars` in BAR_SCHEMA; raises ProviderError where a column is missing or not of its type.

    An adjusted close that is no positive number says nothing: it is null.
    """
    adjusted = pl.col("vendor_adj_close")
    return typed(bars, BAR_SCHEMA, "bars", "numbers and dates").with_columns(
        pl.when(adjusted.is_finite() & (adjusted > 0)).then(adjusted)
    )


def _rules(sessions: Sequence[date], closed_through: date) -> list[Rule]:
    """What no daily bar may be, the first match being its reason."""
    day = pl.col("session")
    return [
        (day.is_null(), "the session is missing"),
        *number_rules(),
        (day > closed_through, "the session is not over"),
        (day.dt.weekday() > 5, "the exchange does not trade on weekends"),
        (~day.is_in(list(sessions)), "the exchange did not trade on that day"),
    ]
