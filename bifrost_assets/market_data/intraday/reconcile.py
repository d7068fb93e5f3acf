"""The minutes beside the vendor's daily bars: do they tell the same day, and are they all there."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

PRICES = ("open", "high", "low", "close")
COMPARED = """
    with minutes as (
        select * from raw.rolled_up_minutes_as_of(1440, $1, $2)
    ),
    daily as (
        select * from raw.daily_bars_as_of() where session between $1 and $2
    )
    select
        i.symbol, session, coalesce(m.minutes, 0) as minutes,
        (extract(epoch from s.close_at - s.open_at) / 60)::integer as expected,
        m.open, m.high, m.low, m.close, m.volume,
        d.open as daily_open, d.high as daily_high, d.low as daily_low, d.close as daily_close, d.volume as daily_volume
    from minutes m
    full join daily d using (instrument_id, session)
    join reference.instruments i using (instrument_id)
    join reference.sessions s using (exchange_mic, session)
    where i.instrument_id in (select w.instrument_id from reference.meant_by(string_to_array($3, ','), $2) w)
    order by i.symbol, session
"""


def compared(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Per symbol of the universe and session: the minutes rolled up, how many there are of how many, the daily bar."""
    return warehouse.read(COMPARED, first, last, ",".join(warehouse.settings.universe))


def disagreements(days: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Rows of `compared` that have both sides and differ by more than the settings allow: symbol, session, field, both.

    The minutes lack what is traded outside continuous hours, so their volume is bounded by its share of the day's.
    """
    both = days.filter(pl.col("open").is_not_null() & pl.col("daily_open").is_not_null())
    off = {
        name: (pl.col(name) / pl.col(f"daily_{name}") - 1).abs() > settings.minute_price_tolerance for name in PRICES
    }
    share = pl.col("volume") / pl.col("daily_volume")
    traded = (pl.col("daily_volume") > 0) | (pl.col("volume") > 0)
    off["volume"] = traded & ~share.is_between(settings.minute_volume_min, settings.minute_volume_max)
    found = [
        both.filter(differs).select(
            "symbol", "session", field=pl.lit(name), minutes=pl.col(name), daily=pl.col(f"daily_{name}")
        )
        for name, differs in off.items()
    ]
    return pl.concat(found).sort("symbol", "session", maintain_order=True)


def incomplete(days: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Rows of `compared`, where traded, with a smaller share of the session's minutes than the settings ask for."""
    share = pl.col("minutes") / pl.col("expected")
    traded = pl.col("daily_volume").is_null() | (pl.col("daily_volume") > 0)
    return days.filter(traded & (share < settings.minute_share_min)).select(
        "symbol", "session", "minutes", "expected", share=share.round(4)
    )
