"""Controls of where an order comes from: its id, and the age of its signal; and of a batch as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal
from bifrost_core.trading.targets import BatchCode, Refusal, TargetBatch


def duplicate_order(p: Proposal, c: Context) -> Deny | None:
    """No order id twice."""
    is_known = p.client_order_id in c.tally.known_ids
    return Deny(RiskCode.DUPLICATE_ORDER, f"order {p.client_order_id} exists") if is_known else None


def signal_invalid(p: Proposal, c: Context) -> Deny | None:
    """No order outside [valid_from, valid_until) of the batch it comes from; a parent is worked from the open on."""
    begins = max(c.now, c.session.open_at) if p.is_parent and c.session else c.now
    if p.valid_from <= c.now and begins < p.valid_until:
        return None
    waits = f", and it is worked from {begins} on" if begins != c.now else ""
    return Deny(RiskCode.SIGNAL_INVALID, f"valid from {p.valid_from} until {p.valid_until}, it is {c.now}{waits}")


def signal_stale(p: Proposal, c: Context) -> Deny | None:
    """No order from a signal made more than SIGNAL_STALE days before the session it is traded in, or after it."""
    if p.as_of is None:
        return None
    limit = c.limits.value(LimitCode.SIGNAL_STALE)
    if limit is None or c.session is None:
        return Deny(RiskCode.SIGNAL_STALE, "no session to reckon from, or no limit", limit)
    age = Decimal((c.session.session - p.as_of).days)
    if 0 <= age <= limit:
        return None
    detail = f"the signal is of session {p.as_of}, it would be traded in {c.session.session}"
    return Deny(RiskCode.SIGNAL_STALE, detail, limit, age)


def batch_refusal(batch: TargetBatch, last: TargetBatch | None, limits: Limits) -> Refusal | None:
    """Why `batch` is beyond what a batch may hold, or None; no last batch counts as being flat."""
    return next(_batch_refusals(batch, last, limits), None)


def _batch_refusals(batch: TargetBatch, last: TargetBatch | None, limits: Limits) -> Iterator[Refusal]:
    most = limits.value(LimitCode.MAX_TARGETS)
    if most is None or len(batch.targets) > most:
        yield Refusal(BatchCode.TOO_MANY_TARGETS, f"{len(batch.targets)} targets, {most} allowed")
    limit = limits.value(LimitCode.MAX_WEIGHT_JUMP)
    before = {t.symbol: t.target_weight for t in last.targets} if last else {}
    for t in batch.targets:
        jump = abs(t.target_weight - before.get(t.symbol, ZERO))
        if limit is None or jump > limit:
            detail = f"the weight of {t.symbol} moves by {jump:f} against the last batch, {limit} allowed"
            yield Refusal(BatchCode.WEIGHT_JUMP, detail)
