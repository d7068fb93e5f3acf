"""What the rules of daily and one-minute bars share. No Dagster, no SQL: frames in, frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bifrost_core.errors import ProviderError

PRICES = ("open", "high", "low", "close")
MEASURES = (*PRICES, "volume")
Rule = tuple[pl.Expr, str]


@dataclass(frozen=True, slots=True)
class Sifted:
    """Bars apart: `good`, one per symbol and time; `bad` with a column `reason` as well."""

    good: pl.DataFrame
    bad: pl.DataFrame


def typed(
    rows: pl.DataFrame, schema: Mapping[str, pl.DataType | type[pl.DataType]], what: str, kinds: str
) -> pl.DataFrame:
    """`rows` in `schema`; raises ProviderError where a column of `what` is missing or not of its type (`kinds`)."""
    if missing := [name for name in schema if name not in rows.columns]:
        raise ProviderError(f"the {what} have no column {', '.join(missing)}", "The provider changed its format")
    try:
        return rows.select(*schema).cast(schema)  # type: ignore[arg-type]
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise ProviderError(f"the {what} are not {kinds}: {first}", "The provider changed its format") from error


def number_rules() -> list[Rule]:
    """What the prices and the volume of no bar may be."""
    bounded = (pl.col("low") <= pl.min_horizontal("open", "close")) & (
        pl.col("high") >= pl.max_horizontal("open", "close")
    )
    return [
        (pl.any_horizontal(pl.col(MEASURES).is_null()), "a price or the volume is missing"),
        (pl.any_horizontal(~pl.col(MEASURES).is_finite()), "a price or the volume is not a finite number"),
        (pl.any_horizontal(pl.col(PRICES) <= 0), "a price is not positive"),
        (pl.col("volume") < 0, "the volume is negative"),
        (~bounded, "low and high do not bound open and close"),
    ]


def first_broken(rules: Sequence[Rule]) -> pl.Expr:
    """The reason of the first rule that a row breaks, or null."""
    chain: pl.Expr = pl.lit(None, dtype=pl.String)
    for broken, reason in reversed(rules):
        chain = pl.when(broken).then(pl.lit(reason)).otherwise(chain)
    return chain


def repeats(rows: pl.DataFrame, key: Sequence[str], what: str) -> pl.Series:
    """Per row: why its `what` is there more than once, or null. One of equal rows stays, of different ones none."""
    kinds = rows.group_by(key).agg(n=pl.struct(pl.all()).n_unique())
    reason = (
        pl.when(pl.col("n") > 1)
        .then(pl.lit(f"the {what} has different bars"))
        .when(~pl.struct(key).is_first_distinct())
        .then(pl.lit(f"the {what} has the same bar twice"))
    )
    return rows.join(kinds, on=key, how="left", maintain_order="left").select(reason=reason).to_series()
