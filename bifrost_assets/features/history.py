"""Reading the bars that features are made of."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from bifrost_assets.features.daily import LOOKBACK_SESSIONS, daily_features
from bifrost_core.calendar import all_sessions, cutoff
from bifrost_core.errors import BifrostError
from bifrost_core.warehouse.warehouse import Warehouse

BARS = """
    select instrument_id, symbol, asset_class, session, close, volume, total_return, available_at
    from marts.fct_daily_bars
    where session between $1 and $2 and available_at <= $3
    order by instrument_id, session
"""


class FeatureInputError(BifrostError):
    """What features are computed from is not there."""


def bars_up_to(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Bars of every instrument, the index included, for features of sessions first..last.

    Starts as much earlier as the longest window needs, and holds only what was available at the cutoff of `last`.
    """
    settings = warehouse.settings
    known = cutoff(settings.exchange, last, timedelta(minutes=settings.availability_lag_minutes))
    bars = warehouse.read(BARS, history_start(settings.exchange, first), last, known)
    if bars.filter(pl.col("symbol") == settings.benchmark).is_empty():
        raise FeatureInputError(
            f"benchmark {settings.benchmark} has no bars up to {last}",
            "Load it (asset raw/daily_bars), or set BIFROST_BENCHMARK to an index that is loaded",
        )
    return bars


def history_start(mic: str, first: date) -> date:
    """The session LOOKBACK_SESSIONS before `first`, or the calendar's first."""
    before = [s.session for s in all_sessions(mic) if s.session < first]
    return before[-LOOKBACK_SESSIONS:][0] if before else first


def features_of(bars: pl.DataFrame, benchmark: str) -> pl.DataFrame:
    """Features of every instrument in `bars` that is no index, against the index `benchmark` among them."""
    return daily_features(bars.filter(pl.col("asset_class") != "index"), bars.filter(pl.col("symbol") == benchmark))
