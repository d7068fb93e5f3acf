"""One whole step of the core: the input, and then everything that the orders' groups ask for because of it."""

from __future__ import annotations

from datetime import datetime

from bifrost_core.trading.orders import ExecType
from execution_daemon.core.book import Amend, Book, CancelAsked, Effect, Input, Reported, Step, cancel_asked, reported
from execution_daemon.core.book import handle as handle_one
from execution_daemon.core.contingencies import Due, all_due
from execution_daemon.errors import ensure

CONSEQUENCES_MAX = 10_000


def handle(book: Book, given: Input, at: datetime) -> Step:
    """The book after `given` and its consequences at market time `at`, and what must be done, in order."""
    book, first = handle_one(book, given)
    effects: list[Effect] = list(first)
    if isinstance(given, Reported) and given.event.kind is ExecType.CANCEL_REJECTED:
        book, more = _without_replacement(book, given.client_order_id, at)
        effects += more
    amended: set[str] = set()
    for _ in range(CONSEQUENCES_MAX):
        open_dues = (d for d in all_due(book, at) if not (isinstance(d, Amend) and d.client_order_id in amended))
        due = next(open_dues, None)
        if due is None:
            return book, tuple(effects)
        book, more = _consequence(book, due)
        amended |= {due.client_order_id} if isinstance(due, Amend) else set()
        effects += more
    ensure(False, f"the groups of account {book.account} never settle")
    raise AssertionError


def _without_replacement(book: Book, key: str, at: datetime) -> Step:
    """The broker refused to cancel the order: it works on, so what was to replace it ends unsent."""
    effects: list[Effect] = []
    for waiting in list(book.waiting_for(key)):
        link = waiting.ticket.contingency
        if link is not None and link.replaces:
            book, more = cancel_asked(book, waiting, at, f"the broker did not cancel {key}")
            effects += more
    return book, tuple(effects)


def _consequence(book: Book, due: Due) -> Step:
    match due:
        case Reported(key, event):
            return reported(book, book.orders[key], event)
        case CancelAsked(key, at, text):
            return cancel_asked(book, book.orders[key], at, text)
        case Amend():
            return book, (due,)
