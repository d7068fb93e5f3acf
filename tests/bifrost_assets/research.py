"""Real bars in the tables that the research side reads, and its assets run through Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import dagster as dg
import polars as pl

from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.warehouse import Warehouse

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT", "SPX")
IDS = {symbol: i for i, symbol in enumerate(SYMBOLS, 1)}
CREATE_BARS = """
    create table if not exists marts.fct_daily_bars (
        instrument_id integer, symbol text, asset_class text, session date, open float8, high float8, low float8,
        close float8, volume float8, total_return float8, adj_close float8, available_at timestamptz,
        ingested_at timestamptz, payload_sha256 text, primary key (instrument_id, session))
"""
PRICES = ("open", "high", "low", "close", "volume", "adj_close")


@cache
def sample_bars() -> pl.DataFrame:
    """Every bar of the sample data in the shape of marts.fct_daily_bars: five stocks 2000-2013, and the S&P 500."""
    import arch.data.sp500
    import bokeh_sampledata.stocks as stocks

    frames = []
    for symbol in SYMBOLS[:-1]:
        columns = getattr(stocks, symbol)
        own = pl.DataFrame(
            {name: columns[name] for name in PRICES}, schema=dict.fromkeys(PRICES, pl.Float64), strict=False
        )
        frames.append(own.with_columns(session=pl.Series(columns["date"]).str.to_date(), symbol=pl.lit(symbol)))
    index = arch.data.sp500.load()
    names = ("Open", "High", "Low", "Close", "Volume", "Adj Close")
    own = pl.DataFrame({to: index[name].to_numpy().astype(float) for to, name in zip(PRICES, names, strict=True)})
    frames.append(own.with_columns(session=pl.Series(list(index.index.date)), symbol=pl.lit("SPX")))
    return _shaped(pl.concat(frames))


def _shaped(bars: pl.DataFrame) -> pl.DataFrame:
    within = pl.col("session").is_between(date(2000, 1, 3), date(2013, 3, 1))
    known = pl.col("close_at").dt.offset_by("15m")
    sessions = [(s.session, s.close_at) for s in all_sessions("XNYS")]
    closes = pl.DataFrame(sessions, schema={"session": pl.Date, "close_at": pl.Datetime("us", "UTC")}, orient="row")
    return (
        bars.filter(within)
        .join(closes, on="session")
        .sort("symbol", "session")
        .with_columns(
            instrument_id=pl.col("symbol").replace_strict(IDS, return_dtype=pl.Int32),
            asset_class=pl.when(pl.col("symbol") == "SPX").then(pl.lit("index")).otherwise(pl.lit("equity")),
            total_return=(pl.col("adj_close") / pl.col("adj_close").shift(1) - 1).over("symbol"),
            available_at=known,
            ingested_at=known,
            payload_sha256=pl.lit("0" * 64),
        )
        .select(
            "instrument_id", "symbol", "asset_class", "session", *PRICES[:5], "total_return", "adj_close",
            "available_at", "ingested_at", "payload_sha256",
        )
    )  # fmt: skip


def load(warehouse: Warehouse, bars: pl.DataFrame) -> None:
    """Instruments, exchange sessions and `bars`, raw and as the mart, as the upstream assets would have left them."""
    schedule = [("XNYS", s.session, s.open_at, s.close_at, s.is_half_day) for s in all_sessions("XNYS")]
    with warehouse.transaction() as connection:
        connection.execute(CREATE_BARS)
        connection.cursor().executemany(
            "insert into reference.instruments (instrument_id, symbol, name, asset_class, exchange_mic, currency)"
            " values (%s, %s, %s, %s, 'XNYS', 'USD')",
            [(i, s, s, "index" if s == "SPX" else "equity") for i, s in enumerate(SYMBOLS, 1)],
        )
        columns = ["exchange_mic", "session", "open_at", "close_at", "is_half_day"]
        copy_frame(connection, pl.DataFrame(schedule, schema=columns, orient="row"), "reference.sessions")
        copy_frame(connection, bars, "marts.fct_daily_bars")
        copy_frame(connection, _members(bars), "reference.universe_members")
        copy_frame(connection, _raw(bars), "raw.daily_bars")
        copy_frame(connection, _actions(bars), "raw.corporate_actions")


def _members(bars: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("session").min().alias("valid_from")
    stocks = bars.filter(pl.col("asset_class") != "index").group_by("instrument_id").agg(first)
    return stocks.with_columns(universe=pl.lit("default"))


def _raw(bars: pl.DataFrame) -> pl.DataFrame:
    columns = ("instrument_id", "session", *PRICES[:5], "available_at", "ingested_at", "payload_sha256")
    return bars.select(*columns, provider=pl.lit("sample"))


def _actions(bars: pl.DataFrame) -> pl.DataFrame:
    """What makes returns of the closes those of the adjusted closes: an action wherever the two differ."""
    before = pl.col("close").shift(1).over("instrument_id")
    factor = pl.col("close") / (before * (1 + pl.col("total_return")))
    return bars.with_columns(price_factor=factor).filter((pl.col("price_factor") - 1).abs() > 1e-9).select(
        "instrument_id", "price_factor", "available_at", "ingested_at", "payload_sha256",
        ex_session="session", kind=pl.lit("cash_dividend"), provider=pl.lit("sample"),
    )  # fmt: skip


def materialize(
    definitions: Sequence[dg.Definitions], warehouse: Warehouse, first: date, last: date | None = None
) -> dg.ExecuteInProcessResult:
    """Run every asset and check of the domains for session `first`, or as one run for first..last."""
    job = dg.define_asset_job("research", selection=dg.AssetSelection.all(), executor_def=dg.in_process_executor)
    defs = dg.Definitions.merge(*definitions, dg.Definitions(jobs=[job], resources={"warehouse": warehouse}))
    resolved = defs.resolve_job_def("research")
    with dg.instance_for_test() as instance:
        if last is None:
            return resolved.execute_in_process(instance=instance, partition_key=first.isoformat())
        tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
        return resolved.execute_in_process(instance=instance, tags=tags)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Whether each check passed, by name of asset and check."""
    found = result.get_asset_check_evaluations()
    return {f"{'/'.join(e.asset_key.path)}:{e.check_name}": e.passed for e in found}


def rows(warehouse: Warehouse, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """The rows of `sql`, in psycopg's types."""
    with warehouse.transaction() as connection:
        return connection.execute(sql, params).fetchall()
