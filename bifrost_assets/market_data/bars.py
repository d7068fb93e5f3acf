"""The rules a daily bar has to keep. No Dagster, no SQL: frames in, frames out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_core.errors import ProviderError

PRICES = ("open", "high", "low", "close")
MEASURES = (*PRICES, "volume")
KEY = ["symbol", "session"]


@dataclass(frozen=True, slots=True)
class Sifted:
    """Bars apart: `good`, one per symbol and session; `bad` with a column `reason` as well."""

    good: pl.DataFrame
    bad: pl.DataFrame


def sift(bars: pl.DataFrame, sessions: Sequence[date], closed_through: date) -> Sifted:
    """Keep the bars (symbol and BAR_SCHEMA) that are possible; name what is wrong with each of the others.

    `sessions` are the exchange's sessions that may appear, `closed_through` the last one whose bar can be known.
    """
    judged = bars.with_columns(reason=_reason(sessions, closed_through))
    possible = judged.filter(pl.col("reason").is_null()).drop("reason")
    impossible = judged.filter(pl.col("reason").is_not_null())
    if not possible.select(pl.struct(KEY).is_duplicated().any()).item():
        return Sifted(possible, impossible)
    again = _repeats(possible)
    repeated = possible.with_columns(reason=again).filter(pl.col("reason").is_not_null())
    return Sifted(possible.filter(again.is_null()), pl.concat([impossible, repeated]))


def in_schema(bars: pl.DataFrame) -> pl.DataFrame:
    """`bars` in BAR_SCHEMA; raises ProviderError where a column is missing or not of its type.

    An adjusted close that is no positive number says nothing: it is null.
    """
    if missing := [name for name in BAR_SCHEMA if name not in bars.columns]:
        raise ProviderError(f"the bars have no column {', '.join(missing)}", "The provider changed its format")
    try:
        typed = bars.select(*BAR_SCHEMA).cast(BAR_SCHEMA)  # type: ignore[arg-type]
        adjusted = pl.col("vendor_adj_close")
        return typed.with_columns(pl.when(adjusted.is_finite() & (adjusted > 0)).then(adjusted))
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise ProviderError(
            f"the bars are not numbers and dates: {first}", "The provider changed its format"
        ) from error


def _reason(sessions: Sequence[date], closed_through: date) -> pl.Expr:
    """The first rule that a row breaks, or null."""
    day = pl.col("session")
    bounded = (pl.col("low") <= pl.min_horizontal("open", "close")) & (
        pl.col("high") >= pl.max_horizontal("open", "close")
    )
    rules: list[tuple[pl.Expr, str]] = [
        (day.is_null(), "the session is missing"),
        (pl.any_horizontal(pl.col(MEASURES).is_null()), "a price or the volume is missing"),
        (pl.any_horizontal(~pl.col(MEASURES).is_finite()), "a price or the volume is not a finite number"),
        (pl.any_horizontal(pl.col(PRICES) <= 0), "a price is not positive"),
        (pl.col("volume") < 0, "the volume is negative"),
        (~bounded, "low and high do not bound open and close"),
        (day > closed_through, "the session is not over"),
        (day.dt.weekday() > 5, "the exchange does not trade on weekends"),
        (~day.is_in(list(sessions)), "the exchange did not trade on that day"),
    ]
    chain: pl.Expr = pl.lit(None, dtype=pl.String)
    for broken, reason in reversed(rules):
        chain = pl.when(broken).then(pl.lit(reason)).otherwise(chain)
    return chain


def _repeats(bars: pl.DataFrame) -> pl.Series:
    """Per row: why its session is there more than once, or null. One of equal rows stays, of different ones none."""
    kinds = bars.group_by(KEY).agg(n=pl.struct(pl.all()).n_unique())
    row = bars.join(kinds, on=KEY, how="left", maintain_order="left").select(
        pl.when(pl.col("n") > 1)
        .then(pl.lit("the session has different bars"))
        .when(~pl.struct(KEY).is_first_distinct())
        .then(pl.lit("the session has the same bar twice"))
        .otherwise(pl.lit(None, dtype=pl.String))
        .alias("reason")
    )
    return row["reason"]
