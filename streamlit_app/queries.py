"""Every read of the app: parameterised, cached for seconds, as bifrost_reader."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import streamlit as st

from bifrost_core.errors import BifrostError
from bifrost_core.lineage import Link, explain
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse.bulk import read_frame
from bifrost_core.warehouse.connect import Database, Role, connect, url
from bifrost_core.warehouse.warehouse import Warehouse
from streamlit_app import statements as sql

FRESH, SLOW, ENTRIES = 5, 60, 200  # seconds, seconds, cached answers


@st.cache_resource(max_entries=1, show_spinner=False)
def settings() -> Settings:
    """The settings this server was started with."""
    return load_settings()


def is_missing_table(error: Exception) -> bool:
    """Whether a read failed because a table is not built yet."""
    return getattr(error, "sqlstate", None) in {"42P01", "3F000"} or "does not exist" in str(error)


@st.cache_data(ttl=FRESH, max_entries=ENTRIES, show_spinner=False)
def _fresh(address: str, statement: str, params: tuple[Any, ...]) -> pl.DataFrame:
    return read_frame(address, statement, params)


@st.cache_data(ttl=SLOW, max_entries=ENTRIES, show_spinner=False)
def _slow(address: str, statement: str, params: tuple[Any, ...]) -> pl.DataFrame:
    return read_frame(address, statement, params)


def rows(statement: str, *params: Any, slow: bool = False, database: Database = Database.WAREHOUSE) -> pl.DataFrame:
    """The rows of `statement`; no rows where dbt has not built its table yet.

    Raises BifrostError where the server cannot be used.
    """
    from adbc_driver_manager import Error

    read = _slow if slow else _fresh
    try:
        return read(url(settings(), Role.READER, database), statement, params)
    except Error as error:
        if is_missing_table(error):
            return pl.DataFrame()
        connect(settings(), Role.READER, database).close()  # where that is what failed, say it in our words
        raise


def dagster_rows(statement: str) -> pl.DataFrame:
    """The rows of `statement` in Dagster's storage; none where Dagster has not run yet, or its storage is closed."""
    try:
        return rows(statement, database=Database.DAGSTER)
    except BifrostError:
        return pl.DataFrame()
    except Exception as error:
        if "permission denied" in str(error):
            return pl.DataFrame()
        raise


def ensure_warehouse() -> None:
    """Raise BifrostError, with the remedy, where the warehouse cannot be read or has no tables."""
    with connect(settings(), Role.READER) as connection:
        row = connection.execute("select to_regclass('trading.orders') is not null").fetchone()
    if not row or not row[0]:
        raise BifrostError(
            f"database {settings().database} has no tables", "Run `bifrost db migrate`, or `bifrost demo`"
        )


def equity(account: str, benchmark: str) -> pl.DataFrame:
    """Rows by session with equity, the day's P&L and the benchmark's buy-and-hold of the first balance, USD."""
    daily = rows(sql.EQUITY, account, benchmark)
    if daily.is_empty():
        return daily
    base = rows(sql.BENCHMARK_BASE, account, benchmark)
    start = base["close"][0] if base.height else daily["benchmark_close"].drop_nulls().first()
    held = pl.col("benchmark_close") / start * pl.col("initial_cash") if start else pl.lit(None, pl.Float64)
    return daily.with_columns(benchmark=held)


@st.cache_data(ttl=SLOW, max_entries=ENTRIES, show_spinner=False)
def _trace(_address: str, identifier: str) -> Link:
    return explain(Warehouse(settings(), Role.READER), identifier)


def trace(identifier: str) -> Link:
    """Where a fill or an order came from; raises BifrostError where nothing has that id."""
    return _trace(url(settings(), Role.READER), identifier)


def reports(session: date) -> pl.DataFrame:
    """The report files of a session."""
    return rows(sql.REPORTS, session)
