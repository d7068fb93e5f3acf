"""Which batch is worked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bifrost_core.trading.limits import DEFAULT_LIMITS, Limits
from bifrost_core.trading.targets import BatchCode
from execution_daemon.core.intake import choose
from tests.execution_daemon.core.conftest import CLOSE, NOW, batch

LIMITS = Limits(DEFAULT_LIMITS)


def test_the_newest_of_the_valid_is_worked_and_the_others_are_refused():
    """Two batches for one session would be traded one over the other."""
    old, new = batch({"AAPL": "0.1"}, 1), batch({"AAPL": "0.2"}, 2)
    choice = choose([old, new], NOW, {"AAPL"}, None, LIMITS)
    assert choice.work == new
    assert [(b, r.code) for b, r in choice.refused] == [(old, BatchCode.SUPERSEDED)]


def test_a_bad_batch_does_not_supersede_a_good_one():
    """One tampered row could keep the shop from trading."""
    good, bad = batch({"AAPL": "0.1"}, 1), replace(batch({"AAPL": "0.2"}, 2), content_hash="0" * 64)
    choice = choose([good, bad], NOW, {"AAPL"}, None, LIMITS)
    assert choice.work == good
    assert [(b, r.code) for b, r in choice.refused] == [(bad, BatchCode.HASH_MISMATCH)]


def test_a_batch_of_tomorrow_waits_and_supersedes_nothing():
    """Written early, it must not push out today's."""
    today, tomorrow = batch({"AAPL": "0.1"}, 1), batch({"AAPL": "0.2"}, 2, valid_from=NOW + timedelta(hours=1))
    choice = choose([today, tomorrow], NOW, {"AAPL"}, None, LIMITS)
    assert (choice.work, choice.refused, choice.waiting) == (today, (), (tomorrow,))


def test_an_expired_batch_is_refused_as_such():
    """Orders would go out after their session."""
    choice = choose([batch({"AAPL": "0.1"})], CLOSE, {"AAPL"}, None, LIMITS)
    assert choice.work is None
    assert [r.code for _b, r in choice.refused] == [BatchCode.EXPIRED]


def test_a_released_batch_is_not_doubted_again_but_what_is_broken_stays_refused():
    """A person's word could not free a batch, or could have a tampered one traded."""
    big = batch({"AAPL": "1.6"}, 1)
    assert [r.code for _b, r in choose([big], NOW, {"AAPL"}, None, LIMITS).refused] == [BatchCode.GROSS_JUMP]
    assert choose([big], NOW, {"AAPL"}, None, LIMITS, {big.batch_id}).work == big
    bad = replace(big, content_hash="0" * 64)
    assert choose([bad], NOW, {"AAPL"}, None, LIMITS, {bad.batch_id}).work is None
