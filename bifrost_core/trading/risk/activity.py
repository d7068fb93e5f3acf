"""Controls of how much is done in a day and how fast. None of them stops an order that only reduces."""

from __future__ import annotations

from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal


def max_daily_value(p: Proposal, c: Context) -> Deny | None:
    """No order that takes what was ordered today beyond MAX_DAILY_VALUE USD."""
    after = None if p.value is None else c.tally.value + p.value
    return _within(RiskCode.MAX_DAILY_VALUE, LimitCode.MAX_DAILY_VALUE, p, c, after)


def max_daily_orders(p: Proposal, c: Context) -> Deny | None:
    """No more than MAX_DAILY_ORDERS orders in a day."""
    return _within(RiskCode.MAX_DAILY_ORDERS, LimitCode.MAX_DAILY_ORDERS, p, c, Decimal(c.tally.orders + 1))


def message_backlog(p: Proposal, c: Context) -> Deny | None:
    """No order when more than MESSAGE_BACKLOG would wait to be sent."""
    return _within(RiskCode.MESSAGE_BACKLOG, LimitCode.MESSAGE_BACKLOG, p, c, Decimal(c.tally.backlog + 1))


def _within(code: RiskCode, limit_code: LimitCode, p: Proposal, c: Context, value: Decimal | None) -> Deny | None:
    limit = c.limits.value(limit_code)
    if limit is not None and value is not None and value <= limit:
        return None
    return None if c.reduces(p) else Deny(code, "too much for one day, or no limit", limit, value)
