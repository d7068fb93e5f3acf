"""The daemon end to end: its own process, the paper exchange's, PostgreSQL, real bars."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal

import pytest

from bifrost_core.trading.costs import to_cent
from tests.execution_daemon.shell.conftest import CLOSES, Shop, cut_connections, make_batch, write_batch

WEIGHTS = {"AAPL": "0.25", "FB": "0.15", "GOOG": "0", "IBM": "0.20", "MSFT": "0.10"}
SIGNED = "select symbol, sum(case side when 'buy' then last_qty else -last_qty end) from trading.fills group by symbol"
SPENT = (
    "select coalesce(sum(case side when 'buy' then -1 else 1 end * last_qty * last_px - commission), 0)"
    " from trading.fills"
)
HELD = "select symbol, quantity from trading.positions where quantity <> 0"


def exchange_book(shop: Shop) -> tuple[Decimal, dict[str, Decimal], set[str]]:
    """Cash, positions and order ids, as the exchange has them."""
    with shop.exchange.trader as client:
        cash = Decimal(client.get("/v2/account").raise_for_status().json()["cash"])
        positions = {p["symbol"]: Decimal(p["qty"]) for p in client.get("/v2/positions").json()}
        orders = client.get("/v2/orders", params={"status": "all", "limit": 500}).raise_for_status().json()
    ids = [o["client_order_id"] for o in orders]
    assert len(ids) == len(set(ids))
    return cash, positions, set(ids)


def assert_books_agree(shop: Shop) -> None:
    """Orders, positions and cash are the exchange's; positions are the sum of fills; the audit chain is whole."""
    cash, positions, ids = exchange_book(shop)
    held = dict(shop.daemon.read(HELD))
    spent = shop.daemon.read(SPENT)
    balance, reserved = shop.daemon.read("select balance, reserved from trading.cash")[0]
    assert {s: q for s, q in shop.daemon.read(SIGNED) if q} == held == positions
    assert balance == shop.settings.initial_cash + spent[0][0]
    assert (to_cent(balance), reserved) == (cash, 0)
    assert {row[0] for row in shop.daemon.read("select client_order_id from trading.orders")} == ids
    assert shop.daemon.read("select audit.verify()") == [(None,)]
    assert shop.daemon.post("/reconcile")["breaks"] == []


def test_a_batch_becomes_fills_positions_and_cash(shop):
    """Nothing else matters if targets do not become the book that the exchange says we have, to the cent."""
    shop.daemon.start()
    batch = shop.write(WEIGHTS)
    shop.daemon.wait_intake(batch, "worked")
    assert shop.daemon.read("select distinct time_in_force from trading.orders") == [("opg",)]
    shop.trade_to_close()
    assert_books_agree(shop)
    assert set(dict(shop.daemon.read(HELD))) == {"AAPL", "FB", "IBM", "MSFT"}
    assert shop.daemon.read("select distinct session from trading.fills") == [(shop.session.session,)]
    decisions = shop.daemon.read("select outcome, reason_code, count(*) from trading.risk_decisions group by 1, 2")
    assert decisions == [("accepted", "ACCEPTED", 4)]


def test_the_next_day_sells_before_it_buys(shop):
    """A turn of the whole book: closing orders come first and nothing is left of what is no longer wanted."""
    shop.daemon.start()
    shop.daemon.wait_intake(shop.write(WEIGHTS), "worked")
    shop.trade_to_close()
    turned = {"AAPL": "0", "FB": "0", "GOOG": "0.28", "IBM": "0.20", "MSFT": "0.29"}
    second = write_batch(shop.warehouse, make_batch(shop.settings, shop.next_session, turned))
    shop.move_clock(shop.next_session.open_at.replace(minute=0))
    shop.daemon.wait_intake(second, "worked")
    sides = shop.daemon.read("select side from trading.risk_decisions where batch_id = %s order by decision_id", second)
    assert sides == sorted(sides, reverse=True)
    shop.move_clock(shop.next_session.open_at)
    shop.move_clock(shop.next_session.close_at)
    shop.daemon.wait(lambda: shop.daemon.state()["open_orders"] == 0, "orders to end")
    assert_books_agree(shop)
    assert set(dict(shop.daemon.read(HELD))) == {"GOOG", "IBM", "MSFT"}


