"""The process: what it survives, and what it says when it cannot start."""

from __future__ import annotations

import signal
import socket
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from bifrost_core.errors import BrokerError, WarehouseError
from execution_daemon.paper_exchange.main import run

BEFORE = timedelta(minutes=30)
ORDER = {"symbol": "MSFT", "side": "buy", "type": "market", "time_in_force": "opg", "qty": "100"}


def test_an_accepted_order_survives_kill_9(paper_exchange, market):
    """An order the broker said it has would be gone: the one thing a broker may not do."""
    session = market("2013-02-20")
    paper_exchange.move_clock(session.open_at - BEFORE)
    with paper_exchange.trader as trader:
        sent = trader.post("/v2/orders", json=ORDER | {"client_order_id": "a"}).raise_for_status().json()
        paper_exchange.kill()
        paper_exchange.start()
        assert trader.get("/v2/orders").json() == [sent]
        assert trader.get("/v2/clock").json()["timestamp"][:16] == "2013-02-20T14:00"
        paper_exchange.move_clock(session.open_at)
        paper_exchange.kill()
        paper_exchange.start()
        (fill,) = trader.get("/v2/account/activities/FILL").json()
        assert fill["order_id"] == sent["id"]
    contents = paper_exchange.contents()
    assert [p["qty"] for p in contents["positions"]] == ["100"]
    assert Decimal(contents["cash"]) == Decimal("1000000.00") - 100 * Decimal("28.13") - 1


def test_a_session_is_run_once_however_often_the_process_dies(paper_exchange, market):
    """A crash between two moves of the clock would fill an order twice."""
    session = market("2013-02-20")
    paper_exchange.move_clock(session.open_at - BEFORE)
    with paper_exchange.trader as trader:
        trader.post("/v2/orders", json=ORDER | {"client_order_id": "a"}).raise_for_status()
    for at in (session.open_at, session.open_at, session.close_at, session.close_at):
        paper_exchange.move_clock(at)
        paper_exchange.kill()
        paper_exchange.start()
    assert len(paper_exchange.contents()["fills"]) == 1


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_being_told_to_end_is_a_normal_end(paper_exchange, ending):
    """A supervisor would report a crash, or a traceback would greet everybody who presses Ctrl-C."""
    paper_exchange.process.send_signal(ending)
    assert paper_exchange.process.wait(20) == 0
    assert paper_exchange.log.read_text() == ""


def test_a_taken_port_is_one_clear_line(paper_exchange):
    """A second start would end in a traceback that names no remedy."""
    second = paper_exchange.spawn()
    assert second.wait(20) == 1
    said = paper_exchange.log.read_text().strip()
    assert said == (
        f"port {paper_exchange.settings.paper_exchange_port} is taken, so the paper exchange cannot start. "
        "Stop what listens there, or set BIFROST_PAPER_EXCHANGE_PORT to a free port"
    )


def test_a_ledger_in_use_is_one_clear_line(paper_exchange, free_port):
    """Two exchanges would write one ledger, each with its own idea of the account."""
    other = paper_exchange.settings.model_copy(update={"paper_exchange_port": free_port()})
    with pytest.raises(BrokerError, match=f"another paper exchange uses the ledger {paper_exchange.ledger}"):
        run(other, paper_exchange.ledger)


def test_no_warehouse_is_one_clear_line(settings, free_port, tmp_path):
    """The exchange would serve a market without prices."""
    nowhere = settings.model_copy(update={"database": "no_such_database", "paper_exchange_port": free_port()})
    with pytest.raises(WarehouseError, match="no_such_database"):
        run(nowhere, tmp_path / "ledger.sqlite")


def test_a_warehouse_without_tables_is_one_clear_line(settings, owner, free_port, tmp_path):
    """Forgetting to migrate would end in a traceback."""
    with owner.transaction() as connection:
        connection.execute("alter schema reference rename to elsewhere")
    ours = settings.model_copy(update={"paper_exchange_port": free_port()})
    with pytest.raises(WarehouseError, match="bifrost db migrate"):
        run(ours, tmp_path / "ledger.sqlite")


def test_a_folder_that_cannot_be_written_is_one_clear_line(settings, free_port, tmp_path):
    """A read-only disk would end in a traceback."""
    (tmp_path / "file").touch()
    ours = settings.model_copy(update={"paper_exchange_port": free_port()})
    with pytest.raises(BrokerError, match="cannot be written"):
        run(ours, tmp_path / "file" / "ledger.sqlite")


def test_the_port_is_free_again_after_the_end(paper_exchange):
    """A restart would find its own port taken."""
    paper_exchange.stop()
    paper_exchange.start()
    with socket.socket() as probe, pytest.raises(OSError, match="in use"):
        probe.bind(("127.0.0.1", paper_exchange.settings.paper_exchange_port))


def test_a_warehouse_that_restarts_is_found_again(paper_exchange, market, reader):
    """One restart of PostgreSQL would end paper trading until somebody noticed."""
    paper_exchange.move_clock(market("2013-02-20").open_at)
    with reader.transaction() as connection:
        cut = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = current_user and datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
    assert cut == [(True,)]
    paper_exchange.move_clock(market("2013-02-21").open_at)
    with paper_exchange.trader as trader:
        trades = trader.get("/v2/stocks/trades/latest", params={"symbols": "MSFT"}).json()["trades"]
        assert trades["MSFT"]["p"] == 27.74


def test_with_the_system_clock_time_is_this_machines(paper_exchange):
    """Live paper trading would stand still, or let a replay's driver move it."""
    paper_exchange.stop()
    paper_exchange.extra = {"BIFROST_CLOCK": "system"}
    paper_exchange.start()
    with paper_exchange.trader as trader, paper_exchange.admin as admin:
        said = datetime.fromisoformat(trader.get("/v2/clock").json()["timestamp"])
        assert abs(datetime.now(UTC) - said) < timedelta(minutes=1)
        assert admin.post("/admin/clock", json={"at": said.isoformat()}).json()["code"] == 40910001
        assert admin.post("/admin/reset").status_code == 409


def test_the_ledger_is_durable_and_readable_beside_the_process(paper_exchange, market):
    """An accepted order could be lost with the machine, or nobody could look while it runs."""
    paper_exchange.move_clock(market("2013-02-20").open_at - BEFORE)
    with paper_exchange.trader as trader:
        trader.post("/v2/orders", json=ORDER | {"client_order_id": "a"}).raise_for_status()
    with sqlite3.connect(f"file:{paper_exchange.ledger}?mode=ro", uri=True) as beside:
        assert beside.execute("pragma journal_mode").fetchone() == ("wal",)
        assert beside.execute("select client_order_id from orders").fetchall() == [("a",)]
    assert httpx.get(f"{paper_exchange.settings.paper_exchange_url}/health").json()["status"] == "ok"
