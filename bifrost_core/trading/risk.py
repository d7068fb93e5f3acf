"""Pre-trade risk: each control is one function that denies or does not, asked in the order of `CONTROLS`.

What is missing, stale or not a number denies. An order that does not add to the worst case is never denied by an
exposure limit, so that a book over its limits can always be brought back under them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side

BPS = Decimal(10_000)
CLOCK_SKEW_SECONDS = 5  # a trade may be made between two looks at the clock


class RiskCode(StrEnum):
    """Reason codes of decisions, in precedence order. Stored: never renamed."""

    KILL_SWITCH = "KILL_SWITCH"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    SIGNAL_INVALID = "SIGNAL_INVALID"
    SYMBOL_BLOCKED = "SYMBOL_BLOCKED"
    RESTRICTED = "RESTRICTED"
    PRICE_MISSING = "PRICE_MISSING"
    PRICE_STALE = "PRICE_STALE"
    PRICE_COLLAR = "PRICE_COLLAR"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MAX_POSITION = "MAX_POSITION"
    MAX_GROSS = "MAX_GROSS"
    ACCEPTED = "ACCEPTED"

    @property
    def may_pass_later(self) -> bool:
        """Whether the same order could be accepted later, if only time, prices and the book move."""
        return self not in {RiskCode.DUPLICATE_ORDER, RiskCode.RESTRICTED, RiskCode.MAX_ORDER_VALUE}


@dataclass(frozen=True, slots=True)
class Deny:
    """A control's no: its code, the limit and the actual value where there are any, and the fact in one line."""

    code: RiskCode
    detail: str
    limit: Decimal | None = None
    actual: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """The order that is asked about; `qty` in shares, unsigned; `reference_price` in USD."""

    client_order_id: str
    account: str
    strategies: tuple[str, ...]
    symbol: str
    side: Side
    qty: Decimal
    reference_price: Decimal | None
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """A trade price in USD and when it was made."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Exposure:
    """Shares of one symbol: held (signed), and still to come from working and unknown orders (unsigned, each way)."""

    held: Decimal = ZERO
    buying: Decimal = ZERO
    selling: Decimal = ZERO

    @property
    def worst(self) -> Decimal:
        """The most shares, either way, that could be held if only the orders of one side were filled."""
        return max(abs(self.held + self.buying), abs(self.held - self.selling))

    def plus(self, side: Side, qty: Decimal) -> Exposure:
        """With another working order."""
        if side is Side.BUY:
            return Exposure(self.held, self.buying + qty, self.selling)
        return Exposure(self.held, self.buying, self.selling + qty)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a decision may depend on, at market time `now`. `prices` value the book (USD, by symbol)."""

    now: datetime
    limits: Limits
    equity: Decimal | None
    exposures: Mapping[str, Exposure] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    last_trades: Mapping[str, Quote] = field(default_factory=dict)
    kill_switches: Collection[tuple[str, str]] = ()
    known_ids: Collection[str] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    restricted: Mapping[str, str] = field(default_factory=dict)


Control = Callable[[Proposal, Context], Deny | None]


def kill_switch(p: Proposal, c: Context) -> Deny | None:
    """No order in the scope of an engaged switch: global, account, strategy or symbol."""
    scopes = [("global", "*"), ("account", p.account), ("symbol", p.symbol), *(("strategy", s) for s in p.strategies)]
    hit = [f"{scope} {key}" for scope, key in scopes if (scope, key) in c.kill_switches]
    return Deny(RiskCode.KILL_SWITCH, f"kill switch is engaged: {hit[0]}") if hit else None


def duplicate_order(p: Proposal, c: Context) -> Deny | None:
    """No order id twice."""
    known = p.client_order_id in c.known_ids
    return Deny(RiskCode.DUPLICATE_ORDER, f"order {p.client_order_id} exists") if known else None


def signal_invalid(p: Proposal, c: Context) -> Deny | None:
    """No order outside [valid_from, valid_until) of the batch it comes from."""
    if p.valid_from <= c.now < p.valid_until:
        return None
    return Deny(RiskCode.SIGNAL_INVALID, f"valid from {p.valid_from} until {p.valid_until}, it is {c.now}")


def symbol_blocked(p: Proposal, c: Context) -> Deny | None:
    """No order in a blocked symbol; a block of '*' holds for all."""
    cause = c.blocked.get(p.symbol) or c.blocked.get("*")
    return Deny(RiskCode.SYMBOL_BLOCKED, f"{p.symbol} is blocked: {cause}") if cause else None


def restricted(p: Proposal, c: Context) -> Deny | None:
    """No order in a symbol on the restricted list."""
    cause = c.restricted.get(p.symbol)
    return Deny(RiskCode.RESTRICTED, f"{p.symbol} is restricted: {cause}") if cause is not None else None


def price_missing(p: Proposal, c: Context) -> Deny | None:
    """No order without a quantity, a reference price and a last trade that are finite and above zero."""
    last = c.last_trades.get(p.symbol)
    for name, value in (
        ("quantity", p.qty),
        ("reference price", p.reference_price),
        ("last trade", last.price if last else None),
    ):
        if _unusable(value):
            return Deny(RiskCode.PRICE_MISSING, f"{name} of {p.symbol} is {value}", actual=_number(value))
    return None


