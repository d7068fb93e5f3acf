"""The first screen: what the account is worth, what it holds, what it is about to do, and whether anything is wrong."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from bifrost_core.errors import BifrostError
from streamlit_app import daemon, layout, queries
from streamlit_app import statements as sql
from streamlit_app.layout import MONEY, PERCENT, SHARES, Figure

LAST = 15
FILL_ORDER = ("event_at", "symbol", "side", "quantity", "price", "value", "commission", "exec_id")


def render() -> None:
    """Draw the page."""
    settings = queries.settings()
    layout.title("Overview", f"Account {settings.account}. Times are UTC, money is USD.")
    queries.ensure_warehouse()
    equity = queries.equity(settings.account, settings.benchmark)
    last = equity.row(-1, named=True) if equity.height else {}
    positions = queries.rows(sql.POSITIONS, settings.account, float(last.get("equity") or 0))
    _figures(last, positions)
    left, right = st.columns([10, 9], gap="medium")
    with left:
        _equity(equity, settings.benchmark)
    with right:
        _targets(settings.account, last.get("equity"))
    _positions(positions)
    left, right = st.columns(2, gap="medium")
    with left:
        _orders(settings.account)
    with right:
        _fills(settings.account)


def _figures(last: dict[str, Any], positions: pl.DataFrame) -> None:
    account = queries.settings().account
    desk = queries.rows(sql.DESK, account).row(0, named=True)
    live, silence = _daemon()
    value, start, change = last.get("equity"), last.get("initial_cash"), last.get("daily_pnl")
    total = f"{layout.signed_money(value - start)} since start" if value is not None and start else None
    before = value - change if value is not None and change is not None else None
    held = positions["market_value"].fill_null(0.0) if positions.height else pl.Series([0.0])
    gross, net = float(held.abs().sum()), float(held.sum())
    share = f"{layout.percent(gross / value)} gross, {layout.percent(net / value)} net" if value else None
    layout.metrics(
        Figure("Equity", layout.money(value), total, "Cash and positions at the last close", change=True),
        Figure(f"P&L {last.get('session', 'today')}", layout.signed_money(change),
               f"{change / before * 100:+.2f} %" if before and change is not None else None,
               "Change of equity in the newest session with a close", change=True),
        Figure("Exposure", layout.money(gross), share, "Sum of absolute position values, and of signed ones"),
        Figure("Cash", layout.money(desk["cash"]),
               f"{layout.percent(desk['cash'] / value)} of equity" if value and desk["cash"] is not None else None,
               "Settled balance"),
    )  # fmt: skip
    ran, failed = _checks()
    verdict = "none has run yet" if not ran else failed[0][:40] if failed else f"{ran:,} passed"
    time = (live or {}).get("market_time") or desk["market_time"]
    layout.metrics(
        Figure("Open orders", str(desk["open_orders"]), _orders_note(desk), "Orders that may still trade"),
        Figure("Failed checks", str(len(failed)) if ran else "–", verdict, "\n\n".join(failed)),
        Figure("Kill switch", "ENGAGED" if desk["engaged"] else "released", desk["engaged"] or "orders may flow",
               "Engaged switches stop new orders in their scope"),
        Figure("Market time", _time(time), f"daemon {live['state']}" if live else "no daemon answers",
               "The daemon's clock (UTC): in a replay, the exchange's"),
    )  # fmt: skip
    _warnings(desk, silence, failed)


def _daemon() -> tuple[dict[str, Any] | None, str]:
    """The daemon's state, or None and why there is none."""
    try:
        live = daemon.state(queries.settings())
    except BifrostError as error:
        return None, str(error)
    return live, "" if live else "No daemon answers: nothing is traded until `bifrost up` runs"


def _orders_note(desk: dict[str, Any]) -> str:
    return f"{desk['unknown_orders']} unknown" if desk["unknown_orders"] else "none unknown"


def _time(value: Any) -> str:
    return "–" if value is None else str(value)[:16].replace("T", " ")


def _checks() -> tuple[int, list[str]]:
    """How many checks have a result, and the names of those whose newest one is a failure."""
    expectations, checks = queries.rows(sql.CHECK_RESULTS), queries.dagster_rows(sql.ASSET_CHECKS)
    found = []
    if expectations.height:
        bad = expectations.filter(~pl.col("passed"))
        found += [f"{row['asset_key']}: {row['expectation']}" for row in bad.iter_rows(named=True)]
    if checks.height:
        bad = checks.filter(pl.col("status") == "failed")
        found += [f"{row['asset']}: {row['check_name']}" for row in bad.iter_rows(named=True)]
    return expectations.height + checks.height, found


def _warnings(desk: dict[str, Any], silence: str, failed: list[str]) -> None:
    notes = []
    if desk["engaged"]:
        notes.append(f"Kill switch engaged: {desk['engaged']}")
    if desk["blocked_symbols"]:
        notes.append(f"{layout.plural(desk['blocked_symbols'], 'symbol')} blocked (Risk and compliance)")
    if desk["is_reconciled"] is False:
        notes.append("The last reconciliation found breaks (Risk and compliance)")
    if failed:
        notes.append(f"{layout.plural(len(failed), 'check')} failed (Operations)")
    if silence:
        notes.append(silence)
    if notes:
        st.warning(" · ".join(notes), icon=":material/notifications:")


def _equity(equity: pl.DataFrame, benchmark: str) -> None:
    st.header("Equity against the index")
    if equity.is_empty():
        layout.empty("Nothing was traded yet.")
        return
    name = f"{benchmark} buy and hold"
    layout.lines(equity.rename({"benchmark": name}), ["equity", name], "USD", "$,.0f", height=300)


def _targets(account: str, equity: float | None) -> None:
    st.header("Targets of the newest batch")
    batch = queries.rows(sql.NEWEST_BATCH, account)
    if batch.is_empty():
        layout.empty("There is no batch of targets yet.")
        return
    head = batch.row(0, named=True)
    refused = f" ({head['reason_code']}: {head['detail']})" if head["reason_code"] else ""
    st.caption(
        f"As of {head['as_of_session']}, valid {head['valid_from']:%Y-%m-%d %H:%M} to {head['valid_until']:%H:%M} UTC, "
        f"{head['strategies']}. Daemon: **{head['status']}**{refused}"
    )
    rows = queries.rows(sql.TARGETS, head["batch_id"], account, equity or 0.0)
    formats = {"target_weight": PERCENT, "current_weight": PERCENT, "reference_price": MONEY}
    layout.table(rows, "The batch holds no target.", formats=formats)


def _positions(positions: pl.DataFrame) -> None:
    st.header("Positions")
    money = ("avg_cost", "close", "market_value", "day_change", "unrealized_pnl", "realized_pnl")
    formats = {**dict.fromkeys(money, MONEY), "quantity": SHARES, "weight": PERCENT}
    layout.table(positions, "The account holds nothing.", formats=formats)


def _orders(account: str) -> None:
    st.header("Last orders")
    formats = {"order_qty": SHARES, "filled": SHARES, "avg_px": MONEY, "reference_price": MONEY}
    layout.table(queries.rows(sql.ORDERS, account, LAST), "No order was made yet.", formats=formats)


def _fills(account: str) -> None:
    st.header("Last fills")
    formats = {"quantity": SHARES, "price": MONEY, "value": MONEY, "commission": MONEY}
    layout.table(
        queries.rows(sql.FILLS, account, LAST), "Nothing was filled yet.", formats=formats, column_order=FILL_ORDER
    )
