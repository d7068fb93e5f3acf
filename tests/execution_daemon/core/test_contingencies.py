"""What orders of one group do to one another."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bifrost_core.trading.orders import Block, BlockCode, ExecType, Order, OrderEvent, OrdStatus, Send, Unblock, opened
from bifrost_core.trading.terms import Contingency, OrdType, Release, Terms
from execution_daemon.core.book import Amend, Book, Breaks, Cancel, CancelAsked, Committed, Reported, Restarted, prune
from execution_daemon.core.contingencies import all_due
from execution_daemon.core.step import handle
from tests.execution_daemon.core.conftest import NOW, ticket

D = Decimal
EXIT = Terms(OrdType.STOP, stop_price=D(45), reduce_only=True)


def committed(*tickets):
    return handle(Book("paper"), Committed(tickets), NOW)


def tell(book: Book, key: str, kind: ExecType, qty: int = 0, exec_id: str = "x"):
    event = OrderEvent(kind, NOW, exec_id=exec_id if qty else "", last_qty=D(qty), last_px=D(50) if qty else D(0))
    return handle(book, Reported(key, event), NOW)


def waiting(key: str, after: str, release: Release, qty: int = 100, is_oco: bool = False):
    plain = ticket(key, side="sell", qty=qty)
    return replace(plain, terms=EXIT, contingency=Contingency("g", after, release, is_oco))


def test_a_held_order_is_durable_and_not_sent():
    """A stop that is sent before the entry has filled would open a short position."""
    book, effects = committed(ticket("entry"), waiting("stop", "entry", Release.FILLED))
    assert effects == (Send("entry"),)
    assert book.orders["stop"].status is OrdStatus.HELD


def test_a_filled_order_releases_what_waits_for_it():
    """The protection would never be sent."""
    book, _ = committed(ticket("entry"), waiting("stop", "entry", Release.FILLED))
    book, effects = tell(book, "entry", ExecType.FILL, 100)
    assert book.orders["stop"].status is OrdStatus.PENDING_NEW
    assert effects[-1] == Send("stop")


def test_an_order_that_waits_for_one_that_was_denied_ends():
    """It would be held for ever: nothing is ever said of what was never an order."""
    book, effects = committed(waiting("stop", "denied", Release.FILLED))
    assert book.orders["stop"].status is OrdStatus.CANCELED
    assert not [e for e in effects if isinstance(e, Send)]


def test_an_order_that_ended_unfilled_ends_what_waits_for_it():
    """An exit without an entry would open a position."""
    book, _ = committed(ticket("entry"), waiting("stop", "entry", Release.FILLED))
    book, effects = tell(book, "entry", ExecType.CANCELED)
    assert book.orders["stop"].status is OrdStatus.CANCELED
    assert not [e for e in effects if isinstance(e, Send)]


def test_a_bracket_protects_as_many_shares_as_were_executed():
    """The rest of a partly filled entry would be sold short by its own exits."""
    legs = [waiting(k, "entry", Release.EXECUTED, is_oco=True) for k in ("profit", "loss")]
    book, _ = committed(ticket("entry"), *legs)
    book, _ = tell(book, "entry", ExecType.PARTIAL_FILL, 40)
    assert book.orders["loss"].status is OrdStatus.HELD
    book, effects = tell(book, "entry", ExecType.EXPIRED)
    assert [e for e in effects if isinstance(e, Send)] == [Send("profit"), Send("loss")]
    assert {book.orders[k].order_qty for k in ("profit", "loss")} == {D(40)}


def two_legs() -> Book:
    legs = [replace(ticket(k, side="sell"), contingency=Contingency("g", is_oco=True)) for k in ("a", "b")]
    return Book("paper", orders={leg.client_order_id: Order(leg, OrdStatus.NEW) for leg in legs})


def test_a_filled_leg_cancels_the_other():
    """Both exits would sell the position twice."""
    book, effects = tell(two_legs(), "a", ExecType.FILL, 100)
    assert book.orders["b"].status is OrdStatus.PENDING_CANCEL
    assert effects[-1] == Cancel("b")


def test_a_partly_filled_leg_amends_the_other_down():
    """What is left would be unprotected, or protected for more than is held."""
    _book, effects = tell(two_legs(), "a", ExecType.PARTIAL_FILL, 40)
    assert effects[-1] == Amend("b", D(60))


def test_a_leg_whose_replacement_is_committed_is_canceled():
    """It worked on for all it was for until something else happened: a stop for more shares than were held."""
    legs = [waiting(k, "entry", Release.EXECUTED, is_oco=True) for k in ("profit", "loss")]
    book, _ = committed(ticket("entry"), *legs)
    book, _ = tell(book, "entry", ExecType.FILL, 100)
    for key in ("profit", "loss"):
        book, _ = tell(book, key, ExecType.NEW)
    book, effects = tell(book, "profit", ExecType.PARTIAL_FILL, 40, "y")
    assert Amend("loss", D(60)) in effects
    smaller = replace(waiting("smaller", "loss", Release.ENDED, 60, is_oco=True))
    book, effects = handle(book, Committed((smaller,)), NOW)
    assert Cancel("loss") in effects
    assert book.orders["loss"].is_cancel_wanted


def replaced_unsent() -> Book:
    """A bracket whose stop was replaced before the entry was executed."""
    legs = [waiting(k, "entry", Release.EXECUTED, is_oco=True) for k in ("profit", "loss")]
    book, _ = committed(ticket("entry"), *legs)
    book, _ = handle(book, Committed((waiting("later", "loss", Release.ENDED, is_oco=True),)), NOW)
    return book


def test_the_replacement_of_what_was_never_sent_waits_in_its_place():
    """It would be sent before the entry is executed: a stop without a position."""
    book = replaced_unsent()
    assert (book.orders["loss"].status, book.orders["later"].status) == (OrdStatus.CANCELED, OrdStatus.HELD)
    book, _ = handle(book, Committed((waiting("last", "later", Release.ENDED, is_oco=True),)), NOW)
    assert book.orders["last"].status is OrdStatus.HELD
    assert prune(book).orders.keys() == book.orders.keys()
    _, effects = tell(book, "entry", ExecType.FILL, 100)
    assert [e for e in effects if isinstance(e, Send)] == [Send("profit"), Send("last")]
    ended, _ = tell(book, "entry", ExecType.CANCELED)
    assert ended.orders["last"].status is OrdStatus.CANCELED


def test_a_crash_between_a_replacement_and_the_end_of_its_original_leaves_one_of_them():
    """Both would be held, and both be sent once the entry is executed."""
    book = replaced_unsent()
    stop = opened(waiting("loss", "entry", Release.EXECUTED, is_oco=True))
    book = replace(book, orders={**book.orders, "loss": stop})
    book, _ = handle(book, Restarted(NOW), NOW)
    assert book.orders["loss"].status is OrdStatus.CANCELED
    _, effects = tell(book, "entry", ExecType.FILL, 100)
    assert [e for e in effects if isinstance(e, Send)] == [Send("profit"), Send("later")]


@pytest.mark.parametrize("filled", [0, 100])
def test_what_closes_waits_for_every_exit_that_may_be_executed_still(filled):
    """One exit was canceled, the other one sold, and the closing order sold it again."""
    book = two_legs()
    for key in ("a", "b"):
        book, _ = handle(book, CancelAsked(key, NOW, "flatten"), NOW)
    book, _ = handle(book, Committed((waiting("close", "a", Release.ENDED, is_oco=True),)), NOW)
    book, effects = tell(book, "a", ExecType.CANCELED)
    assert not [e for e in effects if isinstance(e, Send)]
    book, effects = tell(book, "b", ExecType.FILL if filled else ExecType.CANCELED, filled)
    assert [e for e in effects if isinstance(e, Send)] == ([] if filled else [Send("close")])
    assert book.orders["close"].status is (OrdStatus.CANCELED if filled else OrdStatus.PENDING_NEW)


@pytest.mark.parametrize(("filled", "sent"), [(0, 60), (30, 60), (50, 50), (100, 0)])
def test_a_replacement_is_sent_for_at_most_what_the_original_left(filled, sent):
    """Cancel and replace would trade more than was wanted when the original fills while it is being canceled."""
    original = Order(ticket("old"), OrdStatus.NEW)
    book = Book("paper", orders={"old": original})
    replacement = replace(ticket("new", qty=60), contingency=Contingency("old", "old", Release.ENDED))
    book, effects = handle(book, Committed((replacement,)), NOW)
    assert effects[-1] == Cancel("old"), "a crash before somebody asks would leave both"
    if filled:
        book, effects = tell(book, "old", ExecType.PARTIAL_FILL, filled)
    if filled < 100:
        book, effects = tell(book, "old", ExecType.CANCELED)
    new = book.orders["new"]
    assert (new.status, new.order_qty if sent else D(0)) == (
        OrdStatus.PENDING_NEW if sent else OrdStatus.CANCELED, D(sent),
    )  # fmt: skip


def test_a_cancel_before_the_answer_is_asked_once_the_broker_has_the_order():
    """The order would work on although somebody wanted it canceled."""
    book = Book("paper", orders={"a": Order(ticket("a"), OrdStatus.UNKNOWN)})
    book, effects = handle(book, CancelAsked("a", NOW, "no more"), NOW)
    assert book.orders["a"].status is OrdStatus.UNKNOWN
    assert not [e for e in effects if isinstance(e, Cancel)]
    book, effects = tell(book, "a", ExecType.NEW)
    assert book.orders["a"].status is OrdStatus.PENDING_CANCEL
    assert effects[-1] == Cancel("a")


def test_what_others_wait_for_is_not_forgotten():
    """After a clean reconciliation the held order would wait for an order nobody remembers."""
    held = opened(waiting("stop", "entry", Release.FILLED))
    ended = Order(ticket("entry"), OrdStatus.FILLED)
    assert set(prune(Book("paper", orders={"entry": ended, "stop": held})).orders) == {"entry", "stop"}
    assert set(prune(Book("paper", orders={"entry": ended})).orders) == set()


def test_a_cancel_that_the_broker_refuses_ends_the_replacement():
    """It would be sent whenever the original ends: after a person has canceled that, for ever."""
    book = Book("paper", orders={"old": Order(ticket("old"), OrdStatus.NEW)})
    replacement = replace(ticket("new", qty=60), contingency=Contingency("old", "old", Release.ENDED))
    book, _ = handle(book, Committed((replacement,)), NOW)
    book, _ = tell(book, "old", ExecType.CANCEL_REJECTED)
    assert (book.orders["old"].status, book.orders["new"].status) == (OrdStatus.NEW, OrdStatus.CANCELED)
    assert not book.orders["old"].is_cancel_wanted


def test_a_leg_of_which_nothing_is_known_is_kept():
    """The target filled in part before the stop was answered: what was left of the position had no stop."""
    book = two_legs()
    book = replace(book, orders={**book.orders, "b": replace(book.orders["b"], status=OrdStatus.UNKNOWN)})
    book, effects = tell(book, "a", ExecType.PARTIAL_FILL, 40)
    assert not book.orders["b"].is_cancel_wanted
    _book, effects = tell(book, "b", ExecType.NEW)
    assert effects[-1] == Amend("b", D(60))


def test_a_leg_that_was_not_sent_yet_is_amended_at_once():
    """It would be sent for more than is left."""
    book = two_legs()
    book = replace(book, orders={**book.orders, "b": replace(book.orders["b"], status=OrdStatus.PENDING_NEW)})
    book, effects = tell(book, "a", ExecType.PARTIAL_FILL, 40)
    assert effects[-1] == Amend("b", D(60))
    book, effects = handle(book, Committed((waiting("smaller", "b", Release.ENDED, 60, is_oco=True),)), NOW)
    assert book.orders["b"].is_cancel_wanted
    _book, effects = tell(book, "b", ExecType.CANCELED)
    assert effects[-1] == Send("smaller")


def test_exits_of_an_entry_that_was_busted_are_canceled():
    """An exit would open a position the other way."""
    entry = replace(Order(ticket("e"), OrdStatus.FILLED), cum_qty=D(100))
    link = Contingency("e-x", "e", Release.EXECUTED, is_oco=True)
    legs = {key: Order(replace(ticket(key, side="sell"), contingency=link), OrdStatus.NEW) for key in ("p", "s")}
    book = Book("paper", orders={"e": entry, **legs})
    assert not list(all_due(book, NOW))
    busted = replace(book, orders={**book.orders, "e": replace(entry, cum_qty=D(0))})
    assert {due.client_order_id for due in all_due(busted, NOW) if isinstance(due, CancelAsked)} == {"p", "s"}


def test_a_healed_break_does_not_free_what_is_unknown():
    """A second order would go out beside one of which nobody knows whether the broker has it."""
    book = Book("paper", orders={"a": Order(ticket("a"), OrdStatus.UNKNOWN)})
    book, _ = handle(book, Breaks({"AAPL": "differs"}), NOW)
    book, effects = handle(book, Breaks({}), NOW)
    assert book.blocked["AAPL"].code is BlockCode.SEND_UNPROVEN
    assert [type(effect) for effect in effects] == [Unblock, Block]
