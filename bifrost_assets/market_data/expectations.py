"""The Great Expectations suite on daily bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data.evidence import CheckResult
from bifrost_assets.market_data.quality.runner import validated

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

SUITE = "daily_bars"
MEASURES = ("open", "high", "low", "close", "volume")

WINDOW = """
    select i.symbol, b.instrument_id, b.session, b.open, b.high, b.low, b.close, b.volume, b.available_at,
           b.ingested_at, b.provider, b.payload_sha256, s.close_at
    from raw.daily_bars_as_of() b
    join reference.instruments i using (instrument_id)
    left join reference.sessions s on s.exchange_mic = i.exchange_mic and s.session = b.session
    where b.session between $1 and $2
"""
# It starts from what should be there, so that a symbol without any bar in the window is counted, too.
SESSIONS_MISSING = """
    with listed as (
        select i.instrument_id, wanted.symbol, i.exchange_mic, i.listed_to, first.session as since
        from reference.meant_by(string_to_array($3, ','), $2) wanted
        join reference.instruments i using (instrument_id)
        cross join lateral (
            select d.session from raw.daily_bars d where d.instrument_id = i.instrument_id order by d.session limit 1
        ) first
    )
    select l.symbol, (count(*) filter (where b.session is null))::integer as sessions_missing
    from listed l
    join reference.sessions s on s.exchange_mic = l.exchange_mic
        and s.session between greatest($1, l.since) and least($2, l.listed_to)
    left join raw.daily_bars_as_of() b on b.instrument_id = l.instrument_id and b.session = s.session
    group by l.instrument_id, l.symbol
    order by l.symbol
"""


def read_window(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Current vintages of the window's bars, with their sessions' closes."""
    return warehouse.read(WINDOW, first, last)


def sessions_missing(warehouse: Warehouse, symbols: Sequence[str], first: date, last: date) -> dict[str, int]:
    """How many sessions of the window each symbol lacks since its first bar; who lacks none is left out.

    What counts is the instrument behind a symbol, under whatever symbol it is traded now.
    """
    counts = warehouse.read(SESSIONS_MISSING, first, last, ",".join(symbols))
    return dict(counts.filter(pl.col("sessions_missing") > 0).iter_rows())


def validate(bars: pl.DataFrame) -> list[CheckResult]:
    """Each expectation, whether `bars` meets it, and what was seen."""
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    frame = bars.with_columns(rises=pl.col("high") - top, falls=bottom - pl.col("low"))
    return validated(frame, SUITE, _expectations())


def _expectations() -> list[Any]:
    import great_expectations.expectations as e

    columns = [
        *("symbol", "instrument_id", "session", *MEASURES, "available_at", "ingested_at"),
        *("provider", "payload_sha256", "close_at"),
    ]
    return [
        e.ExpectTableColumnsToMatchSet(column_set=columns, exact_match=False),
        e.ExpectTableRowCountToBeBetween(min_value=1),
        e.ExpectCompoundColumnsToBeUnique(column_list=["instrument_id", "session"]),
        *(e.ExpectColumnValuesToNotBeNull(column=name) for name in columns),
        *(e.ExpectColumnValuesToBeBetween(column=name, min_value=0, strict_min=True) for name in MEASURES[:4]),
        e.ExpectColumnValuesToBeBetween(column="volume", min_value=0),
        e.ExpectColumnPairValuesAToBeGreaterThanB(column_A="high", column_B="low", or_equal=True),
        e.ExpectColumnValuesToBeBetween(column="rises", min_value=0),
        e.ExpectColumnValuesToBeBetween(column="falls", min_value=0),
        e.ExpectColumnPairValuesAToBeGreaterThanB(column_A="available_at", column_B="close_at", or_equal=True),
    ]
