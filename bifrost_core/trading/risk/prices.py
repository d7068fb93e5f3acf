"""Controls of market data and of the price of an order."""

from __future__ import annotations

from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal, Quote
from bifrost_core.trading.risk.numbers import BPS, bps_between, is_positive, known
from bifrost_core.trading.terms import Side


def price_missing(p: Proposal, c: Context) -> Deny | None:
    """No order without a quantity, a reference price and a last trade that are finite and above zero."""
    last = c.last_trades.get(p.symbol)
    for name, value in (
        ("quantity", p.qty),
        ("reference price", p.reference_price),
        ("last trade", last.price if last else None),
    ):
        if not is_positive(value):
            return Deny(RiskCode.PRICE_MISSING, f"{name} of {p.symbol} is {value}", actual=known(value))
    return None


def price_stale(p: Proposal, c: Context) -> Deny | None:
    """No order on a last trade older than PRICE_STALE seconds, or further in the future than CLOCK_SKEW seconds."""
    limit, skew = c.limits.value(LimitCode.PRICE_STALE), c.limits.value(LimitCode.CLOCK_SKEW)
    last = c.last_trades.get(p.symbol)
    if limit is None or skew is None or last is None:
        return Deny(RiskCode.PRICE_STALE, f"no last trade of {p.symbol}, or no limit for its age", limit)
    age = Decimal((c.now - last.at).total_seconds())
    if -skew <= age <= limit:
        return None
    return Deny(RiskCode.PRICE_STALE, f"last trade of {p.symbol} is of {last.at}, it is {c.now}", limit, age)


def price_jump(p: Proposal, c: Context) -> Deny | None:
    """No order that does not reduce on a last trade more than PRICE_JUMP basis points away from the previous close."""
    base = c.facts_of(p.symbol).previous_close
    return _jumped(p, c, RiskCode.PRICE_JUMP, LimitCode.PRICE_JUMP, "previous close", base, _last_price(p, c))


def period_collar(p: Proposal, c: Context) -> Deny | None:
    """No order that does not reduce at a price more than PERIOD_COLLAR basis points off the period's mean close."""
    base = c.facts_of(p.symbol).period_mean
    return _jumped(p, c, RiskCode.PERIOD_COLLAR, LimitCode.PERIOD_COLLAR, "mean close", base, p.price)


def _jumped(
    p: Proposal,
    c: Context,
    code: RiskCode,
    limit_code: LimitCode,
    name: str,
    base: Decimal | None,
    price: Decimal | None,
) -> Deny | None:
    limit = c.limits.value(limit_code)
    if limit is not None and is_positive(base) and is_positive(price):
        away = bps_between(price, base)
        if away <= limit:
            return None
        denied = Deny(code, f"{p.symbol} at {price} against a {name} of {base}", limit, away)
    else:
        denied = Deny(code, f"{name} of {p.symbol} is {base}, or no limit", limit)
    return None if c.reduces(p) else denied


def _last_price(p: Proposal, c: Context) -> Decimal | None:
    last = c.last_trades.get(p.symbol)
    return last.price if last else None


def price_collar(p: Proposal, c: Context) -> Deny | None:
    """No order PRICE_COLLAR basis points off the last trade: its reference price, or a limit that gives away."""
    limit, last = c.limits.value(LimitCode.PRICE_COLLAR), _last_price(p, c)
    if limit is None or not is_positive(last) or p.reference_price is None:
        return Deny(RiskCode.PRICE_COLLAR, f"no price of {p.symbol} to compare with, or no limit", limit)
    away, price = bps_between(p.reference_price, last), p.reference_price
    if p.terms.limit_price is not None and (beyond := _beyond(p.side, p.terms.limit_price, last)) > away:
        away, price = beyond, p.terms.limit_price
    if away <= limit:
        return None
    return Deny(RiskCode.PRICE_COLLAR, f"{price} against a last trade of {last}", limit, away)


def quote_collar(p: Proposal, c: Context) -> Deny | None:
    """No order that could trade more than QUOTE_COLLAR basis points through the best offer or, a sale, the best bid."""
    if not c.has_quotes:
        return None
    limit, touch = c.limits.value(LimitCode.QUOTE_COLLAR), _touch(p.side, c.last_trades.get(p.symbol))
    price = p.terms.limit_price if p.terms.limit_price is not None else p.reference_price
    if limit is None or not is_positive(touch) or price is None:
        return Deny(RiskCode.QUOTE_COLLAR, f"best {_touch_name(p.side)} of {p.symbol} is {touch}, or no limit", limit)
    through = _beyond(p.side, price, touch)
    if through <= limit:
        return None
    return Deny(RiskCode.QUOTE_COLLAR, f"{price} against a best {_touch_name(p.side)} of {touch}", limit, through)


def _touch(side: Side, quote: Quote | None) -> Decimal | None:
    if quote is None:
        return None
    return quote.ask if side is Side.BUY else quote.bid


def _touch_name(side: Side) -> str:
    return "offer" if side is Side.BUY else "bid"


def _beyond(side: Side, price: Decimal, base: Decimal) -> Decimal:
    """How far `price` gives more than `base` away, in basis points; negative where it is better."""
    return (price - base) * side.sign / base * BPS
