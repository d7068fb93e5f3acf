"""The revision radar: what providers changed after the fact, and what would have been another way because of it."""

from __future__ import annotations

import polars as pl
import streamlit as st

from streamlit_app import layout, queries
from streamlit_app import statements as sql
from streamlit_app.layout import DAY, MONEY, PERCENT, WHEN, Figure

REMEDY = "The nightly run looks for them: `bifrost nightly` or Dagster's job `nightly`."


def render() -> None:
    """Draw the page."""
    layout.title(
        "Revisions", "What providers changed after it was stored, and what the corrected data would have changed."
    )
    queries.ensure_warehouse()
    effects = queries.rows(sql.REVISION_EFFECTS)
    bars = queries.rows(sql.REVISED_BARS)
    if effects.is_empty() and bars.is_empty():
        st.success("No provider has changed what it had published.", icon=":material/verified:")
        st.caption(REMEDY)
        return
    _figures(effects)
    _effects(effects)
    _bars(bars)


def _figures(effects: pl.DataFrame) -> None:
    if effects.is_empty():
        return
    largest, weight = effects.select(pl.col("largest_change", "largest_weight_change").max()).row(0)
    layout.metrics(
        Figure("Revisions", f"{effects['revised_at'].n_unique():,}", f"{effects['revised_sessions'].sum():,} bars"),
        Figure("Largest change", "–" if largest is None else f"{largest:.2%}", "of a close"),
        Figure("Targets", f"{effects['targets'].sum():,}", f"would differ, by {weight:.2%} at most"),
        Figure("Fills", f"{effects['fills'].sum():,}", f"from such targets, ${effects['fill_value'].sum():,.0f}"),
    )


def _effects(effects: pl.DataFrame) -> None:
    st.header("What would have been another way")
    formats = {
        "revised_at": WHEN,
        "first_session": DAY,
        "last_session": DAY,
        "largest_change": PERCENT,
        "largest_weight_change": PERCENT,
        "fill_value": MONEY,
    }
    layout.table(effects, f"Not looked into yet. {REMEDY}", formats=formats)
    st.caption(
        "Features, predictions, signals and targets of sessions that were computed before the revision was known, with "
        "the data before and after it. Models stay as they were trained."
    )


def _bars(bars: pl.DataFrame) -> None:
    st.header("Revised bars")
    formats = {"superseded_at": WHEN, "session": DAY, "largest_price_change": PERCENT, "volume_change": PERCENT}
    layout.table(bars, "Built by dbt's fct_bar_revisions in the nightly run.", formats=formats)
