"""Data quality: what is held or doubted, the row beside its neighbours, a person's decision, checks, thresholds."""

from __future__ import annotations

import getpass

import polars as pl
import streamlit as st

from bifrost_core import quarantine
from bifrost_core.errors import BifrostError
from bifrost_core.quarantine import Decision
from streamlit_app import layout, queries
from streamlit_app import quality_statements as sql
from streamlit_app.layout import SHARES, Figure

STATUSES = ("undecided", "held", "flagged", "released", "dropped", "all")
OURS = "raw.daily_bars"


def render() -> None:
    """Draw the page."""
    queries.ensure_warehouse()
    layout.title("Data quality", "What did not look right in market data, and what was decided about it.")
    _figures()
    if said := st.session_state.pop("decided", None):
        st.success(said, icon=":material/gavel:")
    _quarantine()
    _decisions()
    _checks()
    _thresholds()


def _figures() -> None:
    counts = queries.rows(sql.COUNTS).row(0, named=True)
    layout.metrics(
        Figure("Held", f"{counts['held']:,}", "not stored", "Wrong almost for certain: waits for a person."),
        Figure("Flagged", f"{counts['flagged']:,}", "stored and doubted", "A check doubts it: waits for a person."),
        Figure("Released", f"{counts['released']:,}", "said to be right"),
        Figure("Dropped", f"{counts['dropped']:,}", "said to be wrong"),
    )


def _quarantine() -> None:
    st.header("Quarantine")
    left, right = st.columns([3, 1])
    status = left.segmented_control("Show", STATUSES, default="undecided", key="status") or "undecided"
    symbol = right.text_input("Symbol", key="symbol").strip().upper()
    rows = queries.rows(quarantine.LISTED, status, symbol, 200)
    if rows.is_empty():
        empty = f"Nothing is {status}." if status != "all" else "Nothing was held or doubted."
        layout.empty(empty, "What the checks doubt appears here after each load; `bifrost demo` fills an empty shop.")
        return
    layout.table(rows.drop("source", "decided_at"), "", most=8)
    labels = {row["quarantine_id"]: _label(row) for row in rows.iter_rows(named=True)}
    chosen = st.selectbox("Look at", list(labels), format_func=labels.__getitem__, key="chosen")
    _one(int(chosen))


def _label(row: dict[str, object]) -> str:
    return f"{row['quarantine_id']} · {row['subject']} · {row['session'] or 'no session'} · {row['status']}"


def _one(chosen: int) -> None:
    row = queries.rows(sql.ONE, chosen).row(0, named=True)
    st.markdown(f"**{row['reason']}**")
    origin = f"{row['source']} from {row['provider']}, payload `{(row['payload_sha256'] or '')[:16]}…`"
    st.caption(f"{origin}, {layout.when(row['quarantined_at'])}")
    if row["source"] == OURS and row["session"]:
        _neighbours(chosen)
    else:
        st.code(row["row"], language="json")
    if row["status"] in ("held", "flagged"):
        _form(chosen, row["status"])


def _neighbours(chosen: int) -> None:
    rows = queries.rows(sql.NEIGHBOURS, chosen)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        layout.table(rows, "No bar is stored around it.", "", formats={"volume": SHARES}, most=10)
    with right:
        if rows.height > 1:
            layout.lines(_closes(rows), ["with this row", "as stored"], "close", ",.2f", height=240)


def _closes(rows: pl.DataFrame) -> pl.DataFrame:
    """Closes by session: as they are stored, and as they would be with the row that was chosen."""
    is_stored, close = pl.col("bar").str.starts_with("stored"), pl.col("close")
    found = {"as stored": close.filter(is_stored).first(), "this": close.filter(~is_stored).first()}
    by_session = rows.group_by("session").agg(**found).sort("session")
    return by_session.with_columns(pl.coalesce("this", "as stored").alias("with this row"))


def _form(chosen: int, status: str) -> None:
    meaning = {
        "held": "Release stores the bar, known from now on. Drop leaves it out for good.",
        "flagged": "Release says that the bar is right. Drop withdraws it: features no longer see it.",
    }[status]
    with st.form("decision"):
        st.caption(meaning)
        left, right = st.columns([1, 3])
        actor = left.text_input("Who decides", value=getpass.getuser(), key="actor", max_chars=100)
        because = right.text_input("Because", key="because", max_chars=500)
        release, drop, _ = st.columns([1, 1, 6])
        if release.form_submit_button("Release", type="primary"):
            _decide(chosen, Decision.RELEASE, because, actor)
        if drop.form_submit_button("Drop"):
            _decide(chosen, Decision.DROP, because, actor)


def _decide(chosen: int, decision: Decision, because: str, actor: str) -> None:
    """Do it, and say what came of it; the app's one write, as bifrost_api."""
    try:
        quarantine.decide(queries.settings(), [chosen], decision, because, actor)
    except BifrostError as error:
        st.error(f"**{error.problem}.** {error.remedy}.", icon=":material/error:")
        return
    st.cache_data.clear()
    st.session_state["decided"] = f"Row {chosen} is {decision}."
    st.rerun()


def _decisions() -> None:
    st.header("Decisions")
    layout.table(queries.rows(sql.DECISIONS), "Nobody has decided anything yet.", "", most=6)


def _checks() -> None:
    st.header("Suites")
    layout.table(queries.rows(sql.SUITES), "No suite has run yet.", most=8)


def _thresholds() -> None:
    st.header("Thresholds")
    limits = queries.settings().quality
    rows = [
        (name, float(getattr(limits, name)), field.description) for name, field in type(limits).model_fields.items()
    ]
    frame = pl.DataFrame(rows, schema=["threshold", "value", "meaning"], orient="row")
    layout.table(frame, "", most=30, formats={"value": st.column_config.NumberColumn(format="%g")})
    st.caption("Set in the `[quality]` table of `bifrost.toml`.")
