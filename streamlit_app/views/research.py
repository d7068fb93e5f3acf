"""Backtests against buy-and-hold, the latest signals, and the models behind them."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import streamlit as st

from streamlit_app import layout, queries
from streamlit_app import statements as sql
from streamlit_app.layout import PERCENT, SHARES

FRACTIONS = ("return", "cagr", "volatility", "drawdown", "turnover", "exposure", "hit_rate", "worst_cash")


def render() -> None:
    """Draw the page."""
    layout.title("Research", "Backtests plan their orders and pay their costs as the daemon does.")
    queries.ensure_warehouse()
    backtests = queries.rows(sql.BACKTESTS)
    st.header("Backtests")
    if backtests.is_empty():
        layout.empty("No backtest was run yet.")
    else:
        _backtests(backtests)
    left, right = st.columns(2, gap="medium")
    with left:
        _signals()
    with right:
        _models()


def _backtests(backtests: pl.DataFrame) -> None:
    """The newest and the longest backtest of each strategy: a table, and the curves of the one that is chosen."""
    numbers = with_metrics(backtests).drop("backtest_id")
    shown = {name: _format(numbers[name]) for name in numbers.columns if numbers.schema[name].is_float()}
    layout.table(numbers, "No backtest was run yet.", formats=shown)
    labels = {f"{row['strategy']} since {row['first_session']}": row for row in backtests.to_dicts()}
    chosen = st.segmented_control("Backtest", list(labels), default=next(iter(labels)))
    if chosen is None:
        layout.empty("Choose a backtest to see its equity curve.", "")
        return
    row = labels[chosen]
    curve = queries.rows(sql.BACKTEST_EQUITY, row["backtest_id"], slow=True)
    named = curve.rename({"equity": row["strategy"], "benchmark": "buy and hold"})
    layout.lines(named, [row["strategy"], "buy and hold"], "Equity, USD", "$,.0f")
    layout.area(curve, "drawdown", "Drawdown", ".0%")


def with_metrics(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with the numbers of their `metrics` (JSON text) as columns, the benchmark's last, after the window."""
    parsed = [json.loads(text) for text in rows["metrics"]]
    names = sorted({name for metrics in parsed for name, value in metrics.items() if isinstance(value, int | float)})
    names.sort(key=lambda name: name.startswith("benchmark_"))
    numbers = {name: [_number(metrics.get(name)) for metrics in parsed] for name in names}
    columns = [pl.Series(name, values, dtype=pl.Float64) for name, values in numbers.items()]
    at = rows.columns.index("metrics")
    return rows.select(*rows.columns[:at], *columns, *rows.columns[at + 1 :])


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _format(column: pl.Series) -> Any:
    """Percent for what is a fraction by its name, none for counts, else three digits."""
    if any(word in column.name for word in FRACTIONS):
        return PERCENT
    is_count = (column.drop_nulls() % 1 == 0).all()
    return SHARES if is_count else st.column_config.NumberColumn(format="%,.3f")


def _signals() -> None:
    rows = queries.rows(sql.SIGNALS)
    session = layout.value(rows, "session")
    st.header(f"Signals of {session}" if session else "Signals")
    if rows.is_empty():
        layout.empty("No strategy has spoken yet.")
        return
    wide = rows.pivot("strategy", index="symbol", values="weight")
    layout.table(wide, "", formats=dict.fromkeys(wide.columns[1:], PERCENT))


def _models() -> None:
    st.header("Model versions")
    rows = queries.rows(sql.MODELS)
    if rows.is_empty():
        layout.empty("No model was trained yet.")
        return
    table = with_metrics(rows)
    four = st.column_config.NumberColumn(format="%,.4f")
    shown = {"train_rows": SHARES} | {name: four for name in table.columns if table.schema[name].is_float()}
    layout.table(table, "", formats=shown, most=9)
