"""The Great Expectations suite on daily bars."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from bifrost_assets.market_data.evidence import CheckResult

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
        select i.instrument_id, i.symbol, i.exchange_mic, first.session as since
        from reference.instruments i
        cross join lateral (
            select d.session from raw.daily_bars d where d.instrument_id = i.instrument_id order by d.session limit 1
        ) first
        where i.symbol = any(string_to_array($3, ','))
    )
    select l.symbol, (count(*) filter (where b.session is null))::integer as sessions_missing
    from listed l
    join reference.sessions s on s.exchange_mic = l.exchange_mic and s.session between greatest($1, l.since) and $2
    left join raw.daily_bars_as_of() b on b.instrument_id = l.instrument_id and b.session = s.session
    group by l.symbol
    order by l.symbol
"""


def read_window(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Current vintages of the window's bars, with their sessions' closes."""
    return warehouse.read(WINDOW, first, last)


def sessions_missing(warehouse: Warehouse, symbols: Sequence[str], first: date, last: date) -> dict[str, int]:
    """How many sessions of the window each symbol lacks since its first bar; who lacks none is left out."""
    counts = warehouse.read(SESSIONS_MISSING, first, last, ",".join(symbols))
    return dict(counts.filter(pl.col("sessions_missing") > 0).iter_rows())


def validate(bars: pl.DataFrame) -> list[CheckResult]:
    """Each expectation, whether `bars` meets it, and what was seen."""
    batch = _definition().get_batch(batch_parameters={"dataframe": _pandas(bars)})
    report = batch.validate(_suite())
    return [CheckResult(_name(one.expectation_config), bool(one.success), _observed(one)) for one in report.results]


def _pandas(bars: pl.DataFrame) -> Any:
    frame = bars.to_pandas()
    frame["rises"] = frame["high"] - frame[["open", "close"]].max(axis=1)
    frame["falls"] = frame[["open", "close"]].min(axis=1) - frame["low"]
    return frame


@cache
def _definition() -> Any:
    """One ephemeral context a process: making it costs more than all its validations."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("window").add_dataframe_asset("bars")
    return asset.add_batch_definition_whole_dataframe("all")


@cache
def _suite() -> Any:
    import great_expectations as gx
    import great_expectations.expectations as e

    columns = [
        *("symbol", "instrument_id", "session", *MEASURES, "available_at", "ingested_at"),
        *("provider", "payload_sha256", "close_at"),
    ]
    expectations: list[Any] = [
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
    return gx.ExpectationSuite(name=SUITE, expectations=expectations)


def _name(config: Any) -> str:
    about = config.kwargs
    subject = about.get("column") or " and ".join(filter(None, (about.get("column_A"), about.get("column_B"))))
    return f"{config.type} ({subject})" if subject else str(config.type)


def _observed(result: Any) -> dict[str, Any]:
    seen = result.result or {}
    names: Sequence[str] = ("observed_value", "element_count", "unexpected_count", "partial_unexpected_list")
    found = {name: seen[name] for name in names if seen.get(name) not in (None, [])}
    if error := (result.exception_info or {}).get("exception_message"):
        found["error"] = error
    return found
