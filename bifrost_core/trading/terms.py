"""What an order asks for, in FIX 4.4's words: side, type, time in force, instructions, and how orders hang together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """FIX tag 54."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def other(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrdType(StrEnum):
    """FIX tag 40. Market- and limit-on-open or -close are these with the time in force OPG or CLS."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    TRAILING_STOP_LIMIT = "trailing_stop_limit"
    MARKET_IF_TOUCHED = "market_if_touched"
    LIMIT_IF_TOUCHED = "limit_if_touched"


class TimeInForce(StrEnum):
    """FIX tag 59: day, good till cancel, at the opening, immediate or cancel, fill or kill, at the close."""

    DAY = "day"
    GTC = "gtc"
    OPG = "opg"
    IOC = "ioc"
    FOK = "fok"
    CLS = "cls"


LIMITED = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.LIMIT_IF_TOUCHED})
TRIGGERED = frozenset({OrdType.STOP, OrdType.STOP_LIMIT, OrdType.MARKET_IF_TOUCHED, OrdType.LIMIT_IF_TOUCHED})
TRAILING = frozenset({OrdType.TRAILING_STOP, OrdType.TRAILING_STOP_LIMIT})
AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
PRICES = ("limit_price", "stop_price", "trail_offset", "limit_offset")
NEEDED = {
    kind: (kind in LIMITED, kind in TRIGGERED, kind in TRAILING, kind is OrdType.TRAILING_STOP_LIMIT)
    for kind in OrdType
}  # of each type, which of PRICES it has


@dataclass(frozen=True, slots=True)
class Terms:
    """How an order is to be executed. Prices in USD a share.

    `limit_price` (tag 44), `stop_price` (tag 99: the trigger of stop and if-touched orders), `trail_offset` (tag 211:
    how far a trailing stop follows), `limit_offset` (how far from its trigger a trailing stop limit's limit is).
    `post_only` is ExecInst 6 (participate, don't initiate), `reduce_only` ExecInst E (do not increase).
    """

    order_type: OrdType = OrdType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    limit_offset: Decimal | None = None
    post_only: bool = False
    reduce_only: bool = False

    def highest_price(self, reference: Decimal, last: Decimal | None = None) -> Decimal:
        """The most that a share may cost, USD: the highest of reference price, last trade, limit and trigger."""
        named = (reference, last, self.limit_price, self.stop_price)
        return max([price for price in named if price is not None and price.is_finite()], default=reference)

    def objection(self) -> str:
        """What makes no sense in these terms, in one line; empty if they can be sent."""
        given = (self.limit_price, self.stop_price, self.trail_offset, self.limit_offset)
        for name, value, is_needed in zip(PRICES, given, NEEDED[self.order_type], strict=True):
            if (value is not None) is not is_needed:
                return f"a {self.order_type} order {'needs' if is_needed else 'takes no'} {name}"
            if value is not None and (not value.is_finite() or value <= 0):
                return f"{name} is {value}"
        if self.post_only and self.order_type is not OrdType.LIMIT:
            return f"only a limit order can be post-only, not a {self.order_type} order"
        at_auction = self.time_in_force in AUCTIONS
        if at_auction and self.order_type not in {OrdType.MARKET, OrdType.LIMIT}:
            return f"an auction takes market and limit orders, not a {self.order_type} order"
        return ""


MARKET_DAY = Terms()


class Release(StrEnum):
    """What a held order waits for, and how many shares it is then sent for."""

    EXECUTED = "executed"  # the other order has ended: as many shares as it executed (the legs of a bracket)
    FILLED = "filled"  # the other order is filled completely: all (OTO; the second leg of a change that crosses zero)
    ENDED = "ended"  # the other order has ended: at most the shares that it left (cancel and replace)


@dataclass(frozen=True, slots=True)
class Contingency:
    """How an order depends on others of its group (FIX ContingencyType, tag 1385).

    An order with `after` is held, not sent, until the order of that id has done what `release` names. Executions of the
    `is_oco` orders of a group count against all of them: the others are amended down, at last to nothing.
    """

    group_id: str
    after: str = ""
    release: Release | None = None
    is_oco: bool = False

    @property
    def replaces(self) -> bool:
        """Whether the order takes the place of the one that it waits for."""
        return self.release is Release.ENDED
