"""Which batch to trade: of those nobody has decided on, at most one; the others are refused or wait."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk import batch_refusal
from bifrost_core.trading.targets import BatchCode, Refusal, TargetBatch, validate

ANY = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Choice:
    """The batch to work now, if any; those to quarantine, each with its reason; those whose time has not come."""

    work: TargetBatch | None
    refused: tuple[tuple[TargetBatch, Refusal], ...]
    waiting: tuple[TargetBatch, ...]


def choose(
    undecided: Sequence[TargetBatch],
    now: datetime,
    known_symbols: Collection[str],
    last_batch: TargetBatch | None,
    limits: Limits,
    released: Collection[UUID] = frozenset(),
) -> Choice:
    """Sort `undecided` batches (oldest first) out at market time `now`: the newest that is valid is worked.

    A batch that a person `released` is not doubted for its size or its jump again; what is broken stays refused.
    """
    refused: list[tuple[TargetBatch, Refusal]] = []
    ready: list[TargetBatch] = []
    waiting: list[TargetBatch] = []
    for batch in undecided:
        if refusal := _refusal(batch, now, known_symbols, last_batch, limits, batch.batch_id in released):
            refused.append((batch, refusal))
        elif batch.valid_from <= now:
            ready.append(batch)
        else:
            waiting.append(batch)
    refused += [
        (old, Refusal(BatchCode.SUPERSEDED, f"batch {ready[-1].batch_id} was written after it")) for old in ready[:-1]
    ]
    return Choice(ready[-1] if ready else None, tuple(refused), tuple(waiting))


def _refusal(
    batch: TargetBatch,
    now: datetime,
    known: Collection[str],
    last: TargetBatch | None,
    limits: Limits,
    is_released: bool,
) -> Refusal | None:
    jump = ANY if is_released else limits.value(LimitCode.MAX_GROSS_JUMP) or ZERO
    broken = validate(batch, now, known, last, jump)
    return broken or (None if is_released else batch_refusal(batch, last, limits))
