"""What the controls decided, how near the limits are, and the evidence: reconciliations, audit chain, reports."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import streamlit as st

from bifrost_core.provenance import sha256
from streamlit_app import layout, queries
from streamlit_app import statements as sql
from streamlit_app.layout import MONEY, SHARES


def render() -> None:
    """Draw the page."""
    account = queries.settings().account
    layout.title("Risk and compliance", "Every decision, accepted or denied, with the limit and the actual value.")
    queries.ensure_warehouse()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _limits(account)
    with right:
        _chain()
        _blocked(account)
    _decisions(account)
    _reconciliations(account)
    _reports()


def _limits(account: str) -> None:
    st.header("Limits in force")
    used = st.column_config.ProgressColumn("share used", format="percent", min_value=0.0, max_value=1.0)
    number = st.column_config.NumberColumn(format="%,.2f")
    formats = {"share_used": used, "limit_value": number, "used": number, "headroom": number}
    order = ["code", "limit_value", "unit", "used", "headroom", "share_used", "version"]
    rows = queries.rows(sql.LIMITS, account)
    layout.table(rows, "Limits show against the book once prices are loaded.", formats=formats, column_order=order)


def _chain() -> None:
    st.header("Audit chain")
    head = queries.rows(sql.CHAIN, slow=True).row(0, named=True)
    broken = head["broken_seq"]
    if broken is None:
        st.success(f"Whole: {head['length']:,} entries, each hash recomputed.", icon=":material/verified:")
    else:
        what = f"Broken at entry {broken:,} of {head['length']:,}: it was changed, removed or put in."
        st.error(what, icon=":material/error:")
    st.caption(f"Newest entry {layout.when(head['newest_at'])}, head `{head['head_hash'][:16]}…`")


def _blocked(account: str) -> None:
    rows = queries.rows(sql.BLOCKED, account)
    st.header("Blocked symbols")
    if rows.is_empty():
        st.caption("None: every symbol may trade.")
    else:
        layout.table(rows, "")


def _decisions(account: str) -> None:
    st.header("Risk decisions")
    counts = queries.rows(sql.DECISION_COUNTS, account)
    if counts.is_empty():
        layout.empty("No order was decided yet.")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        layout.table(counts, "")
    with right:
        outcome = st.segmented_control("Show", ["all", "denied", "accepted"], default="all", key="outcome") or "all"
        money = dict.fromkeys(("reference_price", "limit_value", "actual_value"), MONEY)
        formats = {"order_qty": SHARES, **money}
        rows = queries.rows(sql.DECISIONS, account, outcome)
        layout.table(rows, f"No decision was {outcome}.", "", formats=formats, most=8)


def _reconciliations(account: str) -> None:
    st.header("Reconciliations with the broker's ledger")
    rows = queries.rows(sql.RECONCILIATIONS, account)
    layout.table(rows, "The book was not reconciled yet.", most=6)


def _reports() -> None:
    st.header("Daily reports")
    sessions = queries.rows(sql.REPORT_SESSIONS)
    if sessions.is_empty():
        layout.empty("No report was written yet.")
        return
    session = st.selectbox("Session", sessions["session"].to_list(), format_func=date.isoformat)
    files = queries.reports(session)
    for row in files.iter_rows(named=True):
        _report(row["path"], row["sha256"], row["row_count"])
    tables = [path for path in files["path"] if path.endswith(".csv")]
    chosen = st.segmented_control("Preview", tables, format_func=_short, default=None)
    if chosen and (content := _content(chosen)) is not None:
        st.dataframe(pl.read_csv(content, infer_schema_length=None), hide_index=True, width="stretch")


def _short(path: str) -> str:
    return Path(path).stem.replace("_", " ")


def _content(path: str) -> bytes | None:
    """The file's bytes; None where it is gone. What compliance.reports names stays under the artifacts folder."""
    root = queries.settings().artifacts.resolve()
    file = (root / path).resolve()
    return file.read_bytes() if file.is_relative_to(root) and file.is_file() else None


def _report(path: str, stored: str, row_count: int) -> None:
    content = _content(path)
    if content is None:
        st.warning(f"{path} is not on this machine. Materialize the session's report again.", icon=":material/error:")
        return
    name, hash_, button = st.columns([4, 4, 1], vertical_alignment="center")
    is_whole = sha256(content) == stored
    name.markdown(f"**{Path(path).name}** · {row_count:,} rows · {len(content) / 1024:,.1f} KB")
    state = ":green[as written]" if is_whole else ":red[CHANGED since it was written]"
    hash_.markdown(f"`{stored[:24]}…` {state}")
    button.download_button("Download", content, file_name=Path(path).name, key=path)
