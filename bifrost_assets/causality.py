"""Proof that a computation does not look ahead: cut the future off, compute again, and nothing may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import polars as pl

Compute = Callable[[pl.DataFrame], pl.DataFrame]
RELATIVE, ABSOLUTE = 1e-9, 1e-12


def sampled(sessions: Sequence[date], count: int) -> list[date]:
    """`count` of the sessions, evenly spread, first and last included; all of them where there are fewer."""
    days = sorted(set(sessions))
    if len(days) <= count:
        return days
    step = (len(days) - 1) / max(count - 1, 1)
    return [days[round(i * step)] for i in range(count)]


def look_ahead(
    compute: Compute,
    history: pl.DataFrame,
    cutoffs: Sequence[date],
    keys: Sequence[str] = ("instrument_id",),
    on: str = "session",
) -> pl.DataFrame:
    """Where `compute` knew the future: one row per cutoff, key and column (cutoff, *keys, column, full, truncated).

    For each cutoff, the rows of that session from `compute(history)` are compared with those from `compute` on the
    history up to that session. A number may differ by 1e-9 of itself (rounding), anything else not at all; a row
    that only one side has differs in the column `on`.
    """
    full = compute(history)
    found = [differences(full, compute(history.filter(pl.col(on) <= day)), day, keys, on) for day in cutoffs]
    return pl.concat(found) if found else pl.DataFrame()


def differences(
    full: pl.DataFrame,
    truncated: pl.DataFrame,
    day: date,
    keys: Sequence[str] = ("instrument_id",),
    on: str = "session",
) -> pl.DataFrame:
    """Every value of session `day` in which the frames differ: cutoff, *keys, column, full, truncated."""
    ours, theirs = full.filter(pl.col(on) == day), truncated.filter(pl.col(on) == day)
    both = ours.join(theirs, on=list(keys), how="full", coalesce=True, suffix="__cut")
    parts = [
        both.filter(_differs(full.schema[name], name)).select(
            pl.lit(day).alias("cutoff"),
            *keys,
            pl.lit(name).alias("column"),
            pl.col(name).cast(pl.String).alias("full"),
            pl.col(f"{name}__cut").cast(pl.String).alias("truncated"),
        )
        for name in full.columns
        if name not in keys
    ]
    return pl.concat(parts)


def _differs(dtype: pl.DataType, name: str) -> pl.Expr:
    a, b = pl.col(name), pl.col(f"{name}__cut")
    if not dtype.is_float():
        return a.ne_missing(b)
    near = (a - b).abs() <= ABSOLUTE + RELATIVE * a.abs()
    return ~(near | a.eq_missing(b)).fill_null(False)
