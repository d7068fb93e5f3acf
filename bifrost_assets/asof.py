"""Bars as they were known at a time: the one read of features, models and targets, so that none of them looks ahead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from bifrost_core.calendar import cutoff, sessions_between

if TYPE_CHECKING:
    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

FOREVER = datetime.max.replace(tzinfo=UTC)
BARS = """
    select instrument_id, session, close, volume, split_factor * dividend_factor as factor, available_at
    from raw.bars_with_factors_as_of($3, $4) where session between $1 and $2
"""
INSTRUMENTS = "select instrument_id, symbol, asset_class from reference.instruments"
# What came to be known between two cutoffs about sessions up to the second, other than bars on their own day.
LATE = """
    select available_at as known_at from raw.daily_bars b
    join reference.sessions s on s.exchange_mic = $5 and s.session = b.session
    where b.session between $1 and $2 and b.available_at > $3 and b.available_at <= $4
        and b.available_at > s.close_at + make_interval(mins => $6::int)
    union
    select superseded_at from raw.daily_bars_superseded
    where session between $1 and $2 and superseded_at > $3 and superseded_at <= $4
    union
    select available_at from raw.corporate_actions a
    left join reference.sessions s on s.exchange_mic = $5 and s.session = a.ex_session
    where a.ex_session between $1 and $2 and a.available_at > $3 and a.available_at <= $4
        and (s.session is null or a.available_at > s.close_at + make_interval(mins => $6::int))
"""


@dataclass(frozen=True, slots=True)
class View:
    """Sessions first..last, for all of which what was known by `known_at` (the last one's cutoff) is what counts."""

    first: date
    last: date
    known_at: datetime


def known_at(settings: Settings, session: date) -> datetime:
    """The cutoff of `session`: its close and the availability lag."""
    return cutoff(settings.exchange, session, timedelta(minutes=settings.availability_lag_minutes))


def bars_as_of(
    warehouse: Warehouse, first: date, last: date, known: datetime, stored: datetime = FOREVER
) -> pl.DataFrame:
    """Bars of sessions first..last as known at `known` among those stored by `stored`, by instrument and session.

    Columns instrument_id, symbol, asset_class, session, close, volume, total_return (null on an instrument's first bar
    here) and available_at.
    """
    own = pl.col("instrument_id") == pl.col("instrument_id").shift(1)
    before = pl.when(own).then(pl.col("close").shift(1))
    return (
        warehouse.read(BARS, first, last, known, stored)
        .sort("instrument_id", "session")
        .with_columns(total_return=pl.col("close") / (before * pl.col("factor")) - 1)
        .join(warehouse.read(INSTRUMENTS), on="instrument_id", maintain_order="left")
        .select("instrument_id", "symbol", "asset_class", "session", "close", "volume", "total_return", "available_at")
    )


def views(warehouse: Warehouse, start: date, first: date, last: date) -> Sequence[View]:
    """Sessions first..last in runs that may share one read of the bars since `start`.

    A bar that came late, was corrected or withdrawn, or an action that did, parts the sessions whose cutoff was before
    it was known from the others. Nearly always there is one run.
    """
    settings = warehouse.settings
    sessions = [s.session for s in sessions_between(settings.exchange, first, last)]
    if len(sessions) < 2:
        return [View(first, last, known_at(settings, last))]
    spans = (start, last, known_at(settings, sessions[0]), known_at(settings, sessions[-1]))
    late = warehouse.read(LATE, *spans, settings.exchange, settings.availability_lag_minutes)["known_at"]
    return _runs(settings, sessions, late.to_list())


def _runs(settings: Settings, sessions: Sequence[date], instants: Iterable[datetime]) -> list[View]:
    """`sessions` parted before each one that is the first to know what came to be known at one of `instants`."""
    cutoffs = pl.Series([known_at(settings, one) for one in sessions], dtype=pl.Datetime("us", "UTC"))
    knowing = {int(cutoffs.search_sorted(instant)) for instant in instants}
    bounds = [*sorted({0, *knowing} - {len(sessions)}), len(sessions)]
    return [View(sessions[a], sessions[b - 1], known_at(settings, sessions[b - 1])) for a, b in pairwise(bounds)]