def test_an_open_market_gets_day_orders(shop):
    """A batch that comes late would miss the auction and never trade."""
    shop.daemon.start()
    shop.move_clock(shop.session.open_at)
    shop.daemon.wait_intake(shop.write({"MSFT": "0.1"}), "worked")
    assert shop.daemon.read("select time_in_force from trading.orders") == [("day",)]
    shop.move_clock(shop.session.close_at)
    shop.daemon.wait(lambda: shop.daemon.state()["open_orders"] == 0, "orders to end")
    assert_books_agree(shop)


def bad_batches(shop: Shop) -> dict[str, uuid.UUID]:
    """One batch for each way to be wrong, by the code it must be refused with."""
    good = make_batch(shop.settings, shop.session, {"MSFT": "0.1", "IBM": "0.1"})

    def written(number: int, batch=good, **changes: object) -> uuid.UUID:
        return write_batch(shop.warehouse, replace(batch, batch_id=uuid.UUID(int=number)), **changes)

    yesterday = replace(
        shop.session, open_at=shop.session.open_at.replace(day=18), close_at=shop.session.close_at.replace(day=18)
    )
    stranger = make_batch(shop.settings, shop.session, {"ZZZ": "0.1"}, {"ZZZ": "10"})
    return {
        "HASH_MISMATCH": written(1, content_hash="0" * 64),
        "HALF_WRITTEN": written(2, row_count=5),
        "NOT_FINITE": written(
            3, replace(good, targets=(replace(good.targets[0], target_weight=Decimal("NaN")), *good.targets[1:]))
        ),
        "UNKNOWN_SYMBOL": written(4, stranger),
        "EXPIRED": written(5, make_batch(shop.settings, yesterday, {"MSFT": "0.1"})),
        "GROSS_JUMP": written(6, make_batch(shop.settings, shop.session, {"MSFT": "2.5"})),
    }


def test_bad_batches_are_quarantined_and_nothing_is_traded(shop):
    """A tampered, half-written, expired, scaled or NaN batch would be traded; each says why it was not, once."""
    shop.daemon.start()
    for code, batch in bad_batches(shop).items():
        _status, reason, detail = shop.daemon.wait_intake(batch, "quarantined")
        assert reason == code
        assert detail
        assert "\n" not in detail
    assert shop.daemon.read("select count(*) from trading.risk_decisions") == [(0,)]
    audited = shop.daemon.read("select payload->>'reason_code' from audit.chain where kind = 'batch'")
    assert len(audited) == 6
    good = shop.write({"MSFT": "0.1"})
    assert shop.daemon.wait_intake(good, "worked")


def test_a_later_batch_supersedes_an_earlier_one(shop):
    """Both would be traded, the older one against what the newer one wants."""
    older = shop.write({"MSFT": "0.1"})
    newer = shop.write({"MSFT": "0.2"})
    shop.daemon.start()
    shop.daemon.wait_intake(newer, "worked")
    assert shop.daemon.wait_intake(older, "quarantined")[1] == "SUPERSEDED"
    assert len(shop.daemon.read("select 1 from trading.orders")) == 1


def test_a_batch_waits_for_its_time(shop):
    """Tomorrow's targets traded today would see the future the wrong way round."""
    shop.daemon.start()
    batch = write_batch(shop.warehouse, make_batch(shop.settings, shop.next_session, {"MSFT": "0.1"}))
    shop.daemon.post("/wake")
    assert shop.daemon.intake(batch) is None
    assert shop.daemon.state()["pending_batches"] == 1
    shop.move_clock(shop.next_session.open_at.replace(minute=0))
    shop.daemon.wait_intake(batch, "worked")


