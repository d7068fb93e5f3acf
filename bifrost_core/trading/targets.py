"""The one contract between the pipeline and the daemon: a batch of target weights and its content hash."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

from bifrost_core.provenance import content_hash

MAX_GROSS_JUMP = Decimal("1.5")
MINUTE = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class Target:
    """Hold `target_weight` (fraction of account equity, signed) of `symbol`, computed at `reference_price` (USD)."""

    symbol: str
    target_weight: Decimal
    reference_price: Decimal
    contributions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TargetBatch:
    """What the pipeline wants held after `as_of_session`, tradable in [valid_from, valid_until)."""

    batch_id: UUID
    account: str
    strategies: tuple[str, ...]
    as_of_session: date
    valid_from: datetime
    valid_until: datetime
    targets: tuple[Target, ...]
    content_hash: str
    row_count: int
    dagster_run_id: str
    code_version: str
    data_version: str


def hash_of(
    account: str,
    strategies: tuple[str, ...],
    as_of_session: date,
    valid_from: datetime,
    valid_until: datetime,
    targets: tuple[Target, ...],
) -> str:
    """SHA-256 over what the daemon would act on; rows in symbol order, numbers as canonical decimals."""
    rows = [
        [t.symbol, t.target_weight, t.reference_price, dict(t.contributions)]
        for t in sorted(targets, key=lambda t: t.symbol)
    ]
    window = [account, sorted(strategies), as_of_session, valid_from.astimezone(UTC), valid_until.astimezone(UTC)]
    return content_hash([window, rows])


class BatchCode(StrEnum):
    """Why nothing is traded from a batch, in the order in which it is asked. Stored: never renamed."""

    HALF_WRITTEN = "HALF_WRITTEN"
    NOT_FINITE = "NOT_FINITE"
    HASH_MISMATCH = "HASH_MISMATCH"
    PRICE_INVALID = "PRICE_INVALID"
    DUPLICATE_SYMBOL = "DUPLICATE_SYMBOL"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    EXPIRED = "EXPIRED"
    GROSS_JUMP = "GROSS_JUMP"
    WEIGHT_JUMP = "WEIGHT_JUMP"
    TOO_MANY_TARGETS = "TOO_MANY_TARGETS"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A batch is not to be traded: a stable code, and the fact behind it in one line."""

    code: BatchCode
    detail: str


def gross(targets: Collection[Target]) -> Decimal:
    """Sum of absolute weights."""
    return sum((abs(t.target_weight) for t in targets), Decimal(0))


def validate(
    batch: TargetBatch,
    now: datetime,
    known_symbols: Collection[str],
    last_batch: TargetBatch | None,
    max_gross_jump: Decimal = MAX_GROSS_JUMP,
) -> Refusal | None:
    """The first reason not to trade `batch` at market time `now`, or None. No last batch counts as being flat."""
    return next(_refusals(batch, now, known_symbols, last_batch, max_gross_jump), None)


def _refusals(
    batch: TargetBatch, now: datetime, known: Collection[str], last: TargetBatch | None, max_jump: Decimal
) -> Iterator[Refusal]:
    targets = batch.targets
    if len(targets) != batch.row_count:
        yield Refusal(BatchCode.HALF_WRITTEN, f"{batch.row_count} targets announced, {len(targets)} there")
    for t in targets:  # before the hash: what is not a number has none
        for name, number in (("weight", t.target_weight), ("reference price", t.reference_price)):
            if not number.is_finite():
                yield Refusal(BatchCode.NOT_FINITE, f"{name} of {t.symbol} is {number}")
    yield from _hash_refusals(batch)
    for t in targets:
        if t.reference_price <= 0:
            yield Refusal(BatchCode.PRICE_INVALID, f"reference price of {t.symbol} is {t.reference_price}")
    symbols = sorted(t.symbol for t in targets)
    if twice := [a for a, b in pairwise(symbols) if a == b]:
        yield Refusal(BatchCode.DUPLICATE_SYMBOL, f"{twice[0]} is targeted twice")
    if strangers := [s for s in symbols if s not in known]:
        yield Refusal(BatchCode.UNKNOWN_SYMBOL, f"reference.instruments has no {', '.join(strangers)}")
    if now >= batch.valid_until:
        yield Refusal(BatchCode.EXPIRED, f"valid until {batch.valid_until:{MINUTE}} UTC, it is {now:{MINUTE}}")
    jump = abs(gross(targets) - (gross(last.targets) if last else Decimal(0)))
    if jump > max_jump:
        yield Refusal(
            BatchCode.GROSS_JUMP, f"gross weight moves by {jump:f} against the last batch, {max_jump:f} allowed"
        )


def _hash_refusals(batch: TargetBatch) -> Iterator[Refusal]:
    try:
        digest = _hash(batch)
    except (TypeError, ValueError, AttributeError) as error:  # content that no pipeline of ours wrote
        yield Refusal(BatchCode.HASH_MISMATCH, f"content cannot be hashed: {error}")
        return
    if digest != batch.content_hash:
        yield Refusal(BatchCode.HASH_MISMATCH, f"content hashes to {digest}, the batch says {batch.content_hash}")


def _hash(batch: TargetBatch) -> str:
    return hash_of(
        batch.account, batch.strategies, batch.as_of_session, batch.valid_from, batch.valid_until, batch.targets
    )
