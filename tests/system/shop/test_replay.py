"""The demo's replay, three sessions of it, checked against the exchange's own ledger."""

from __future__ import annotations

import re
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from bifrost_core import lineage
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.system.shop.conftest import SESSIONS, Shop

pytestmark = [pytest.mark.system, pytest.mark.timeout(2000)]


def ledger(shop: Shop, sql: str) -> list[tuple[object, ...]]:
    """Rows of the exchange's ledger, which the daemon never reads."""
    path: Path = shop.settings.home / "paper_exchange" / "ledger.sqlite"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_demo_trades_and_says_so(shop: Shop) -> None:
    """Without it a demo that traded nothing would pass every comparison of nothing with nothing."""
    assert shop.first_contents["trading.fills"][0] > 0
    assert shop.first_contents["trading.orders"][0] >= 5
    assert f"sessions traded  {SESSIONS}" in shop.first
    assert "0 failed" in shop.first, shop.first
    doubted = re.findall(r"warning +(raw\S+)", shop.first)
    assert doubted == ["raw/daily_bars:bars_are_plausible"], shop.first  # two bars of the sample data are doubtful


def test_fills_equal_the_exchanges_own_ledger(shop: Shop) -> None:
    """A fill lost, doubled or changed on the way from the exchange to the book shows here."""
    ours = shop.read("select exec_id, client_order_id, symbol, side, last_qty, last_px, commission from trading.fills")
    theirs = ledger(
        shop,
        "select exec_id, client_order_id, e.symbol, e.side, e.qty, price, commission"
        " from executions e join orders using (order_id)",
    )
    exact = {(*row[:4], *(Decimal(str(value)) for value in row[4:])) for row in theirs}
    assert {tuple(row) for row in ours} == exact
    assert len(ours) == len(theirs)


def test_each_intent_is_at_most_one_broker_order(shop: Shop) -> None:
    """Exactly once: the exchange knows only orders that were intents first, each under its own id."""
    intents = {row[0] for row in shop.read("select client_order_id from trading.orders")}
    accepted = [row[0] for row in ledger(shop, "select client_order_id from orders")]
    assert len(accepted) == len(set(accepted))
    assert set(accepted) <= intents


def test_positions_are_the_sum_of_fills_and_the_exchanges(shop: Shop) -> None:
    """The book's position is derived; if it drifts from the fills, everything after it is wrong."""
    summed = shop.read(
        "select symbol, sum(case side when 'buy' then last_qty else -last_qty end) from trading.fills group by symbol"
    )
    held = shop.read("select symbol, quantity from trading.positions")
    theirs = {symbol: Decimal(str(qty)) for symbol, qty in ledger(shop, "select symbol, qty from positions")}
    flat = Decimal(0)
    assert {s: q for s, q in summed if q != flat} == {s: q for s, q in held if q != flat}
    assert {s: q for s, q in held if q != flat} == {s: q for s, q in theirs.items() if q != flat}


def test_cash_ties_to_the_cent(shop: Shop) -> None:
    """Initial cash less purchases, plus sales, less commissions: the balance, here and at the exchange."""
    ((initial, balance, flow),) = shop.read(
        "select initial_cash, balance,"
        " (select sum(case side when 'buy' then -1 else 1 end * last_qty * last_px - commission)"
        " from trading.fills f where f.account = c.account) from trading.cash c join trading.accounts using (account)"
    )
    ((cash,),) = ledger(shop, "select value from meta where key = 'cash'")
    assert balance == initial + flow
    assert balance.quantize(Decimal("0.01")) == Decimal(str(cash)).quantize(Decimal("0.01"))


def test_running_it_twice_changes_nothing(shop: Shop) -> None:
    """The second demo goes on from where the first ended: no row is added, none doubled, none changed."""
    assert shop.second_contents == shop.first_contents


def test_every_provenance_link_resolves(shop: Shop) -> None:
    """Every fill leads back to payload bytes; a broken link makes the book unexplainable."""
    assert lineage.unresolved(Warehouse(shop.settings, Role.READER)) == []


def test_the_audit_chain_is_whole_and_covers_every_event(shop: Shop) -> None:
    """A gap in the chain, or an event outside it, is how tampering would look."""
    assert shop.read("select audit.verify()") == [(None,)]
    ((events, decisions),) = shop.read(
        "select (select count(*) from trading.order_events), (select count(*) from trading.risk_decisions)"
    )
    chained = dict(shop.read("select kind, count(*) from audit.chain group by kind"))
    assert sum(chained.values()) >= events + decisions
    assert shop.read("select bool_and(is_clean) from trading.reconciliations") == [(True,)]


def test_pnl_of_the_mart_is_cash_plus_positions_at_close(shop: Shop) -> None:
    """The figure the app shows first: recomputed here from fills and raw closes."""
    ((mart,),) = shop.read("select equity from marts.fct_pnl_daily order by session desc limit 1")
    ((recomputed,),) = shop.read(
        "select (select balance from trading.cash) + sum(quantity * close::numeric) from trading.positions"
        " join reference.instruments using (symbol) join lateral (select close from raw.daily_bars b"
        " where b.instrument_id = instruments.instrument_id"
        " order by session desc, ingested_at desc limit 1) last on true"
    )
    assert Decimal(mart).quantize(Decimal("0.01")) == recomputed.quantize(Decimal("0.01"))


def test_targets_are_traded_only_after_their_session(shop: Shop) -> None:
    """Look-ahead at the last step: an order before the next open of its target's session."""
    assert shop.read(
        "select count(*) from trading.orders o join signals.target_batches b using (batch_id)"
        " where o.created_at <= b.as_of_session + interval '1 day'"
        " or o.created_at not between b.valid_from and b.valid_until"
    ) == [(0,)]
