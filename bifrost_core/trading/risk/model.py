"""What a risk decision is about and what it may depend on. Money in USD, quantities in shares, times aware, UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.terms import MARKET_DAY, Side, Terms


@dataclass(frozen=True, slots=True)
class Deny:
    """A control's no: its code, the limit and the actual value where there are any, and the fact in one line."""

    code: RiskCode
    detail: str
    limit: Decimal | None = None
    actual: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """The order that is asked about; `qty` unsigned; `reference_price` is what it is sized at.

    `as_of` is the session whose close the signal was made from, None where a person gave the order. `awaited` is for an
    order that is held until others are filled: the signed shares that those will have brought by then. `group` is that
    of orders which cancel one another, empty for any other. `price` is the most that a share can cost, None without a
    reference price.
    """

    client_order_id: str
    account: str
    strategies: tuple[str, ...]
    symbol: str
    side: Side
    qty: Decimal
    reference_price: Decimal | None
    valid_from: datetime
    valid_until: datetime
    terms: Terms = MARKET_DAY
    parent_id: str = ""
    as_of: date | None = None
    awaited: Decimal = ZERO
    is_parent: bool = False
    group: str = ""
    last_price: Decimal | None = None
    price: Decimal | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.reference_price is not None:
            price = self.terms.highest_price(self.reference_price, self.last_price)
            object.__setattr__(self, "price", price)  # once: a dozen controls ask for it

    @property
    def value(self) -> Decimal | None:
        """The most that the order can be worth."""
        price = self.price
        return None if price is None else self.qty * price


@dataclass(frozen=True, slots=True)
class Quote:
    """A trade price and when it was made; where published, best bid and offer, and the shares traded today."""

    price: Decimal
    at: datetime
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tradable:
    """What the broker says may be done in a symbol now. `available_to_short` None: it names no number."""

    is_tradable: bool = True
    is_halted: bool = False
    is_shortable: bool = False
    is_short_restricted: bool = False
    available_to_short: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """What is known of a symbol from before this session: closes comparable with today's prices, shares a day."""

    previous_close: Decimal | None = None
    period_mean: Decimal | None = None
    adv: Decimal | None = None
    sector: str | None = None


@dataclass(frozen=True, slots=True)
class Restriction:
    """Why a symbol is on the restricted list, and whether it may still be closed."""

    reason: str
    may_close: bool = True


@dataclass(frozen=True, slots=True)
class SessionHours:
    """The session that is on or comes next."""

    session: date
    open_at: datetime
    close_at: datetime


@dataclass(frozen=True, slots=True)
class DayState:
    """Equity at the last close, the highest ever and the lowest of today; what was ordered today so far."""

    start_equity: Decimal | None = None
    high_water: Decimal | None = None
    low_equity: Decimal | None = None
    value: Decimal = ZERO
    orders: int = 0


@dataclass(frozen=True, slots=True)
class Parent:
    """The order that child orders are slices of."""

    symbol: str
    side: Side
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Exposure:
    """Shares of one symbol: held (signed), and still to come from working and unknown orders (unsigned, each way).

    `worst`: the most shares, either way, that could be held if only the orders of one side were filled.
    """

    held: Decimal = ZERO
    buying: Decimal = ZERO
    selling: Decimal = ZERO
    worst: Decimal = field(init=False, compare=False)

    def __post_init__(self) -> None:
        worst = max(abs(self.held + self.buying), abs(self.held - self.selling))
        object.__setattr__(self, "worst", worst)  # once: half a dozen controls ask for it

    @property
    def settled(self) -> Decimal:
        """Shares held, signed, once every order is filled."""
        return self.held + self.buying - self.selling

    @property
    def working(self) -> Decimal:
        """Shares still to come, both ways."""
        return self.buying + self.selling

    def plus(self, side: Side, qty: Decimal) -> Exposure:
        """With another working order."""
        if side is Side.BUY:
            return Exposure(self.held, self.buying + qty, self.selling)
        return Exposure(self.held, self.buying, self.selling + qty)

    def once_filled(self, awaited: Decimal) -> Exposure:
        """As it will be when `awaited` signed shares of the working orders have come."""
        if awaited > 0:
            return Exposure(self.held + awaited, max(self.buying - awaited, ZERO), self.selling)
        return Exposure(self.held + awaited, self.buying, max(self.selling + awaited, ZERO))

    def is_reduced_by(self, side: Side, qty: Decimal) -> bool:
        """Whether `qty` more brings the position toward zero and not past it, also if all orders of its side fill."""
        if side is Side.BUY:
            return self.held + self.buying + qty <= 0
        return self.held - self.selling - qty >= 0


class Alternatives(NamedTuple):
    """Orders that cancel one another, of one symbol and side."""

    group: str
    symbol: str
    side: Side


FLAT = Exposure()
NO_FACTS = SymbolFacts()
NOTHING_KNOWN = DayState()


@dataclass(frozen=True, slots=True)
class Resting:
    """An order of ours in the market; `price` is its limit, None where it takes any price."""

    side: Side
    price: Decimal | None


class Shape(NamedTuple):
    """What makes two orders alike."""

    symbol: str
    side: Side
    qty: Decimal
    order_type: str
    limit_price: Decimal | None

    @staticmethod
    def of(p: Proposal) -> Shape:
        return Shape(p.symbol, p.side, p.qty, p.terms.order_type, p.terms.limit_price)
