"""The one contract between the pipeline and the daemon: a batch of target weights and its content hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from bifrost_core.provenance import content_hash


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
    window = [account, sorted(strategies), as_of_session, valid_from, valid_until]
    return content_hash([window, rows])