def price_stale(p: Proposal, c: Context) -> Deny | None:
    """No order on a last trade older than PRICE_STALE seconds, or made in the future."""
    limit, last = c.limits.value(LimitCode.PRICE_STALE), c.last_trades.get(p.symbol)
    if limit is None or last is None:
        return Deny(RiskCode.PRICE_STALE, f"no last trade of {p.symbol}, or no limit for its age", limit)
    age = Decimal((c.now - last.at).total_seconds())
    if -CLOCK_SKEW_SECONDS <= age <= limit:
        return None
    return Deny(RiskCode.PRICE_STALE, f"last trade of {p.symbol} is of {last.at}, it is {c.now}", limit, age)


def price_collar(p: Proposal, c: Context) -> Deny | None:
    """No order whose reference price is more than PRICE_COLLAR basis points away from the last trade."""
    limit, last = c.limits.value(LimitCode.PRICE_COLLAR), c.last_trades.get(p.symbol)
    if limit is None or last is None or p.reference_price is None or _unusable(last.price):
        return Deny(RiskCode.PRICE_COLLAR, f"no price of {p.symbol} to compare with, or no limit", limit)
    away = abs(p.reference_price - last.price) / last.price * BPS
    if away <= limit:
        return None
    return Deny(RiskCode.PRICE_COLLAR, f"reference {p.reference_price} against last trade {last.price}", limit, away)


def max_order_value(p: Proposal, c: Context) -> Deny | None:
    """No order worth more than MAX_ORDER_VALUE USD at its reference price."""
    limit = c.limits.value(LimitCode.MAX_ORDER_VALUE)
    if limit is None or p.reference_price is None:
        return Deny(RiskCode.MAX_ORDER_VALUE, "no limit or no price", limit)
    value = p.qty * p.reference_price
    return Deny(RiskCode.MAX_ORDER_VALUE, f"order in {p.symbol} is too large", limit, value) if value > limit else None


def max_position(p: Proposal, c: Context) -> Deny | None:
    """No order that could take the symbol beyond MAX_POSITION USD, whichever of its orders are filled."""
    before, after = _before_and_after(p, c)
    if after.worst <= before.worst:
        return None
    limit = c.limits.value(LimitCode.MAX_POSITION)
    if limit is None or p.reference_price is None:
        return Deny(RiskCode.MAX_POSITION, "no limit or no price", limit)
    value = after.worst * p.reference_price
    return Deny(RiskCode.MAX_POSITION, f"{p.symbol} could become too large", limit, value) if value > limit else None


def max_gross(p: Proposal, c: Context) -> Deny | None:
    """No order that could take the sum of worst cases over all symbols beyond MAX_GROSS times equity."""
    before, after = _before_and_after(p, c)
    if after.worst <= before.worst:
        return None
    fraction = c.limits.value(LimitCode.MAX_GROSS)
    if fraction is None or _unusable(c.equity) or c.equity is None:
        return Deny(RiskCode.MAX_GROSS, f"no limit, or equity is {c.equity}", None, _number(c.equity))
    total = worst_gross({**c.exposures, p.symbol: after}, c.prices)
    if total is None:
        return Deny(RiskCode.MAX_GROSS, "a held or working symbol has no price")
    limit = fraction * c.equity
    return Deny(RiskCode.MAX_GROSS, "the book could become too large", limit, total) if total > limit else None


def worst_gross(exposures: Mapping[str, Exposure], prices: Mapping[str, Decimal]) -> Decimal | None:
    """USD of the worst case of every symbol; None where one that counts has no usable price."""
    total = ZERO
    for symbol, exposure in exposures.items():
        if exposure.worst == 0:
            continue
        price = prices.get(symbol)
        if price is None or _unusable(price):
            return None
        total += exposure.worst * price
    return total


def _before_and_after(p: Proposal, c: Context) -> tuple[Exposure, Exposure]:
    before = c.exposures.get(p.symbol, Exposure())
    return before, before.plus(p.side, p.qty)


def _unusable(value: Decimal | None) -> bool:
    return value is None or not value.is_finite() or value <= 0


def _number(value: Decimal | None) -> Decimal | None:
    return value if value is not None and value.is_finite() else None


CONTROLS: Mapping[RiskCode, Control] = {
    RiskCode.KILL_SWITCH: kill_switch,
    RiskCode.DUPLICATE_ORDER: duplicate_order,
    RiskCode.SIGNAL_INVALID: signal_invalid,
    RiskCode.SYMBOL_BLOCKED: symbol_blocked,
    RiskCode.RESTRICTED: restricted,
    RiskCode.PRICE_MISSING: price_missing,
    RiskCode.PRICE_STALE: price_stale,
    RiskCode.PRICE_COLLAR: price_collar,
    RiskCode.MAX_ORDER_VALUE: max_order_value,
    RiskCode.MAX_POSITION: max_position,
    RiskCode.MAX_GROSS: max_gross,
}


def decide(proposal: Proposal, context: Context) -> Deny | None:
    """The first control that denies, or None: the order is accepted."""
    for control in CONTROLS.values():
        if denied := control(proposal, context):
            return denied
    return None
