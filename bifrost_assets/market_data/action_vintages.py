"""Corporate actions into the warehouse, append-only: what the provider says now, beside what it said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from bifrost_core.warehouse.bulk import copy_frame

if TYPE_CHECKING:
    import psycopg

KEY = ["instrument_id", "ex_session", "kind"]
STORED_SCHEMA = {
    "instrument_id": pl.Int32,
    "ex_session": pl.Date,
    "kind": pl.String,
    "stored_factor": pl.Float64,
    "is_cancelled": pl.Boolean,
}
EXACT = 1e-9

STORED = """
    select instrument_id, ex_session, kind, price_factor, is_cancelled from raw.corporate_actions_as_of()
    where instrument_id = any(%s) and ex_session between %s and %s and kind in ('split', 'cash_dividend')
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Who says so, and when it was stored."""

    provider: str
    at: datetime


def store_actions(
    connection: psycopg.Connection, found: pl.DataFrame, bars: pl.DataFrame, source: Source
) -> Sequence[int]:
    """Append the actions of `found` that are new or other than stored; one that is gone is cancelled.

    `found` has KEY, price_factor, value and noise; `bars`, with available_at, is_overlap and payload_sha256, are those
    of the sessions that it speaks for. An action is known when its session's bar is. What changes a stored action was
    not known before now, but in the overlap of a later night it was with that night: a late bar can move an action to
    another session, and both of its rows have to be known at once. Returns the instrument of each row appended.
    """
    if bars.is_empty():
        return ()
    span = bars.select(pl.col("session").min().alias("first"), pl.col("session").max().alias("last")).row(0)
    rows = connection.execute(STORED, (bars["instrument_id"].unique().to_list(), *span)).fetchall()
    stored = pl.DataFrame(rows, schema=STORED_SCHEMA, orient="row")
    facts = bars.select(
        "instrument_id", pl.col("session").alias("ex_session"), "available_at", "is_overlap", "payload_sha256"
    )
    changed = pl.concat([_new(found, stored), _gone(found, stored)], how="diagonal").join(
        facts, on=["instrument_id", "ex_session"], how="inner"
    )
    known = (
        pl.when(pl.col("was_stored") & ~pl.col("is_overlap"))
        .then(pl.max_horizontal("available_at", pl.lit(source.at)))
        .otherwise("available_at")
    )
    vintages = changed.with_columns(
        known.alias("available_at"), ingested_at=pl.lit(source.at), provider=pl.lit(source.provider)
    ).drop("was_stored", "is_overlap")
    copy_frame(connection, vintages, "raw.corporate_actions")
    return vintages["instrument_id"].to_list()


def _new(found: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Actions that are not stored so: by more than rounding where the factor was read off prices."""
    both = found.join(stored, on=KEY, how="left")
    differs = (pl.col("stored_factor") - pl.col("price_factor")).abs() > pl.col("noise") + EXACT
    return both.filter(pl.col("stored_factor").is_null() | pl.col("is_cancelled") | differs).select(
        *KEY, "price_factor", "value", was_stored=pl.col("stored_factor").is_not_null(), is_cancelled=pl.lit(False)
    )


def _gone(found: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Stored actions that the provider does not name any more."""
    return (
        stored.filter(~pl.col("is_cancelled"))
        .join(found, on=KEY, how="anti")
        .select(*KEY, price_factor=pl.lit(1.0), was_stored=pl.lit(True), is_cancelled=pl.lit(True))
    )
