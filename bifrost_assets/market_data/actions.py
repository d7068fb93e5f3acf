"""Corporate actions: as the vendor names them, or read off its adjusted closes.

The vendor's adjustment factor of a session is adjusted close / close. It changes only where an action takes effect, so

    price_factor(t) = (adjusted(t-1) / close(t-1)) / (adjusted(t) / close(t))

is 1 but for rounding on every other session, and what multiplies earlier prices to make them comparable with those from
t on: 0.5 for a two-for-one split, 1 - dividend / close(t-1) for a cash dividend. Only t and t-1 are looked at, so what
is found for a session never depends on later ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction

import polars as pl

from bifrost_assets.market_data.providers.base import ACTION_SCHEMA

SPLIT_AT_LEAST = 0.15  # a smaller step of the factor is a dividend: nobody splits finer than 6-for-5
SPLIT_PARTS_MAX = 50
SPLITS = sorted(
    {
        float(Fraction(old, new))
        for old in range(1, SPLIT_PARTS_MAX + 1)
        for new in range(1, SPLIT_PARTS_MAX + 1)
        if old != new and (min(old, new) <= 5) and abs(old / new - 1) >= SPLIT_AT_LEAST
    }
)


def find_actions(
    bars: pl.DataFrame, named: Mapping[int, pl.DataFrame], price_unit: float
) -> tuple[pl.DataFrame, Mapping[int, pl.DataFrame]]:
    """Actions (instrument_id, ex_session, kind, price_factor, value, noise) in `bars`, one row each; and bad ones.

    `named` holds the vendor's own list (ACTION_SCHEMA) by instrument_id; those of the others are derived from `bars`,
    which has instrument_id, session, close and vendor_adj_close. The bad ones are the vendor's rows, by instrument_id,
    with a column `reason`. An action on the first bar of an instrument moves no price and is in neither.
    """
    derived = derive_actions(bars.filter(~pl.col("instrument_id").is_in(list(named))), price_unit)
    judged = {
        instrument: _judged(bars, instrument, actions.unique(maintain_order=True))
        for instrument, actions in named.items()
    }
    good = [rows.filter(pl.col("reason").is_null()) for rows in judged.values()]
    bad = {
        instrument: pl.concat([judged[instrument].select(*ACTION_SCHEMA, "reason"), _repeated(actions)]).drop_nulls(
            "reason"
        )
        for instrument, actions in named.items()
    }
    return (
        pl.concat([derived, *(rows.select(derived.columns) for rows in good)]),
        {instrument: rows for instrument, rows in bad.items() if rows.height},
    )


def _repeated(actions: pl.DataFrame) -> pl.DataFrame:
    """The rows that were there before, with the reason: two equal dividends of one day are one, listed twice."""
    again = actions.select(*ACTION_SCHEMA).filter(~pl.struct(list(ACTION_SCHEMA)).is_first_distinct())
    return again.with_columns(reason=pl.lit("the action is listed twice"))


def spoken_for(bars: pl.DataFrame, named: Collection[int]) -> pl.DataFrame:
    """The bars (instrument_id, session) of whose sessions a vendor says whether they had an action.

    Not an instrument's first bar here. Of instruments that are not `named` those whose own and last adjusted close
    are there.
    """
    own = pl.col("instrument_id")
    adjusted = pl.col("vendor_adj_close").is_not_null()
    told = own.is_in(list(named)) | (adjusted & adjusted.shift(1))
    ordered = bars.sort("instrument_id", "session")
    return ordered.filter((own == own.shift(1)) & told).select("instrument_id", "session")


def _judged(bars: pl.DataFrame, instrument: int, actions: pl.DataFrame) -> pl.DataFrame:
    """The vendor's actions after the first bar, with their factors, and the reason why one cannot be.

    One whose ex-session has no bar takes effect with the next bar; one after all bars has not taken effect yet. The
    dividend of a session that is also a split's is paid on the new shares, so its factor is 1 - dividend / (close
    before * split factor): the one that makes (close + dividend) / (close before * split factor) the total return.
    """
    own = bars.filter(pl.col("instrument_id") == instrument).sort("session")
    closes = own.select(takes_effect="session", bar="session", before=pl.col("close").shift(1))
    ex, kind, value = pl.col("ex_session"), pl.col("kind"), pl.col("value")
    due = actions.filter(ex.is_null() | ((ex > own["session"].min()) & (ex <= bars["session"].max())))
    placed = due.sort("ex_session").join_asof(closes, left_on="ex_session", right_on="takes_effect", strategy="forward")
    is_split, positive = kind == "split", (value.is_finite() & (value > 0)).fill_null(False)
    split = pl.when(is_split & positive).then(1 / value).otherwise(1.0).product().over("bar")
    reason = (
        pl.when(~kind.is_in(["split", "cash_dividend"]).fill_null(False))
        .then(pl.lit("the kind of action is not known"))
        .when(~positive)
        .then(pl.lit("the value is not a positive number"))
        .when(pl.col("bar").is_null())
        .then(pl.lit("there is no bar from its ex-session on"))
        .when(pl.col("price_factor") <= 0)
        .then(pl.lit("the dividend is not less than the close before it"))
    )
    return (
        placed.group_by("bar", "kind", maintain_order=True)
        .agg(
            pl.col("ex_session").first(),
            pl.when(is_split.first()).then(value.product()).otherwise(value.sum()),
            pl.col("before").first(),
        )
        .with_columns(price_factor=pl.when(is_split).then(1 / value).otherwise(1 - value / (pl.col("before") * split)))
        .with_columns(reason=reason, instrument_id=pl.lit(instrument, dtype=pl.Int32), noise=pl.lit(0.0))
        .with_columns(ex_session=pl.when(pl.col("reason").is_null()).then("bar").otherwise("ex_session"))
    )


def derive_actions(bars: pl.DataFrame, price_unit: float) -> pl.DataFrame:
    """Actions (instrument_id, ex_session, kind, price_factor, value, noise) in `bars`, one row per session with one.

    `bars` has instrument_id, session, close and vendor_adj_close, consecutive sessions per instrument; `price_unit` is
    the step in which the vendor publishes adjusted closes, USD: a factor as near to 1 as rounding can take it is none.
    """
    vendor = pl.col("vendor_adj_close") / pl.col("close")
    steps = (
        bars.filter((pl.col("vendor_adj_close") > 0) & (pl.col("close") > 0))
        .sort("instrument_id", "session")
        .with_columns(
            factor=vendor.shift(1).over("instrument_id") / vendor,
            before=pl.col("close").shift(1).over("instrument_id"),
            noise=price_unit * (1 / pl.col("vendor_adj_close")).rolling_sum(2).over("instrument_id"),
        )
        .filter((pl.col("factor") - 1).abs() > pl.col("noise") + 1e-7)
    )
    split = pl.struct("factor", "noise").map_elements(
        lambda row: _split_ratio(row["factor"], row["noise"]), return_dtype=pl.Float64
    )
    return steps.with_columns(split=split).select(
        "instrument_id",
        ex_session="session",
        kind=pl.when(pl.col("split").is_null()).then(pl.lit("cash_dividend")).otherwise(pl.lit("split")),
        price_factor=pl.coalesce("split", "factor"),
        value=pl.coalesce(1 / pl.col("split"), (1 - pl.col("factor")) * pl.col("before")),
        noise="noise",
    )


def _split_ratio(factor: float, noise: float) -> float | None:
    """The simple ratio that `factor` is within rounding, or None where it is none."""
    nearest = min(SPLITS, key=lambda ratio: abs(ratio - factor))
    return nearest if abs(nearest - factor) <= max(factor * noise, 1e-6) else None
