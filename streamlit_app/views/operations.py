"""Is everything fresh, checked and alive; and the switch that stops trading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import streamlit as st

from bifrost_core.errors import BifrostError
from streamlit_app import daemon, layout, queries
from streamlit_app import statements as sql
from streamlit_app.layout import Figure

SCOPES = ("global", "account", "strategy", "symbol")
JUDGED_LATELY = 900.0  # seconds: three ticks of the sensor


def render() -> None:
    """Draw the page."""
    layout.title("Operations", "Freshness and checks of every asset, the execution daemon, and the kill switch.")
    queries.ensure_warehouse()
    left, right = st.columns(2, gap="medium")
    with left:
        live = _daemon()
    with right:
        _kill_switch(live)
    _lateness()
    _freshness()
    _checks()
    _quarantine()
    _runs()


def _daemon() -> dict[str, Any] | None:
    st.header("Execution daemon")
    settings = queries.settings()
    try:
        live = daemon.state(settings)
    except BifrostError as error:
        st.warning(f"**{error.problem}** {error.remedy}.", icon=":material/error:")
        live = None
    else:
        if live is None:
            st.warning(
                f"No daemon answers at {settings.daemon_url}. Start it with `bifrost up` or `bifrost daemon`; "
                "until then nothing is traded, and everything else on this page holds.",
                icon=":material/power_off:",
            )
    if live:
        _live(live)
    beats = queries.rows(sql.HEARTBEATS)
    ago = st.column_config.NumberColumn("seconds ago", format="%,.0f")
    order = ["component", "state", "market_time", "beat_at", "seconds_ago"]
    layout.table(
        beats, "No part has given a sign of life yet.",
        formats={"seconds_ago": ago}, column_order=order,
    )  # fmt: skip
    return live


def _live(live: dict[str, Any]) -> None:
    reconciled = live.get("last_reconciliation") or {}
    clean = {True: "clean", False: "BREAKS", None: "–"}[reconciled.get("is_clean")]
    layout.metrics(
        Figure("State", str(live.get("state", "–")), f"lease epoch {live.get('epoch', '–')}"),
        Figure("Market time", str(live.get("market_time") or "–")[:16].replace("T", " "), "UTC"),
        Figure("Open orders", _count(live.get("open_orders")), f"{_count(live.get('unknown_orders'))} unknown"),
        Figure("Reconciled", clean, str(reconciled.get("event_at", "never"))[:16].replace("T", " ")),
    )


def _count(value: Any) -> str:
    """A number, or the length of a list."""
    return str(len(value)) if isinstance(value, list) else str(value or 0)


def _kill_switch(live: dict[str, Any] | None) -> None:
    st.header("Kill switch")
    switches = queries.rows(sql.KILL_SWITCHES)
    engaged = switches.filter(pl.col("engaged")) if switches.height else switches
    if engaged.is_empty():
        st.success("No switch is engaged: orders may flow.", icon=":material/check_circle:")
    else:
        st.error(f"{engaged.height} engaged: no new order in {_scopes(engaged)}.", icon=":material/block:")
        layout.table(engaged, "", column_order=["scope", "key", "reason", "actor", "changed_at"])
    if notice := st.session_state.pop("switched", None):
        st.toast(notice, icon=":material/check:")
    if doubt := st.session_state.pop("unknown", None):
        st.warning(doubt, icon=":material/warning:")
    engage, release = st.tabs(["Engage", "Release"])
    with engage:
        _engage_form(live is None)
    with release:
        _release_form(engaged, live is None)
        _releases(live is None)


def _scopes(switches: pl.DataFrame) -> str:
    return ", ".join(f"{r['scope']}{'' if r['key'] == '*' else ' ' + r['key']}" for r in switches.iter_rows(named=True))


def _engage_form(is_down: bool) -> None:
    with st.form("engage", border=False):
        left, right = st.columns(2)
        scope = left.selectbox("Scope", SCOPES)
        key = right.text_input("Account, strategy or symbol", help="Leave empty for the global switch")
        reason = st.text_input("Reason", max_chars=500, key="engage_reason")
        confirmed = st.checkbox("Stop new orders in this scope now", key="engage_confirmed")
        if st.form_submit_button("Engage", type="primary", disabled=is_down):
            _halt(scope, _spelt(scope, key.strip()), reason.strip(), confirmed)


def _spelt(scope: str, key: str) -> str:
    """The key as orders have it: symbols are upper case."""
    return "*" if scope == "global" else key.upper() if scope == "symbol" else key


def _release_form(engaged: pl.DataFrame, is_down: bool) -> None:
    if engaged.is_empty():
        st.caption("Nothing to release.")
        return
    with st.form("release", border=False):
        pairs = list(zip(engaged["scope"], engaged["key"], strict=True))
        scope, key = st.selectbox("Switch", pairs, format_func=lambda pair: " ".join(pair).removesuffix(" *"))
        reason = st.text_input("Reason", max_chars=500, key="release_reason")
        confirmed = st.checkbox("Ask that new orders flow again", key="release_confirmed")
        if st.form_submit_button("Release", type="primary", disabled=is_down):
            _propose(scope, key, reason.strip(), confirmed)


def _releases(is_down: bool) -> None:
    """Releases that wait for a second person, or for the end of their cool-off."""
    for row in queries.rows(sql.RELEASES).iter_rows(named=True):
        _release(row, is_down)


def _release(row: dict[str, Any], is_down: bool) -> None:
    number, digest = row["proposal_id"], row["diff_hash"]
    what = f"Release of {row['scope']} {row['key']}".removesuffix(" *")
    st.caption(
        f"{what}, proposed by {row['proposed_by']}: a second person approves it (`bifrost approve {number}`),"
        f" or it is applied after its cool-off, at {layout.when(row['cool_off_until'])}."
    )
    if st.button("Apply", key=f"apply_{number}", disabled=is_down):
        _do(lambda: daemon.apply(queries.settings(), number, digest), f"{what} applied")


def _halt(scope: str, key: str, reason: str, confirmed: bool) -> None:
    """Engage if the form is complete, and say what came of it."""
    if _is_complete(key, reason, confirmed):
        _do(lambda: _engage(scope, key, reason), f"{scope} switch engaged")


def _engage(scope: str, key: str, reason: str) -> None:
    """Engage; what is to be said after the page is drawn again is kept in the session."""
    if daemon.halt(queries.settings(), scope, key, reason).get("is_known") is False:
        doubt = f"Engaged, but nothing is known by the name {key}: check the spelling."
        st.session_state["unknown"] = doubt


def _propose(scope: str, key: str, reason: str, confirmed: bool) -> None:
    """Propose the release if the form is complete."""
    if _is_complete(key, reason, confirmed):
        _do(lambda: daemon.resume(queries.settings(), scope, key, reason), f"release of the {scope} switch proposed")


def _is_complete(key: str, reason: str, confirmed: bool) -> bool:
    if key and reason and confirmed:
        return True
    missing = "what it is for" if not key else "a reason" if not reason else "the confirmation"
    st.warning(f"Not done: {missing} is missing.", icon=":material/edit:")
    return False


def _do(work: Callable[[], object], notice: str) -> None:
    try:
        work()
    except BifrostError as error:
        st.error(f"**{error.problem}.** {error.remedy}.", icon=":material/error:")
        return
    st.cache_data.clear()
    st.session_state["switched"] = notice
    st.rerun()


def _lateness() -> None:
    st.header("What is late, and why")
    verdicts = queries.rows(sql.LATENESS)
    judge = "Dagster's sensor `freshness` judges every five minutes while `bifrost up` runs."
    if verdicts.is_empty():
        layout.empty("No asset was judged yet.", judge)
        return
    late, judged_at = verdicts.filter("is_late"), layout.when(layout.value(verdicts, "judged_at"))
    if layout.value(verdicts, "judged_seconds_ago") > JUDGED_LATELY:
        st.warning(f"Last judged at {judged_at}: this may no longer hold. {judge}", icon=":material/history:")
    if late.is_empty():
        due = layout.value(verdicts, "due_session")
        st.success(f"All {verdicts.height} assets have session {due}, the one due.", icon=":material/check_circle:")
    else:
        hours = st.column_config.NumberColumn("hours late", format="%,.1f")
        order = ["asset", "due_session", "has_session", "hours_late", "cause", "why", "run_id"]
        layout.table(late, "", formats={"hours_late": hours}, column_order=order)
    alerts = queries.rows(sql.ALERTS)
    if alerts.height:
        with st.expander(f"Alerts ({alerts.height})"):
            layout.table(alerts, "")


def _freshness() -> None:
    st.header("Freshness of assets")
    facts, made = queries.rows(sql.FRESHNESS, slow=True), queries.dagster_rows(sql.MATERIALIZATIONS)
    if made.height:
        facts = facts.join(made, on="asset", how="full", coalesce=True)
    number = st.column_config.NumberColumn("rows", format="%,.0f")
    formats = {"row_count": number}
    shown = facts.sort("asset") if facts.height else facts
    layout.table(shown, "No asset was materialized yet.", formats=formats)


def _checks() -> None:
    st.header("Checks")
    checks, expectations = queries.dagster_rows(sql.ASSET_CHECKS), queries.rows(sql.CHECK_RESULTS)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Asset checks")
        layout.table(checks, "Dagster has run no check yet.", most=9)
    with right:
        st.subheader("Great Expectations")
        layout.table(expectations, "No suite has run yet.", most=9)


def _quarantine() -> None:
    st.header("Quarantine")
    rows = queries.rows(sql.QUARANTINED)
    if rows.is_empty():
        st.caption("Empty: no row failed a rule.")
    else:
        layout.table(rows, "")


def _runs() -> None:
    st.header("Last Dagster runs")
    seconds = st.column_config.NumberColumn(format="%,.1f")
    rows = queries.dagster_rows(sql.RUNS)
    layout.table(rows, "Dagster has run nothing yet.", formats={"seconds": seconds})
