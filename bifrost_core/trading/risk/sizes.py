"""Controls of how large one order may be."""

from __future__ import annotations

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal
from bifrost_core.trading.risk.numbers import is_positive
from bifrost_core.trading.terms import Side


def max_order_qty(p: Proposal, c: Context) -> Deny | None:
    """No order of more than MAX_ORDER_QTY shares; of a parent, each slice is asked about."""
    limit = c.limits.value(LimitCode.MAX_ORDER_QTY)
    if limit is not None and (p.qty <= limit or p.is_parent):
        return None
    return Deny(RiskCode.MAX_ORDER_QTY, f"order in {p.symbol} is too large, or no limit", limit, p.qty)


def max_order_value(p: Proposal, c: Context) -> Deny | None:
    """No order worth more than MAX_ORDER_VALUE USD; of a parent, each slice is asked about."""
    limit, value = c.limits.value(LimitCode.MAX_ORDER_VALUE), p.value
    if limit is not None and value is not None and (value <= limit or p.is_parent):
        return None
    return Deny(RiskCode.MAX_ORDER_VALUE, f"order in {p.symbol} is too large, or no limit", limit, value)


def max_adv(p: Proposal, c: Context) -> Deny | None:
    """No order that is, with what works on its side, more than MAX_ADV of the average daily volume."""
    fraction, adv = c.limits.value(LimitCode.MAX_ADV), c.facts_of(p.symbol).adv
    if fraction is None or not is_positive(adv):
        return Deny(RiskCode.MAX_ADV, f"average daily volume of {p.symbol} is {adv}, or no limit", fraction)
    after = c.tally.change(p).after
    shares, limit = after.buying if p.side is Side.BUY else after.selling, fraction * adv
    if shares <= limit:
        return None
    return Deny(RiskCode.MAX_ADV, f"too large a part of what is traded in {p.symbol} a day", limit, shares)
