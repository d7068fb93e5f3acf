"""The features of a window, each session's from what was known at its cutoff."""

from __future__ import annotations

from datetime import date

import polars as pl

from bifrost_assets.asof import bars_as_of, known_at, views
from bifrost_assets.features.daily import LOOKBACK_SESSIONS, daily_features
from bifrost_core.calendar import all_sessions
from bifrost_core.errors import BifrostError
from bifrost_core.provenance import frame_version
from bifrost_core.warehouse.warehouse import Warehouse


class FeatureInputError(BifrostError):
    """What features are computed from is not there."""


def features_of_window(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Features of sessions first..last with the version of the bars behind each (data_version).

    Sessions between which something came to be known late are computed apart, each run from its own reading.
    """
    parts = []
    for view in views(warehouse, history_start(warehouse.settings.exchange, first), first, last):
        bars = bars_up_to(warehouse, view.first, view.last)
        rows = features_of(bars, warehouse.settings.benchmark)
        version = pl.lit(frame_version(bars)).alias("data_version")
        parts.append(rows.filter(pl.col("session").is_between(view.first, view.last)).with_columns(version))
    return pl.concat(parts)


def bars_up_to(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Bars of every instrument, the index included, for features of sessions first..last, as known at last's cutoff.

    Starts as much earlier as the longest window needs.
    """
    settings = warehouse.settings
    start = history_start(settings.exchange, first)
    bars = bars_as_of(warehouse, start, last, known_at(settings, last))
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
