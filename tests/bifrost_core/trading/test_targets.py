"""The contract's guard: each way a batch can be wrong, and the order in which it is said."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from bifrost_core.trading.targets import BatchCode, Target, TargetBatch, hash_of, validate

FROM = datetime(2013, 2, 20, 13, 30, tzinfo=UTC)
UNTIL = datetime(2013, 2, 20, 21, 0, tzinfo=UTC)
KNOWN = {"AAPL", "IBM"}


def batch(weights: dict[str, str], prices: str = "100", valid_from: datetime = FROM) -> TargetBatch:
    targets = tuple(Target(s, Decimal(w), Decimal(prices), {"m": w}) for s, w in weights.items())
    window = ("paper", ("m",), date(2013, 2, 19), valid_from, UNTIL)
    digest = hash_of(*window, targets)
    return TargetBatch(uuid.uuid4(), *window, targets, digest, len(targets), "run", "code", "data")


GOOD = batch({"AAPL": "0.5", "IBM": "0.3"})


def with_target(**changes: Any) -> TargetBatch:
    """The good batch with its first target changed, as if by somebody who cannot make its hash."""
    return replace(GOOD, targets=(replace(GOOD.targets[0], **changes), *GOOD.targets[1:]))


def reason(subject: TargetBatch, now: datetime = FROM, last: TargetBatch | None = None) -> BatchCode | None:
    refusal = validate(subject, now, KNOWN, last)
    return refusal.code if refusal else None


def test_a_good_batch_passes_at_any_time_before_it_ends():
    """Nothing would ever be traded."""
    assert reason(GOOD) is None
    assert reason(GOOD, FROM - timedelta(days=1)) is None
    assert reason(GOOD, UNTIL - timedelta(microseconds=1)) is None


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (replace(GOOD, targets=GOOD.targets[:1]), BatchCode.HALF_WRITTEN),
        (replace(GOOD, row_count=3), BatchCode.HALF_WRITTEN),
        (replace(GOOD, content_hash="0" * 64), BatchCode.HASH_MISMATCH),
        (replace(GOOD, valid_until=UNTIL + timedelta(days=1)), BatchCode.HASH_MISMATCH),
        (replace(GOOD, account="live"), BatchCode.HASH_MISMATCH),
        (with_target(target_weight=Decimal("NaN")), BatchCode.NOT_FINITE),
        (with_target(target_weight=Decimal("-Infinity")), BatchCode.NOT_FINITE),
        (with_target(reference_price=Decimal("NaN")), BatchCode.NOT_FINITE),
        (batch({"AAPL": "0.1"}, "0"), BatchCode.PRICE_INVALID),
        (batch({"AAPL": "0.1"}, "-5"), BatchCode.PRICE_INVALID),
        (batch({"AAPL": "0.1", "ZZZ": "0.1"}), BatchCode.UNKNOWN_SYMBOL),
        (batch({"AAPL": "1.0", "IBM": "-0.6"}), BatchCode.GROSS_JUMP),
    ],
)
def test_each_fault_is_named(bad, code):
    """A batch that is wrong must be refused for the reason a person can act on."""
    assert reason(bad) is code


def test_a_changed_weight_breaks_the_hash():
    """Somebody with write access to the table could trade our account."""
    assert reason(with_target(target_weight=Decimal("0.51"))) is BatchCode.HASH_MISMATCH


@pytest.mark.parametrize("contributions", [None, 5, [1], {"m": float("inf")}])
def test_content_that_cannot_be_hashed_is_refused_and_not_raised(contributions):
    """One row that somebody wrote by hand would end the daemon at every start."""
    assert reason(with_target(contributions=contributions)) is BatchCode.HASH_MISMATCH


def test_a_strategy_that_is_null_is_refused_and_not_raised():
    """PostgreSQL's arrays may hold nulls, which do not sort."""
    assert reason(replace(GOOD, strategies=("m", None))) is BatchCode.HASH_MISMATCH


def test_a_symbol_twice_is_refused():
    """The planner would order for each of them."""
    twice = (GOOD.targets[0], GOOD.targets[0])
    bad = replace(GOOD, targets=twice)
    digest = hash_of(bad.account, bad.strategies, bad.as_of_session, bad.valid_from, bad.valid_until, twice)
    assert reason(replace(bad, content_hash=digest)) is BatchCode.DUPLICATE_SYMBOL


def test_expiry_is_the_first_instant_that_is_too_late():
    """valid_until is exclusive."""
    assert reason(GOOD, UNTIL) is BatchCode.EXPIRED


def test_a_jump_is_measured_against_the_last_batch():
    """A batch scaled by a unit error is ten times the last one; the same gross again is not a jump."""
    big = batch({"AAPL": "1.2", "IBM": "0.4"})
    assert reason(big) is BatchCode.GROSS_JUMP
    assert reason(big, last=GOOD) is None
    assert reason(batch({"AAPL": "0"}), last=batch({"AAPL": "1.6"})) is BatchCode.GROSS_JUMP


def test_the_hash_is_of_values_not_of_spelling():
    """A batch read back from the database has other trailing zeros, another row order and another zone object."""
    respelled = tuple(
        replace(t, target_weight=t.target_weight + Decimal("0E-8"), reference_price=Decimal("100.000000"))
        for t in reversed(GOOD.targets)
    )
    elsewhere = timezone(timedelta(hours=-5))
    window = (FROM.astimezone(elsewhere), UNTIL.astimezone(elsewhere))
    assert hash_of("paper", ("m",), GOOD.as_of_session, *window, respelled) == GOOD.content_hash