@pytest.mark.parametrize(
    ("scope", "key", "denied"),
    [("global", "*", {"IBM", "MSFT"}), ("symbol", "IBM", {"IBM"}), ("strategy", "momentum_12_1", {"IBM", "MSFT"}),
     ("account", "elsewhere", set())],
)  # fmt: skip
def test_a_kill_switch_stops_its_scope(shop, scope, key, denied):
    """The one button that must work."""
    shop.daemon.start()
    shop.daemon.post("/halt", {"scope": scope, "key": key, "reason": "a test"})
    batch = shop.write({"IBM": "0.1", "MSFT": "0.1"})
    shop.daemon.wait_intake(batch, "worked")
    found = shop.daemon.read("select symbol, reason_code from trading.risk_decisions where outcome = 'denied'")
    assert found == [(symbol, "KILL_SWITCH") for symbol in sorted(denied)]
    assert exchange_book(shop)[2] == {row[0] for row in shop.daemon.read("select client_order_id from trading.orders")}
    assert shop.daemon.state()["kill_switches"][0]["key"] == key


def test_denials_are_stored_with_limit_and_value(shop):
    """Compliance reads them; an order that was denied is not an order."""
    shop.daemon.start()
    batch = shop.write({"MSFT": "0.51", "IBM": "0.1"})
    shop.daemon.wait_intake(batch, "worked")
    (row,) = shop.daemon.read(
        "select symbol, reason_code, limit_value, actual_value from trading.risk_decisions where outcome = 'denied'"
    )
    assert row[:3] == ("MSFT", "MAX_ORDER_VALUE", Decimal(500_000))
    assert row[3] > 500_000
    assert shop.daemon.read("select symbol from trading.orders") == [("IBM",)]


@pytest.mark.parametrize("point", ["batch_accepted", "intent_committed", "order_sent", "event_recorded"])
def test_killed_anywhere_it_sends_each_order_once(shop, point):
    """kill -9 between any two steps: after the restart every order is at the exchange once, and the books agree."""
    shop.daemon.start(BIFROST_FAILPOINT=point)
    batch = shop.write(WEIGHTS)
    shop.daemon.wait_killed()
    shop.daemon.start()
    shop.daemon.wait_intake(batch, "worked")
    assert len(exchange_book(shop)[2]) == 4
    assert shop.daemon.state()["blocked_symbols"] == []
    shop.trade_to_close()
    assert_books_agree(shop)
    assert shop.daemon.read("select count(*) from trading.orders where ord_status = 'filled'") == [(4,)]


def test_killed_before_the_open_it_learns_of_the_fills_afterwards(shop):
    """Fills made while the daemon was dead are in no stream it will ever hear."""
    shop.daemon.start()
    shop.daemon.wait_intake(shop.write(WEIGHTS), "worked")
    assert shop.daemon.process is not None
    shop.daemon.process.kill()
    shop.daemon.process.wait()
    shop.exchange.move_clock(shop.session.open_at)
    shop.exchange.move_clock(shop.session.close_at)
    shop.daemon.start()
    shop.daemon.wait(lambda: shop.daemon.state()["open_orders"] == 0, "orders to end")
    assert_books_agree(shop)


def test_the_exchange_may_die_and_come_back(shop):
    """Silence is not refusal: the order is unknown until the exchange, back again, proves what became of it."""
    shop.daemon.start()
    shop.daemon.wait_intake(shop.write({"MSFT": "0.1"}), "worked")
    shop.exchange.kill()
    shop.exchange.start()
    shop.trade_to_close()
    assert_books_agree(shop)


def test_a_break_halts_its_symbol_and_is_recorded(shop):
    """A position that the exchange does not know of must not be traded on."""
    shop.daemon.start()
    shop.daemon.wait_intake(shop.write(WEIGHTS), "worked")
    shop.trade_to_close()
    with shop.exchange.trader as client:  # somebody trades past us
        order = {"symbol": "IBM", "qty": "7", "side": "buy", "type": "market", "time_in_force": "opg"}
        client.post("/v2/orders", json={**order, "client_order_id": "not-ours"}).raise_for_status()
    shop.exchange.move_clock(shop.next_session.open_at)
    found = shop.daemon.post("/reconcile")
    assert not found["is_clean"]
    assert {b["symbol"] for b in found["breaks"]} == {"IBM", "*"}
    assert {b["kind"] for b in found["breaks"]} == {"position", "cash", "fill_missing"}
    state = shop.daemon.state()
    assert state["state"] == "halted"
    assert {b["symbol"] for b in state["blocked_symbols"]} == {"IBM", "*"}
    batch = write_batch(shop.warehouse, make_batch(shop.settings, shop.next_session, {"AAPL": "0"}))
    shop.daemon.wait_intake(batch, "worked")
    assert shop.daemon.read("select reason_code from trading.risk_decisions where batch_id = %s", batch) == [
        ("SYMBOL_BLOCKED",)
    ]


