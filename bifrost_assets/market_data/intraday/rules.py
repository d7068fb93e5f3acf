"""The rules a one-minute bar has to keep. No Dagster, no SQL: frames in, frames out."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from bifrost_assets.market_data.bars import MEASURES, PRICES, Sifted
from bifrost_assets.market_data.providers.base import MINUTE_SCHEMA
from bifrost_core.calendar import Session
from bifrost_core.errors import ProviderError

KEY = ["symbol", "start_at"]
MINUTE = 60_000_000  # microseconds


def in_schema(minutes: pl.DataFrame) -> pl.DataFrame:
    """`minutes` in MINUTE_SCHEMA, in time order; raises ProviderError where a column is missing or not of its type."""
    if missing := [name for name in MINUTE_SCHEMA if name not in minutes.columns]:
        raise ProviderError(f"the minutes have no column {', '.join(missing)}", "The provider changed its format")
    try:
        return minutes.select(*MINUTE_SCHEMA).cast(MINUTE_SCHEMA).sort("start_at")  # type: ignore[arg-type]
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise ProviderError(
            f"the minutes are not numbers and times: {first}", "The provider changed its format"
        ) from error


def sift(minutes: pl.DataFrame, sessions: Sequence[Session]) -> Sifted:
    """Keep the minutes (symbol and MINUTE_SCHEMA) that are possible; name what is wrong with each of the others.

    `sessions` are those that were asked for, in order, all of them over. Both frames get a column `session`: the one
    whose open is the last before the minute.
    """
    dated = minutes.with_columns(_session(minutes["start_at"], sessions))
    rules = _rules()
    broken = dated.select(pl.any_horizontal(rule for rule, _ in rules).fill_null(True)).to_series()
    possible, impossible = dated.filter(~broken), dated.filter(broken)
    bad = [impossible.with_columns(reason=_first_broken(rules)).drop("closes_at")]
    if possible.select(pl.struct(KEY).is_duplicated().any()).item():
        again = _repeats(possible.drop("closes_at"))
        bad.append(possible.drop("closes_at").with_columns(reason=again).filter(again.is_not_null()))
        possible = possible.filter(again.is_null())
    return Sifted(possible.drop("closes_at"), pl.concat(bad))


def _session(start_at: pl.Series, sessions: Sequence[Session]) -> tuple[pl.Series, pl.Series]:
    """Per minute: the session that opened last before it and when that closes; null before the first one."""
    opens = pl.Series([s.open_at for s in sessions], dtype=start_at.dtype)
    at = opens.search_sorted(start_at, side="right").cast(pl.Int64) - 1
    at = pl.select(pl.when((at >= 0) & start_at.is_not_null()).then(at)).to_series()
    days = pl.Series([s.session for s in sessions], dtype=pl.Date)
    closes = pl.Series([s.close_at for s in sessions], dtype=start_at.dtype)
    return days.gather(at).alias("session"), closes.gather(at).alias("closes_at")


def _rules() -> list[tuple[pl.Expr, str]]:
    """What no minute may be, the first match being its reason."""
    bounded = (pl.col("low") <= pl.min_horizontal("open", "close")) & (
        pl.col("high") >= pl.max_horizontal("open", "close")
    )
    start = pl.col("start_at")
    return [
        (start.is_null(), "the time is missing"),
        (pl.any_horizontal(pl.col(MEASURES).is_null()), "a price or the volume is missing"),
        (pl.any_horizontal(~pl.col(MEASURES).is_finite()), "a price or the volume is not a finite number"),
        (pl.any_horizontal(pl.col(PRICES) <= 0), "a price is not positive"),
        (pl.col("volume") < 0, "the volume is negative"),
        (~bounded, "low and high do not bound open and close"),
        (start.to_physical() % MINUTE != 0, "the time is not the start of a minute"),
        (pl.col("session").is_null(), "the minute is before the sessions asked for"),
        (start >= pl.col("closes_at"), "the minute is outside the regular hours of the sessions asked for"),
    ]


def _first_broken(rules: Sequence[tuple[pl.Expr, str]]) -> pl.Expr:
    chain: pl.Expr = pl.lit(None, dtype=pl.String)
    for broken, reason in reversed(rules):
        chain = pl.when(broken).then(pl.lit(reason)).otherwise(chain)
    return chain


def _repeats(minutes: pl.DataFrame) -> pl.Series:
    """Per row: why its minute is there more than once, or null. One of equal rows stays, of different ones none."""
    kinds = minutes.group_by(KEY).agg(n=pl.struct(pl.all()).n_unique())
    return (
        minutes.join(kinds, on=KEY, how="left", maintain_order="left")
        .select(
            reason=pl.when(pl.col("n") > 1)
            .then(pl.lit("the minute has different bars"))
            .when(~pl.struct(KEY).is_first_distinct())
            .then(pl.lit("the minute has the same bar twice"))
        )
        .to_series()
    )
