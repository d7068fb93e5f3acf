"""Controls of what the book could become: positions, working and unknown orders, and this one.

None of them stops an order that does not add to the worst case of its symbol.
"""

from __future__ import annotations

from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal
from bifrost_core.trading.risk.numbers import is_positive, known
from bifrost_core.trading.terms import Side


def max_position(p: Proposal, c: Context) -> Deny | None:
    """No order that could take the symbol beyond MAX_POSITION USD, whichever of its orders are filled."""
    change = c.tally.change(p)
    if not change.increases:
        return None
    limit, price = c.limits.value(LimitCode.MAX_POSITION), p.price
    if limit is None or price is None:
        return Deny(RiskCode.MAX_POSITION, "no limit or no price", limit)
    value = change.after.worst * price
    return Deny(RiskCode.MAX_POSITION, f"{p.symbol} could become too large", limit, value) if value > limit else None


def max_gross(p: Proposal, c: Context) -> Deny | None:
    """No order that could take the sum of worst cases over all symbols beyond MAX_GROSS times equity."""
    if not c.tally.change(p).increases:
        return None
    return _against_equity(RiskCode.MAX_GROSS, p, c, c.tally.gross + _added(p, c))


def max_net(p: Proposal, c: Context) -> Deny | None:
    """No order that could take longs less shorts, either way, beyond MAX_NET times equity."""
    if not c.tally.change(p).increases:
        return None
    value, bought, sold = p.value or ZERO, c.tally.if_bought, c.tally.if_sold
    after = max(abs(bought + value), abs(sold)) if p.side is Side.BUY else max(abs(bought), abs(sold - value))
    if after <= max(abs(bought), abs(sold)) and not c.tally.unpriced:
        return None
    return _against_equity(RiskCode.MAX_NET, p, c, after)


def max_leverage(p: Proposal, c: Context) -> Deny | None:
    """No order with which the sum of positions would be beyond MAX_LEVERAGE times equity once all orders are filled."""
    change = c.tally.change(p)
    added = abs(change.after.settled) - abs(change.before.settled)
    if not change.increases or added <= 0:
        return None
    return _against_equity(RiskCode.MAX_LEVERAGE, p, c, c.tally.settled + added * (p.price or ZERO))


def max_concentration(p: Proposal, c: Context) -> Deny | None:
    """No order that could take its symbol beyond MAX_CONCENTRATION of equity."""
    change = c.tally.change(p)
    if not change.increases:
        return None
    return _against_equity(RiskCode.MAX_CONCENTRATION, p, c, change.after.worst * (p.price or ZERO))


def max_sector(p: Proposal, c: Context) -> Deny | None:
    """No order that could take its sector's sum of worst cases beyond MAX_SECTOR times equity."""
    if not c.tally.change(p).increases:
        return None
    before = c.tally.by_sector.get(c.tally.sector(p.symbol), ZERO)
    return _against_equity(RiskCode.MAX_SECTOR, p, c, before + _added(p, c))


def buying_power(p: Proposal, c: Context) -> Deny | None:
    """No opening order that makes what is reserved more than BUYING_POWER times equity less what is held.

    A slice is part of what its parent reserves.
    """
    if p.parent_id or c.tally.change(p).reduces:
        return None
    power = c.once(purchasing_power, purchasing_power)
    if power is None or p.value is None:
        return Deny(RiskCode.BUYING_POWER, f"no limit, equity is {c.equity}, or a held symbol has no price")
    reserved = c.tally.reserved + p.value
    return Deny(RiskCode.BUYING_POWER, "not enough is free", power, reserved) if reserved > power else None


def purchasing_power(c: Context) -> Decimal | None:
    """USD that working orders may reserve in all; None where equity, a price or the limit is not known."""
    fraction = c.limits.value(LimitCode.BUYING_POWER)
    if fraction is None or not is_positive(c.equity) or c.tally.unpriced:
        return None
    return max(fraction * c.equity - c.tally.held, ZERO)


def _added(p: Proposal, c: Context) -> Decimal:
    change = c.tally.change(p)
    return (change.after.worst - change.before.worst) * (p.price or ZERO)


def _against_equity(code: RiskCode, p: Proposal, c: Context, value: Decimal) -> Deny | None:
    """Deny where `value` is more than the limit of the same name times equity, or one of them is not known."""
    ceiling = c.once(code, lambda known: _ceiling(code, known))
    if isinstance(ceiling, Deny):
        return ceiling
    return Deny(code, f"{p.symbol} could make it too large", ceiling, value) if value > ceiling else None


def _ceiling(code: RiskCode, c: Context) -> Decimal | Deny:
    """The limit of the same name times equity in USD; a denial where it cannot be said."""
    fraction = c.limits.value(code.limit) if code.limit else None
    if fraction is None or not is_positive(c.equity):
        return Deny(code, f"no limit, or equity is {c.equity}", None, known(c.equity))
    if c.tally.unpriced:
        return Deny(code, f"no price of {', '.join(sorted(c.tally.unpriced))}, which is held or working")
    return fraction * c.equity
