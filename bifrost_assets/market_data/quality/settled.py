"""What a person decided before, applied to what a provider sends again: called by the load between gate and storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.quality.measures import KEY, VALUES

if TYPE_CHECKING:
    from datetime import date

    import psycopg

IDENTITY = [*KEY, *VALUES]
SCHEMA = {
    "instrument_id": pl.Int32,
    "session": pl.Date,
    **dict.fromkeys(VALUES, pl.Float64),
    "decision": pl.String,
}
DECIDED = """
    select instrument_id, session, open, high, low, close, volume, decision from quarantine.decided_bars
    where session between %s and %s
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """`bars` to store and rows still `held`; how many went from held to bars, and how many came that were dropped."""

    bars: pl.DataFrame
    held: pl.DataFrame
    released: int = 0
    dropped: int = 0


def settle(connection: psycopg.Connection, bars: pl.DataFrame, held: pl.DataFrame) -> Settled:
    """Take out of both what was dropped before, and move from `held` to `bars` what was released before.

    Rows are known by instrument_id, session and OHLCV, to the bit. `held` has the columns of `bars` and `reason`.
    """
    days = pl.concat([bars["session"], held["session"]]).drop_nulls()
    if days.is_empty():
        return Settled(bars, held)
    decided = decisions(connection, days.min(), days.max())  # type: ignore[arg-type]
    if decided.is_empty():
        return Settled(bars, held)
    dropped = decided.filter(pl.col("decision") == "dropped")
    stays, waits = _without(bars, dropped), _without(held, dropped)
    still_held = _without(waits, decided.filter(pl.col("decision") == "released"))
    now_right = waits.join(still_held, on=IDENTITY, how="anti", nulls_equal=True, maintain_order="left")
    gone = bars.height - stays.height + held.height - waits.height
    return Settled(pl.concat([stays, now_right.select(bars.columns)]), still_held, now_right.height, gone)


def decisions(connection: psycopg.Connection, first: date, last: date) -> pl.DataFrame:
    """The bars that a person decided on, with the decision: released or dropped."""
    rows = connection.execute(DECIDED, (first, last)).fetchall()
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _without(rows: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    return rows.join(decided, on=IDENTITY, how="anti", nulls_equal=True, maintain_order="left")
