"""What a broker says, in our words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bifrost_core.trading.orders import ExecType, Order, OrdStatus, fold
from bifrost_core.trading.terms import Side, Terms
from execution_daemon.brokers.port import BrokerOrderState, BrokerStatus, ExecKind, ExecutionReport
from execution_daemon.core.reports import _KINDS, _STATES, answer_event, event_of, state_event
from tests.execution_daemon.core.conftest import NOW, ticket

TRADE = ExecutionReport(
    ExecKind.TRADE, "id", "b", "AAPL", Side.BUY, NOW, "x1", Decimal(40), Decimal("50.12345678"), Decimal(40)
)


def test_every_state_and_every_kind_has_a_meaning():
    """A new word of the broker's would be dropped without a sound."""
    assert set(_STATES) == set(BrokerStatus)
    assert set(ExecKind) == set(_KINDS)


def test_a_bust_names_what_it_takes_back_and_trades_nothing():
    """Its quantity would be counted as another fill."""
    event = event_of(replace(TRADE, kind=ExecKind.TRADE_CANCEL, exec_id="x2", exec_ref_id="x1"))
    assert (event.kind, event.exec_ref_id, event.last_qty) == (ExecType.TRADE_CANCEL, "x1", Decimal(0))
    order = fold(Order(ticket()), [event_of(TRADE), event])
    assert (order.cum_qty, dict(order.executions)) == (Decimal(0), {})


def test_prices_are_kept_as_the_warehouse_keeps_them():
    """After a restart the book would differ from itself in the seventh decimal."""
    event = event_of(TRADE)
    assert event.last_px == Decimal("50.123457")


def test_a_trade_without_an_id_is_counted_once():
    """Two reports of one execution must have one id; two executions must not."""
    nameless = replace(TRADE, exec_id="")
    more = replace(nameless, cum_qty=Decimal(80))
    events = [event_of(report) for report in (nameless, nameless, more)]
    assert fold(Order(ticket()), events).cum_qty == Decimal(80)


@pytest.mark.parametrize("kind", [ExecKind.TRADE, ExecKind.NEW, ExecKind.PENDING_NEW])
def test_an_answer_to_a_submission_never_carries_a_fill(kind):
    """It would be counted again when the stream says it under its execution id."""
    event = answer_event(replace(TRADE, kind=kind))
    assert (event.kind, event.last_qty, event.exec_id) == (ExecType.NEW, Decimal(0), "")
    assert fold(Order(ticket(), OrdStatus.FILLED), [event]).status is OrdStatus.FILLED


def test_an_order_whose_fills_were_taken_back_has_ended():
    """Busted before they were heard of, they leave an order that is filled and lacks shares: it would never end."""
    sent = ("id", "b", "AAPL", Side.BUY, Decimal(100), Terms())
    state = BrokerOrderState(*sent, BrokerStatus.FILLED, Decimal(60), Decimal(50), NOW, NOW)
    assert state_event(state, NOW).kind is ExecType.CANCELED
    assert state_event(replace(state, cum_qty=Decimal(100)), NOW).kind is not ExecType.CANCELED


def test_a_correction_that_was_busted_before_it_was_heard_still_takes_back_what_it_replaced():
    """The first execution would stay in the book, and be in nobody else's."""
    trade, corrected = event_of(TRADE), replace(TRADE, kind=ExecKind.TRADE_CORRECT, exec_id="x2", exec_ref_id="x1")
    bust = event_of(replace(TRADE, kind=ExecKind.TRADE_CANCEL, exec_id="x3", exec_ref_id="x2"))
    order = fold(Order(ticket()), [trade, bust, event_of(corrected)])
    assert (order.cum_qty, dict(order.executions)) == (Decimal(0), {})