def test_running_again_changes_nothing(shop):
    """A restart, a second doorbell and a second look must not trade the same batch again."""
    shop.daemon.start()
    shop.daemon.wait_intake(shop.write(WEIGHTS), "worked")
    shop.trade_to_close()
    before = shop.daemon.read("select count(*) from trading.order_events") + shop.daemon.read(HELD + " order by 1")
    shop.daemon.stop()
    shop.daemon.start()
    shop.daemon.post("/wake")
    assert before == shop.daemon.read("select count(*) from trading.order_events") + shop.daemon.read(
        HELD + " order by 1"
    )
    assert_books_agree(shop)


def test_the_stored_projections_are_what_the_events_say(shop, tmp_path):
    """order_events is the source of truth only if everything else can be thrown away."""
    import asyncio

    from execution_daemon.shell.postgres import PostgresGateway
    from execution_daemon.shell.store import Store

    shop.daemon.start()
    shop.daemon.wait_intake(shop.write(WEIGHTS), "worked")
    shop.trade_to_close()

    async def drift() -> tuple[str, ...]:
        store = Store(await PostgresGateway(shop.settings).statements(), shop.settings, "test")
        try:
            return await store.drift()
        finally:
            await store.close()

    assert asyncio.run(drift()) == ()


def test_a_taken_port_is_one_clear_line(shop):
    """Two daemons on one machine: the second says which setting to change."""
    shop.daemon.start()
    log = shop.daemon.log
    second = replace(shop.daemon, log=log.with_name("second.log"), process=None)
    process = second.spawn()
    assert process.wait(20) == 1
    (line,) = second.log.read_text().splitlines()
    assert str(shop.settings.daemon_port) in line
    assert "BIFROST_DAEMON_PORT" in line


def test_a_second_daemon_stands_by_until_the_first_is_gone(shop, free_port):
    """Two leaders would each believe in their own book."""
    shop.daemon.start()
    port = free_port()
    second = replace(
        shop.daemon,
        settings=shop.settings.model_copy(update={"daemon_port": port}),
        log=shop.daemon.log.with_name("second.log"),
        process=None,
    )
    second.spawn()
    try:
        second.wait(lambda: "standing by" in second.log.read_text(), "the second to stand by")
        assert not second.is_ready()
        assert shop.daemon.process is not None
        shop.daemon.process.kill()
        shop.daemon.process.wait()
        second.wait(second.is_ready, "the second to take over")
        assert second.state()["epoch"] == 2
    finally:
        second.stop()


def test_sigterm_ends_it_cleanly(shop):
    """The supervisor would have to kill it, and the next one to wait for the lease."""
    shop.daemon.start()
    assert shop.daemon.process is not None
    shop.daemon.process.terminate()
    assert shop.daemon.process.wait(10) == 0
    assert "Traceback" not in shop.daemon.log.read_text()


def test_a_dead_database_ends_it_with_one_clear_line(shop):
    """A page of traceback does not say what to do; a supervisor needs the exit code."""
    shop.daemon.start()
    cut_connections(shop.settings)
    assert shop.daemon.process is not None
    assert shop.daemon.process.wait(20) == 1
    log = shop.daemon.log.read_text()
    assert "Traceback" not in log
    assert "bifrost db start" in log.splitlines()[-1]
    shop.daemon.start()


def test_every_price_of_the_fixture_is_a_real_close(shop):
    """The collar would deny what these tests trade, or hide that it does not."""
    rows = shop.daemon.read(
        "select symbol, close from raw.daily_bars join reference.instruments using (instrument_id)"
        " where session = '2013-02-19'"
    )
    assert {s: Decimal(str(c)) for s, c in rows} == {s: Decimal(c) for s, c in CLOSES.items()}
