"""The ledger: what is committed is on disk, what is not is nowhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bifrost_core.errors import BrokerError
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.account import Position
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.records import StoredExecution, StoredOrder

AT = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
ORDER = StoredOrder(
    order_id="id-1",
    client_order_id="mine-1",
    symbol="MSFT",
    side=Side.SELL,
    qty=Decimal("300"),
    terms=Terms(OrdType.LIMIT, TimeInForce.GTC, limit_price=Decimal("28.1300"), post_only=True),
    status="new",
    submitted_at=AT,
    updated_at=AT,
)
EXECUTION = StoredExecution(
    "e-1",
    "id-1",
    "MSFT",
    Side.SELL,
    date(2013, 2, 20),
    Decimal(100),
    Decimal("28.1379"),
    Decimal("1.00"),
    Decimal(100),
    AT,
)


def test_everything_is_read_back_as_it_was_written(tmp_path):
    """Money or time would change on its way through text."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with ledger.transaction():
        ledger.add_order(ORDER)
        ledger.add_execution(EXECUTION)
        ledger.put_position(Position("MSFT", Decimal(-100), Decimal("28.1379")))
        ledger.log(AT, "note", {"a": 1})
    ledger.close()
    again = Ledger(tmp_path / "ledger.sqlite")
    assert again.order("id-1") == again.order_by_client_id("mine-1") == replace(ORDER, seq=1)
    assert again.executions() == (replace(EXECUTION, seq=1),)
    assert again.positions() == (Position("MSFT", Decimal(-100), Decimal("28.1379")),)
    assert [(e.kind, e.payload) for e in again.events()] == [("note", {"a": 1})]
    assert again.shares_traded("MSFT", date(2013, 2, 20)) == 100
    again.close()


def test_a_failed_change_leaves_nothing(tmp_path):
    """A crash in the middle of a session would leave half its fills."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(RuntimeError), ledger.transaction():
        ledger.add_order(ORDER)
        raise RuntimeError
    assert ledger.orders() == ()
    with ledger.transaction():
        ledger.add_order(ORDER)
    assert len(ledger.open_orders()) == 1
    ledger.close()


def test_a_file_that_is_no_ledger_is_one_clear_line(tmp_path):
    """A damaged file would end in a traceback."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(BrokerError, match=r"ledger\.sqlite cannot be used"):
        Ledger(path)
