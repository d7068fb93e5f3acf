"""Risk limits as data: what `trading.limits` holds, and the defaults a new installation starts with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class LimitCode(StrEnum):
    """Every limit that has a row; the unit it is in is its row's. Stored: never renamed."""

    PRICE_STALE = "PRICE_STALE"
    PRICE_COLLAR = "PRICE_COLLAR"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MAX_POSITION = "MAX_POSITION"
    MAX_GROSS = "MAX_GROSS"
    MAX_GROSS_JUMP = "MAX_GROSS_JUMP"
    MIN_TRADE_VALUE = "MIN_TRADE_VALUE"


@dataclass(frozen=True, slots=True)
class Limit:
    """`value` in `unit`: seconds, bps, usd or equity_fraction."""

    code: LimitCode
    value: Decimal
    unit: str
    version: int = 1


class Limits:
    """The limits in force for one account."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._by_code: Mapping[LimitCode, Limit] = {limit.code: limit for limit in limits}

    def value(self, code: LimitCode) -> Decimal | None:
        """The limit, or None where it is missing, negative or not finite: callers fail closed."""
        limit = self._by_code.get(code)
        return limit.value if limit and limit.value.is_finite() and limit.value >= 0 else None


DEFAULT_LIMITS = (
    Limit(LimitCode.PRICE_STALE, Decimal("432000"), "seconds"),  # a weekend and two holidays
    Limit(LimitCode.PRICE_COLLAR, Decimal("1000"), "bps"),
    Limit(LimitCode.MAX_ORDER_VALUE, Decimal("500000"), "usd"),
    Limit(LimitCode.MAX_POSITION, Decimal("500000"), "usd"),
    # Counts every sale as unfilled: turning a whole book of gross 1 over needs 2, as much as Regulation T lends.
    Limit(LimitCode.MAX_GROSS, Decimal("2"), "equity_fraction"),
    Limit(LimitCode.MAX_GROSS_JUMP, Decimal("1.5"), "equity_fraction"),
    Limit(LimitCode.MIN_TRADE_VALUE, Decimal("100"), "usd"),
)
