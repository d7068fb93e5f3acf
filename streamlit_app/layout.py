"""What every page shares: numbers as text, charts, empty states, and errors as one box with a remedy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from typing import Any, Literal

import altair as alt
import polars as pl
import streamlit as st
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException, StopException

from bifrost_core.errors import BifrostError

LOG = logging.getLogger("bifrost.streamlit")
ROW_PIXELS = 35
FEW_DAYS = 120
DEMO = "Run `bifrost demo` to fill it."
MONEY = st.column_config.NumberColumn(format="dollar")
DAY = st.column_config.DateColumn(format="YYYY-MM-DD")
SHARES = st.column_config.NumberColumn(format="%,.0f")
PERCENT = st.column_config.NumberColumn(format="percent")
WHEN = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")
CSS = """<style>
.block-container{padding-top:2.2rem;padding-bottom:2rem;max-width:1500px}
h1{font-size:1.5rem!important;padding:0 0 .2rem!important}
h2{font-size:1.05rem!important;padding:.4rem 0 .1rem!important}
h3{font-size:.95rem!important;padding:.3rem 0 .1rem!important}
[data-testid="stMetric"]{padding:.5rem .8rem!important}
[data-testid="stMetricValue"]{font-size:1.3rem;font-variant-numeric:tabular-nums}
[data-testid="stMetricLabel"] p{color:#5b6b7b;font-size:.8rem}
</style>"""


def style() -> None:
    """The compact look."""
    st.html(CSS)


def documentation(port: int) -> None:
    """The way from any page to what its tables and columns mean."""
    st.sidebar.link_button(
        "Tables and columns",
        f"http://127.0.0.1:{port}",
        icon=":material/menu_book:",
        help="dbt docs, served by `bifrost up`",
    )


def guarded(render: Callable[[], None]) -> Callable[[], None]:
    """`render`, with a failure shown as one box that says what to do, never as a traceback."""

    @wraps(render)
    def page() -> None:
        try:
            render()
        except (RerunException, StopException):
            raise
        except BifrostError as error:
            st.error(f"**{error.problem}**\n\n{error.remedy}.", icon=":material/error:")
        except Exception:
            LOG.exception("page %s could not be drawn", render.__module__)
            remedy = "The reason is in the dashboard's log; `bifrost doctor` checks every part."
            st.error(f"**This page could not be drawn.** {remedy}", icon=":material/error:")

    return page


def title(text: str, caption: str) -> None:
    """The page's heading with one line under it."""
    st.title(text)
    st.caption(caption)


def empty(what: str, remedy: str = DEMO) -> None:
    """Say that there is nothing yet, and what fills it."""
    st.info(f"{what} {remedy}", icon=":material/info:")


def table(
    rows: pl.DataFrame,
    nothing: str,
    remedy: str = DEMO,
    *,
    most: int = 15,
    formats: Mapping[str, Any] | None = None,
    column_order: Sequence[str] | None = None,
) -> None:
    """The rows as a compact table that shows `most` of them at once; where there are none, an empty state.

    Columns are named by their words; dates and times are ISO and UTC unless `formats` says otherwise.
    """
    if rows.is_empty():
        empty(nothing, remedy)
        return
    config = {name: _column(name, dtype, (formats or {}).get(name)) for name, dtype in rows.schema.items()}
    height: int | Literal["auto"] = ROW_PIXELS * (most + 1) + 3 if rows.height > most else "auto"
    st.dataframe(rows, height=height, hide_index=True, placeholder="–", column_config=config, column_order=column_order)


def _column(name: str, dtype: pl.DataType, chosen: Any) -> Any:
    base = chosen or (DAY if dtype == pl.Date else WHEN if dtype.is_temporal() else st.column_config.Column())
    return {**base, "label": base.get("label") or name.replace("_", " ")}


def money(value: float | None, digits: int = 2) -> str:
    """USD with thousands separators; a dash where it is not known."""
    if value is None:
        return "–"
    return f"{'-' if value < 0 else ''}${abs(value):,.{digits}f}"


def signed_money(value: float | None) -> str:
    """USD with its sign, for changes."""
    return "–" if value is None else f"{'+' if value >= 0 else '-'}${abs(value):,.2f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as percent."""
    return "–" if value is None else f"{value * 100:,.{digits}f} %"


def when(value: datetime | None) -> str:
    """Minutes are enough for a person; always UTC."""
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `note` is shown below it, coloured by its sign where it is a `change`."""

    label: str
    value: str
    note: str | None = None
    help: str = ""
    change: bool = False


def metrics(*figures: Figure) -> None:
    """One row of figures of equal height."""
    for column, figure in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            figure.label,
            figure.value,
            figure.note or " ",
            delta_color="normal" if figure.change else "off",
            delta_arrow="auto" if figure.change else "off",
            help=figure.help,
            border=True,
        )


def plural(count: int, noun: str) -> str:
    """ "1 check", "2 checks"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _sessions(rows: pl.DataFrame) -> alt.X:
    """The time axis: over a few weeks, a tick a day at most."""
    first, last = rows["session"].min(), rows["session"].max()
    days = (last - first).days if isinstance(first, date) and isinstance(last, date) else 0
    if days > FEW_DAYS:
        return alt.X("session:T", title=None)
    ticks = alt.TimeIntervalStep(interval="day", step=max(1, days // 8))
    return alt.X("session:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=ticks))


def lines(rows: pl.DataFrame, series: Sequence[str], y_title: str, y_format: str, height: int = 280) -> None:
    """Lines over `session`, one per column of `series`; the axis does not start at zero."""
    long = rows.select("session", *series).unpivot(index="session", variable_name="series")
    zoom = alt.selection_interval(bind="scales", encodings=["x"])
    chart = (
        alt.Chart(long)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=_sessions(rows),
            y=alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=False), axis=alt.Axis(format=y_format)),
            color=alt.Color("series:N", title=None, sort=list(series), legend=alt.Legend(orient="top")),
            tooltip=[alt.Tooltip("session:T", format="%Y-%m-%d"), "series:N", alt.Tooltip("value:Q", format=y_format)],
        )
        .properties(height=height)
        .add_params(zoom)
    )
    st.altair_chart(chart, width="stretch")


def area(rows: pl.DataFrame, column: str, y_title: str, y_format: str, height: int = 160) -> None:
    """One filled area over `session`, for drawdowns."""
    chart = (
        alt.Chart(rows)
        .mark_area(opacity=0.35, line={"strokeWidth": 1.2, "color": "#b42318"}, color="#b42318")
        .encode(
            x=_sessions(rows),
            y=alt.Y(f"{column}:Q", title=y_title, axis=alt.Axis(format=y_format)),
            tooltip=[alt.Tooltip("session:T", format="%Y-%m-%d"), alt.Tooltip(f"{column}:Q", format=y_format)],
        )
        .properties(height=height)
    )
    st.altair_chart(chart, width="stretch")


def value(rows: pl.DataFrame, column: str) -> Any:
    """The column of the first row, or None where there is no row."""
    return rows[column][0] if rows.height else None
