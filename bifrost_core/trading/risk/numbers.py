"""What can be reckoned with."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeGuard

BPS = Decimal(10_000)


def is_positive(value: Decimal | None) -> TypeGuard[Decimal]:
    """Whether it is there, finite and above zero."""
    return value is not None and value.is_finite() and value > 0


def known(value: Decimal | None) -> Decimal | None:
    """The value, or None where it is not finite: what may be stored."""
    return value if value is not None and value.is_finite() else None


def bps_between(value: Decimal, base: Decimal) -> Decimal:
    """How far `value` is from `base`, either way, in basis points of `base`."""
    return abs(value - base) / base * BPS
