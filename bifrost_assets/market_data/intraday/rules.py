"""The rules a one-minute bar has to keep. No Dagster, no SQL: frames in, frames out."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from bifrost_assets.market_data.providers.base import MINUTE_SCHEMA
from bifrost_assets.market_data.rules import Rule, Sifted, first_broken, number_rules, repeats, typed
from bifrost_core.calendar import Session

KEY = ["symbol", "start_at"]
MINUTE = 60_000_000  # microseconds


def in_schema(minutes: pl.DataFrame) -> pl.DataFrame:
    """`minutes` in MINUTE_SCHEMA, in time order; raises ProviderError where a column is missing or not of its type."""
    return typed(minutes, MINUTE_SCHEMA, "minutes", "numbers and times").sort("start_at")


def sift(minutes: pl.DataFrame, sessions: Sequence[Session]) -> Sifted:
    """Keep the minutes (symbol and MINUTE_SCHEMA) that are possible; name what is wrong with each of the others.

    `sessions` are those that were asked for, in order, all of them over. Both frames get a column `session`: the one
    whose open is the last before the minute.
    """
    dated = minutes.with_columns(_session(minutes["start_at"], sessions))
    rules = _rules()
    broken = dated.select(pl.any_horizontal(rule for rule, _ in rules).fill_null(True)).to_series()
    possible, impossible = dated.filter(~broken), dated.filter(broken)
    bad = [impossible.with_columns(reason=first_broken(rules)).drop("closes_at")]
    if possible.select(pl.struct(KEY).is_duplicated().any()).item():
        again = repeats(possible.drop("closes_at"), KEY, "minute")
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


def _rules() -> list[Rule]:
    """What no minute may be, the first match being its reason."""
    start = pl.col("start_at")
    return [
        (start.is_null(), "the time is missing"),
        *number_rules(),
        (start.to_physical() % MINUTE != 0, "the time is not the start of a minute"),
        (pl.col("session").is_null(), "the minute is before the sessions asked for"),
        (start >= pl.col("closes_at"), "the minute is outside the regular hours of the sessions asked for"),
    ]
