"""Controls of what an order is and what it does beside our other orders."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal, Resting, Shape
from bifrost_core.trading.risk.tally import NOT_IN_THE_MARKET
from bifrost_core.trading.terms import Side

REPEAT_WINDOW = timedelta(hours=1)  # of REPEATED_EXECUTIONS, as its unit says


def terms_invalid(p: Proposal, _context: Context) -> Deny | None:
    """No order whose type, time in force and prices do not go together."""
    objection = p.terms.objection()
    return Deny(RiskCode.TERMS_INVALID, objection) if objection else None


def restricted(p: Proposal, c: Context) -> Deny | None:
    """No order in a symbol on the restricted list, but to close where the entry allows that."""
    entry = c.restricted.get(p.symbol)
    if entry is None or (entry.may_close and c.reduces(p)):
        return None
    return Deny(RiskCode.RESTRICTED, f"{p.symbol} is restricted: {entry.reason}")


def reduce_only(p: Proposal, c: Context) -> Deny | None:
    """No reduce-only order that could open, add to or turn a position."""
    if not p.terms.reduce_only or c.reduces(p):
        return None
    held = c.tally.change(p).before
    return Deny(RiskCode.REDUCE_ONLY, f"{held.held} of {p.symbol} held", abs(held.held), p.qty)


def parent_exceeded(p: Proposal, c: Context) -> Deny | None:
    """No slice that is not of its parent's symbol and side, or that makes all slices more than the parent."""
    if not p.parent_id:
        return None
    parent = c.parents.get(p.parent_id)
    if parent is None or (parent.symbol, parent.side) != (p.symbol, p.side):
        return Deny(RiskCode.PARENT_EXCEEDED, f"{p.side} {p.symbol} is no slice of parent {p.parent_id}")
    total = c.tally.allotted.get(p.parent_id, ZERO) + p.qty
    if total <= parent.qty:
        return None
    return Deny(RiskCode.PARENT_EXCEEDED, f"slices of parent {p.parent_id} add up to more", parent.qty, total)


def self_match(p: Proposal, c: Context) -> Deny | None:
    """No order that could trade with one of our own in the market. What waits for a trigger or another order is not."""
    if p.awaited or p.is_parent or p.terms.order_type in NOT_IN_THE_MARKET:
        return None
    ours = Resting(p.side, p.terms.limit_price)
    for other in c.tally.resting.get(p.symbol, ()):
        if other.side is not p.side and _cross(ours, other):
            return Deny(RiskCode.SELF_MATCH, f"an own order to {other.side} {p.symbol} works at {other.price or 'any'}")
    return None


def _cross(one: Resting, other: Resting) -> bool:
    if one.price is None or other.price is None:
        return True
    return (one.price - other.price) * one.side.sign >= 0


def similar_order(p: Proposal, c: Context) -> Deny | None:
    """No order like one accepted less than SIMILAR_ORDER seconds ago. Slices of a parent may be alike."""
    limit = c.limits.value(LimitCode.SIMILAR_ORDER)
    if limit is None:
        return Deny(RiskCode.SIMILAR_ORDER, "no limit")
    if p.parent_id or (before := c.tally.alike.get(Shape.of(p))) is None:
        return None
    age = Decimal((c.now - before).total_seconds())
    if age >= limit:
        return None
    return Deny(RiskCode.SIMILAR_ORDER, f"{p.side} {p.qty} {p.symbol} was accepted at {before}", limit, age)


def repeated_executions(p: Proposal, c: Context) -> Deny | None:
    """No order once REPEATED_EXECUTIONS of its symbol and side were executed within an hour. Slices do not count."""
    limit = c.limits.value(LimitCode.REPEATED_EXECUTIONS)
    if limit is None:
        return Deny(RiskCode.REPEATED_EXECUTIONS, "no limit")
    count = Decimal(c.tally.executions.get((p.symbol, p.side), 0) + 1)
    if p.parent_id or count <= limit:
        return None
    return Deny(RiskCode.REPEATED_EXECUTIONS, f"{p.side} {p.symbol}, again and again", limit, count)


def shares_short(p: Proposal, c: Context) -> Decimal:
    """Shares that working sales and this one would borrow if no purchase came first."""
    if p.side is Side.BUY:
        return ZERO
    change = c.tally.change(p)
    selling = change.after.selling + min(p.awaited, ZERO)  # what it waits for is sold by then
    return max(selling - max(change.before.held + p.awaited, ZERO), ZERO)


def short_locate(p: Proposal, c: Context) -> Deny | None:
    """No sale below zero unless SHORT_LOCATE of the shares that the broker has to lend covers all working ones."""
    short = shares_short(p, c)
    if short == 0:
        return None
    limit, state = c.limits.value(LimitCode.SHORT_LOCATE), c.tradable.get(p.symbol)
    available = state.available_to_short if state and state.is_shortable else None
    if limit is None or available is None or not available.is_finite():
        return Deny(RiskCode.SHORT_LOCATE, f"no shares of {p.symbol} to borrow are located, or no limit", limit, short)
    if short <= limit * available:
        return None
    return Deny(RiskCode.SHORT_LOCATE, f"{available} shares of {p.symbol} to borrow", limit * available, short)


def short_sale_price(p: Proposal, c: Context) -> Deny | None:
    """Under Rule 201, no sale below zero but with a limit above the national best bid (17 CFR 242.201)."""
    if shares_short(p, c) == 0:
        return None
    limit, last = c.limits.value(LimitCode.SHORT_SALE_PRICE), c.last_trades.get(p.symbol)
    bid = last.bid if last else None
    if not _rule_201_is_in_force(p, c, limit):
        return None
    price = p.terms.limit_price
    if price is not None and bid is not None and bid.is_finite() and price > bid:
        return None
    return Deny(
        RiskCode.SHORT_SALE_PRICE, f"short sale of {p.symbol} at {price or 'any price'}, best bid {bid}", bid, price
    )


def _rule_201_is_in_force(p: Proposal, c: Context, fall: Decimal | None) -> bool:
    """The broker says so, or the last trade is that far below the previous close, or one of them is not known."""
    state, last = c.tradable.get(p.symbol), c.last_trades.get(p.symbol)
    close = c.facts_of(p.symbol).previous_close
    if state is None or state.is_short_restricted or fall is None or last is None or close is None:
        return True
    return not last.price > close * (1 - fall)
