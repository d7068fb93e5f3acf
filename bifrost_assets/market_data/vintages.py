"""Bars into the warehouse, append-only: a changed value becomes a new vintage, an unchanged one changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl

from bifrost_core.warehouse.bulk import copy_frame

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.warehouse.warehouse import Warehouse

KEY = ["instrument_id", "session"]
VALUES = ["open", "high", "low", "close", "volume"]
SCHEMA = pl.Schema(
    {
        "instrument_id": pl.Int32(),
        "session": pl.Date(),
        "ingested_at": pl.Datetime("us", "UTC"),
        "available_at": pl.Datetime("us", "UTC"),
        **{name: pl.Float64() for name in VALUES},
        "vendor_adj_close": pl.Float64(),
        "provider": pl.String(),
        "payload_sha256": pl.String(),
    }
)
LOADERS = 7_201_001  # advisory lock: loads take turns, so that each compares with what the one before it left

STORED = """
    select instrument_id, session, ingested_at, open, high, low, close, volume from raw.daily_bars_as_of()
    where session between $1 and $2 and instrument_id = any(string_to_array($3, ',')::integer[])
"""
REPLACED = "select distinct instrument_id, session from raw.daily_bars_superseded where session between $1 and $2"
ANY_STORED = """
    select exists (select from raw.daily_bars where session between %s and %s and instrument_id = any(%s))
"""


@dataclass(frozen=True, slots=True)
class Appended:
    """What a load did, in bars: seen for the first time, with a new vintage, as they were; the first two counted."""

    inserted: int = 0
    revised: int = 0
    unchanged: int = 0
    by_instrument: Counter[int] = field(default_factory=Counter, compare=False)
    by_session: Counter[date] = field(default_factory=Counter, compare=False)

    def __add__(self, other: Appended) -> Appended:
        return Appended(
            self.inserted + other.inserted,
            self.revised + other.revised,
            self.unchanged + other.unchanged,
            self.by_instrument + other.by_instrument,
            self.by_session + other.by_session,
        )

    @classmethod
    def of(cls, new: pl.DataFrame, revised: pl.DataFrame, unchanged: int) -> Appended:
        """Counts of the appended rows."""
        both = pl.concat([new.select(KEY), revised.select(KEY)])
        counted = [Counter(dict(both[name].value_counts().iter_rows())) for name in KEY]
        return cls(new.height, revised.height, unchanged, *counted)


def take_turn(connection: psycopg.Connection) -> datetime:
    """Wait until no other load appends, until the end of the transaction; returns the time then, by the server."""
    connection.execute("select pg_advisory_xact_lock(%s)", (LOADERS,))
    [now] = connection.execute("select clock_timestamp()").fetchone() or [None]
    assert isinstance(now, datetime)
    return now.astimezone(UTC)


def append_vintages(
    warehouse: Warehouse, connection: psycopg.Connection, bars: pl.DataFrame, ingested_at: datetime
) -> Appended:
    """Store what is new in `bars` (SCHEMA without ingested_at, one row per instrument and session).

    In the transaction of `connection`, which has taken its turn. A first vintage keeps its `available_at`; a revision
    was not known before it was stored, so its is not earlier than `ingested_at`. Raises ValueError for two rows with
    one key. Works year by year, so that memory is bounded by the largest year, whatever the history.
    """
    total = Appended()
    for _, year in (
        sorted(bars.group_by(pl.col("session").dt.year()), key=lambda group: group[0]) if bars.height else ()
    ):
        total += _append(warehouse, connection, _complete(year, ingested_at), ingested_at)
    return total


def _complete(bars: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """`bars` with every column of the table, in key order (which is how the primary key is filled fastest)."""
    missing = pl.lit(None, dtype=pl.Float64)
    adjusted = pl.col("vendor_adj_close") if "vendor_adj_close" in bars.columns else missing
    whole = bars.with_columns(ingested_at=pl.lit(at), vendor_adj_close=adjusted).select(*SCHEMA).cast(SCHEMA).sort(KEY)
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in KEY)
    if whole.select(again.any()).item():
        raise ValueError("bars hold an instrument's session more than once: sift them first")
    return whole


def _append(warehouse: Warehouse, connection: psycopg.Connection, bars: pl.DataFrame, at: datetime) -> Appended:
    span = bars.select(first=pl.col("session").min(), last=pl.col("session").max()).row(0)
    instruments = bars["instrument_id"].unique().to_list()
    if connection.execute(ANY_STORED, (*span, instruments)).fetchone() == (False,):
        copy_frame(connection, bars, "raw.daily_bars")
        return Appended.of(bars, bars.clear(), 0)
    stored = warehouse.read(STORED, *span, ",".join(map(str, instruments)))  # committed: this load holds the lock
    known_now = pl.max_horizontal("available_at", "ingested_at")
    replaced = warehouse.read(REPLACED, *span)
    missing = bars.join(stored, on=KEY, how="anti")
    again = missing.join(replaced, on=KEY, how="semi").with_columns(available_at=known_now)  # withdrawn before
    new = pl.concat([missing.join(replaced, on=KEY, how="anti"), again])
    changed = _changed(bars, stored)
    revised = bars.join(changed, on=KEY, how="semi").with_columns(available_at=known_now)
    copy_frame(connection, pl.concat([new, revised]), "raw.daily_bars")
    copy_frame(connection, changed.with_columns(superseded_at=pl.lit(at)), "raw.daily_bars_superseded")
    return Appended.of(new, revised, bars.height - new.height - revised.height)


def _changed(bars: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Keys (KEY, ingested_at) of the stored vintages whose values `bars` contradicts."""
    both = bars.select(*KEY, *VALUES).join(stored, on=KEY, suffix="_stored")
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_stored") for name in VALUES)
    return both.filter(differs).select(*KEY, "ingested_at")
