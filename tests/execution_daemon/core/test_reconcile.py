"""What the broker's ledger says of fills, told to a book that has heard some of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bifrost_core.trading.orders import OrdStatus
from bifrost_core.trading.positions import Holdings
from bifrost_core.trading.terms import Side
from execution_daemon.brokers.port import ExecKind, ExecutionReport
from execution_daemon.core.book import Book, Committed, Reported, handle
from execution_daemon.core.reconcile import Snapshot, catch_up
from execution_daemon.core.reports import event_of
from tests.execution_daemon.core.conftest import NOW, ticket

D = Decimal
CASH = D(1_000_000)
FIRST = ExecutionReport(ExecKind.TRADE, "id", "b", "AAPL", Side.BUY, NOW, exec_id="x1", last_qty=D(50), last_px=D(50))
BUST = replace(FIRST, kind=ExecKind.TRADE_CANCEL, exec_id="x2", exec_ref_id="x1", last_qty=D(0))
SMALLER = replace(FIRST, kind=ExecKind.TRADE_CORRECT, exec_id="x2", exec_ref_id="x1", last_qty=D(10))
AGAIN = replace(SMALLER, exec_id="x3", exec_ref_id="x2", last_qty=D(20))
SECOND = replace(FIRST, exec_id="x4")


def heard(*reports: ExecutionReport) -> Book:
    """A book with an order for 78 that the broker has, and these reports."""
    book, _ = handle(Book("paper", Holdings(CASH)), Committed((ticket(qty=78),)))
    new = replace(FIRST, kind=ExecKind.NEW, exec_id="", last_qty=D(0))
    for report in (new, *reports):
        book, _ = handle(book, Reported("id", event_of(report)))
    return book


def told(book: Book, *ledger: ExecutionReport) -> list[Book]:
    """The book after each thing that the ledger tells it."""
    books = []
    for reported in catch_up(book, Snapshot(NOW, (), ledger, (), CASH)):
        book, _ = handle(book, reported)
        books.append(book)
    return books


@pytest.mark.parametrize(("taken_back", "executed"), [((BUST,), D(50)), ((SMALLER,), D(60)), ((SMALLER, AGAIN), D(70))])
def test_what_was_taken_back_does_not_fill_an_order(taken_back, executed):
    """With the later execution, heard before, it would: the order would end in the book and work on at the broker."""
    books = told(heard(SECOND), FIRST, *taken_back, SECOND)
    assert {book.orders["id"].status for book in books} == {OrdStatus.PARTIALLY_FILLED}
    assert books[-1].orders["id"].cum_qty == executed
    assert books[-1].holdings.positions["AAPL"].quantity == executed
    assert books[-1].blocked == {}


def test_what_was_not_heard_at_all_is_told_in_its_order():
    """Nothing is left out of the record: what was executed, and that it was taken back."""
    reported = catch_up(heard(), Snapshot(NOW, (), (FIRST, BUST, SECOND), (), CASH))
    assert [one.event.exec_id for one in reported] == ["x1", "x2", "x4"]
