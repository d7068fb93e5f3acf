"""Which batch is worked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from bifrost_core.trading.targets import BatchCode
from execution_daemon.core.intake import choose
from tests.execution_daemon.core.conftest import CLOSE, NOW, batch

JUMP = Decimal("1.5")


def test_the_newest_of_the_valid_is_worked_and_the_others_are_refused():
    """Two batches for one session would be traded one over the other."""
    old, new = batch({"AAPL": "0.1"}, 1), batch({"AAPL": "0.2"}, 2)
    choice = choose([old, new], NOW, {"AAPL"}, None, JUMP)
    assert choice.work == new
    assert [(b, r.code) for b, r in choice.refused] == [(old, BatchCode.SUPERSEDED)]


def test_a_bad_batch_does_not_supersede_a_good_one():
    """One tampered row could keep the shop from trading."""
    good, bad = batch({"AAPL": "0.1"}, 1), replace(batch({"AAPL": "0.2"}, 2), content_hash="0" * 64)
    choice = choose([good, bad], NOW, {"AAPL"}, None, JUMP)
    assert choice.work == good
    assert [(b, r.code) for b, r in choice.refused] == [(bad, BatchCode.HASH_MISMATCH)]


def test_a_batch_of_tomorrow_waits_and_supersedes_nothing():
    """Written early, it must not push out today's."""
    today, tomorrow = batch({"AAPL": "0.1"}, 1), batch({"AAPL": "0.2"}, 2, valid_from=NOW + timedelta(hours=1))
    choice = choose([today, tomorrow], NOW, {"AAPL"}, None, JUMP)
    assert (choice.work, choice.refused, choice.waiting) == (today, (), (tomorrow,))


def test_an_expired_batch_is_refused_as_such():
    """Orders would go out after their session."""
    choice = choose([batch({"AAPL": "0.1"})], CLOSE, {"AAPL"}, None, JUMP)
    assert choice.work is None
    assert [r.code for _b, r in choice.refused] == [BatchCode.EXPIRED]
