"""Risk limits as data: what `trading.limits` holds, and the defaults a new installation starts with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class LimitCode(StrEnum):
    """Every limit that has a row. Stored: never renamed."""

    PRICE_STALE = "PRICE_STALE"
    PRICE_JUMP = "PRICE_JUMP"
    PRICE_COLLAR = "PRICE_COLLAR"
    QUOTE_COLLAR = "QUOTE_COLLAR"
    PERIOD_COLLAR = "PERIOD_COLLAR"
    MAX_ORDER_QTY = "MAX_ORDER_QTY"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MAX_ADV = "MAX_ADV"
    MAX_POSITION = "MAX_POSITION"
    MAX_GROSS = "MAX_GROSS"
    MAX_NET = "MAX_NET"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    MAX_CONCENTRATION = "MAX_CONCENTRATION"
    MAX_SECTOR = "MAX_SECTOR"
    BUYING_POWER = "BUYING_POWER"
    DAILY_LOSS_REDUCE = "DAILY_LOSS_REDUCE"
    DAILY_LOSS_HALT = "DAILY_LOSS_HALT"
    DRAWDOWN_REDUCE = "DRAWDOWN_REDUCE"
    DRAWDOWN_HALT = "DRAWDOWN_HALT"
    MAX_DAILY_VALUE = "MAX_DAILY_VALUE"
    MAX_DAILY_ORDERS = "MAX_DAILY_ORDERS"
    REPEATED_EXECUTIONS = "REPEATED_EXECUTIONS"
    SIMILAR_ORDER = "SIMILAR_ORDER"
    SHORT_LOCATE = "SHORT_LOCATE"
    SHORT_SALE_PRICE = "SHORT_SALE_PRICE"
    SESSION_CLOSED = "SESSION_CLOSED"
    NOT_RECONCILED = "NOT_RECONCILED"
    CLOCK_SKEW = "CLOCK_SKEW"
    SIGNAL_STALE = "SIGNAL_STALE"
    MAX_GROSS_JUMP = "MAX_GROSS_JUMP"
    MAX_WEIGHT_JUMP = "MAX_WEIGHT_JUMP"
    MAX_TARGETS = "MAX_TARGETS"
    MIN_TRADE_VALUE = "MIN_TRADE_VALUE"
    MESSAGE_BACKLOG = "MESSAGE_BACKLOG"
    MESSAGE_RATE = "MESSAGE_RATE"
    MESSAGE_BURST = "MESSAGE_BURST"
    CANCEL_RESERVE = "CANCEL_RESERVE"


TIGHTER_WHEN_HIGHER = frozenset({LimitCode.SIMILAR_ORDER, LimitCode.MIN_TRADE_VALUE, LimitCode.CANCEL_RESERVE})


@dataclass(frozen=True, slots=True)
class Limit:
    """`value` in `unit`."""

    code: LimitCode
    value: Decimal
    unit: str
    version: int = 1

    def is_loosened_by(self, value: Decimal) -> bool:
        """Whether `value` would allow something that this limit denies."""
        return value < self.value if self.code in TIGHTER_WHEN_HIGHER else value > self.value


class Limits:
    """The limits in force for one account."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._rows = {limit.code: limit for limit in limits}
        self._usable = {code: row.value for code, row in self._rows.items() if row.value.is_finite() and row.value >= 0}

    def value(self, code: LimitCode) -> Decimal | None:
        """The limit, or None where it is missing, negative or not finite: callers fail closed."""
        return self._usable.get(code)

    def rows(self) -> tuple[Limit, ...]:
        """Every row, usable or not, in the order of `LimitCode`."""
        return tuple(self._rows[code] for code in LimitCode if code in self._rows)

    def with_rows(self, rows: Iterable[Limit]) -> Limits:
        """These limits with `rows` in place of those of the same codes."""
        return Limits((self._rows | {row.code: row for row in rows}).values())


def _limit(code: LimitCode, value: str, unit: str) -> Limit:
    return Limit(code, Decimal(value), unit)


DEFAULT_LIMITS = (
    _limit(LimitCode.PRICE_STALE, "432000", "seconds"),  # a weekend and two holidays
    _limit(LimitCode.PRICE_JUMP, "2500", "bps"),
    _limit(LimitCode.PRICE_COLLAR, "1000", "bps"),
    _limit(LimitCode.QUOTE_COLLAR, "500", "bps"),
    _limit(LimitCode.PERIOD_COLLAR, "5000", "bps"),
    _limit(LimitCode.MAX_ORDER_QTY, "100000", "shares"),
    _limit(LimitCode.MAX_ORDER_VALUE, "500000", "usd"),
    _limit(LimitCode.MAX_ADV, "0.05", "adv_fraction"),
    _limit(LimitCode.MAX_POSITION, "500000", "usd"),
    # Counts every sale as unfilled: turning a whole book of gross 1 over needs 2, as much as Regulation T lends.
    _limit(LimitCode.MAX_GROSS, "2", "equity_fraction"),
    _limit(LimitCode.MAX_NET, "2", "equity_fraction"),
    _limit(LimitCode.MAX_LEVERAGE, "1.5", "equity_fraction"),
    _limit(LimitCode.MAX_CONCENTRATION, "0.6", "equity_fraction"),
    # Instruments without a sector count as one: until they have one this can be no less than the gross limit.
    _limit(LimitCode.MAX_SECTOR, "2", "equity_fraction"),
    _limit(LimitCode.BUYING_POWER, "2", "equity_fraction"),
    _limit(LimitCode.DAILY_LOSS_REDUCE, "0.05", "equity_fraction"),
    _limit(LimitCode.DAILY_LOSS_HALT, "0.1", "equity_fraction"),
    _limit(LimitCode.DRAWDOWN_REDUCE, "0.2", "equity_fraction"),
    _limit(LimitCode.DRAWDOWN_HALT, "0.3", "equity_fraction"),
    _limit(LimitCode.MAX_DAILY_VALUE, "10000000", "usd"),
    _limit(LimitCode.MAX_DAILY_ORDERS, "10000", "orders"),
    _limit(LimitCode.REPEATED_EXECUTIONS, "20", "orders_per_hour"),
    _limit(LimitCode.SIMILAR_ORDER, "10", "seconds"),
    _limit(LimitCode.SHORT_LOCATE, "1", "available_fraction"),
    _limit(LimitCode.SHORT_SALE_PRICE, "0.1", "fall_fraction"),  # Regulation SHO, rule 201(b)(1)(i)
    _limit(LimitCode.SESSION_CLOSED, "432000", "seconds"),  # how long before its session an order may be entered
    _limit(LimitCode.NOT_RECONCILED, "432000", "seconds"),  # a replay's clock leaps from one session to the next
    _limit(LimitCode.CLOCK_SKEW, "5", "seconds"),  # a trade may be made between two looks at the clock
    _limit(LimitCode.SIGNAL_STALE, "5", "days"),
    _limit(LimitCode.MAX_GROSS_JUMP, "1.5", "equity_fraction"),
    _limit(LimitCode.MAX_WEIGHT_JUMP, "1", "equity_fraction"),
    _limit(LimitCode.MAX_TARGETS, "5000", "targets"),
    _limit(LimitCode.MIN_TRADE_VALUE, "100", "usd"),
    _limit(LimitCode.MESSAGE_BACKLOG, "10000", "messages"),
    _limit(LimitCode.MESSAGE_RATE, "100", "messages_per_second"),
    _limit(LimitCode.MESSAGE_BURST, "1000", "messages"),
    _limit(LimitCode.CANCEL_RESERVE, "100", "messages"),
)
