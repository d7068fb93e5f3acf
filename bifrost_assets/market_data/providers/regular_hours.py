"""Which minutes belong to an exchange's regular hours: holidays, half days and clock changes are the calendar's."""

from __future__ import annotations

from datetime import date

import polars as pl

from bifrost_assets.market_data.providers.base import MINUTE_SCHEMA
from bifrost_core.calendar import sessions_between


def in_regular_hours(minutes: pl.DataFrame, exchange: str, first: date, last: date) -> pl.DataFrame:
    """The rows of `minutes` (MINUTE_SCHEMA) that begin between open and close of a session `first` to `last`."""
    sessions = pl.DataFrame(
        [(s.open_at, s.close_at) for s in sessions_between(exchange, first, last)],
        schema={"open_at": MINUTE_SCHEMA["start_at"], "close_at": MINUTE_SCHEMA["start_at"]},
        orient="row",
    )
    hours = minutes.sort("start_at").join_asof(sessions, left_on="start_at", right_on="open_at")
    return hours.filter(pl.col("start_at") < pl.col("close_at")).select(*MINUTE_SCHEMA)
