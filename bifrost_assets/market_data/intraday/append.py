"""Minutes into the warehouse, append-only: a changed value becomes a new vintage, an unchanged one changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from bifrost_core.warehouse.bulk import copy_frame

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.warehouse.warehouse import Warehouse

KEY = ["instrument_id", "start_at"]
VALUES = ["open", "high", "low", "close", "volume"]
SCHEMA = pl.Schema(
    {
        "instrument_id": pl.Int32(),
        "session": pl.Date(),
        "start_at": pl.Datetime("us", "UTC"),
        "ingested_at": pl.Datetime("us", "UTC"),
        "available_at": pl.Datetime("us", "UTC"),
        **{name: pl.Float64() for name in VALUES},
        "provider": pl.String(),
        "payload_sha256": pl.String(),
    }
)
LOADERS = 7_201_002  # advisory lock: loads take turns, so that each compares with what the one before it left

STORED = """
    select instrument_id, session, start_at, ingested_at, open, high, low, close, volume from raw.minute_bars_as_of()
    where start_at between $1 and $2 and instrument_id = any(string_to_array($3, ',')::integer[])
"""
ANY_STORED = """
    select exists (select from raw.minute_bars where start_at between %s and %s and instrument_id = any(%s))
"""


@dataclass(frozen=True, slots=True)
class Appended:
    """What a load did, in minutes: seen for the first time, with a new vintage, as they were."""

    inserted: int = 0
    revised: int = 0
    unchanged: int = 0

    def __add__(self, other: Appended) -> Appended:
        return Appended(self.inserted + other.inserted, self.revised + other.revised, self.unchanged + other.unchanged)


def append_minutes(
    warehouse: Warehouse, connection: psycopg.Connection, minutes: pl.DataFrame, at: datetime
) -> tuple[Appended, dict[int, int]]:
    """Store what is new in `minutes` (SCHEMA without ingested_at, one row per KEY) in the connection's transaction.

    The transaction holds the lock LOADERS, and the partitions are there. A minute of a session that is stored already
    was not known before `at`, be it revised or only late. A stored minute that `minutes` lacks stays: silence is no
    correction. Returns counts, and the changed rows by instrument.
    """
    if minutes.is_empty():
        return Appended(), {}
    whole = minutes.with_columns(ingested_at=pl.lit(at)).select(*SCHEMA).cast(SCHEMA).sort(KEY)
    span = whole.select(first=pl.col("start_at").min(), last=pl.col("start_at").max()).row(0)
    instruments = whole["instrument_id"].unique().to_list()
    if connection.execute(ANY_STORED, (*span, instruments)).fetchone() == (False,):
        copy_frame(connection, whole, "raw.minute_bars")
        return Appended(inserted=whole.height), _by_instrument(whole)
    stored = warehouse.read(STORED, *span, ",".join(map(str, instruments)))  # committed: this load holds the lock
    new, revised, replaced = _compared(whole, stored)
    copy_frame(connection, pl.concat([new, revised]), "raw.minute_bars")
    copy_frame(connection, replaced.with_columns(superseded_at=pl.lit(at)), "raw.minute_bars_superseded")
    counts = Appended(new.height, revised.height, whole.height - new.height - revised.height)
    return counts, _by_instrument(pl.concat([new, revised]))


def _compared(minutes: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """New rows, revised rows, and keys with ingested_at of the stored vintages that the latter replace."""
    both = minutes.select(*KEY, *VALUES).join(stored, on=KEY, suffix="_stored")
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_stored") for name in VALUES)
    replaced = both.filter(differs).select(*KEY, "ingested_at")
    known_now = pl.max_horizontal("available_at", "ingested_at")
    revised = minutes.join(replaced, on=KEY, how="semi").with_columns(available_at=known_now)
    new = minutes.join(stored, on=KEY, how="anti")
    loaded = stored.select("instrument_id", "session").unique()
    first = new.join(loaded, on=["instrument_id", "session"], how="anti")
    late = new.join(loaded, on=["instrument_id", "session"], how="semi").with_columns(available_at=known_now)
    return pl.concat([first, late]), revised, replaced


def _by_instrument(rows: pl.DataFrame) -> dict[int, int]:
    return dict(rows["instrument_id"].value_counts().iter_rows())
