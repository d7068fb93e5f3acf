"""Which batch to trade: of those nobody has decided on, at most one; the others are refused or wait."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.targets import BatchCode, Refusal, TargetBatch, validate


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
    max_gross_jump: Decimal,
) -> Choice:
    """Sort `undecided` batches (oldest first) out at market time `now`: the newest that is valid is worked."""
    refused: list[tuple[TargetBatch, Refusal]] = []
    ready: list[TargetBatch] = []
    waiting: list[TargetBatch] = []
    for batch in undecided:
        if refusal := validate(batch, now, known_symbols, last_batch, max_gross_jump):
            refused.append((batch, refusal))
        elif batch.valid_from <= now:
            ready.append(batch)
        else:
            waiting.append(batch)
    refused += [
        (old, Refusal(BatchCode.SUPERSEDED, f"batch {ready[-1].batch_id} was written after it")) for old in ready[:-1]
    ]
    return Choice(ready[-1] if ready else None, tuple(refused), tuple(waiting))
