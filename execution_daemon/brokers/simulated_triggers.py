"""When an order of the simulated market may trade: stops, trails and touches against one printed price. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from bifrost_core.trading.terms import TRAILING, OrdType, Side, Terms

_STOPS = {OrdType.STOP, OrdType.STOP_LIMIT}


@dataclass(frozen=True, slots=True)
class Watch:
    """What an order has seen of the market.

    `best` is the highest (to sell) or lowest (to buy) price since it came, which a trailing stop follows; `limit` is
    what it may trade at once it `is_live`.
    """

    best: Decimal
    is_live: bool
    limit: Decimal | None


def begin(terms: Terms, price: Decimal) -> Watch:
    """The watch of an order that comes while the market is at `price`."""
    waits = terms.stop_price is not None or terms.order_type in TRAILING
    return Watch(price, not waits, terms.limit_price)


def see(terms: Terms, side: Side, watch: Watch, price: Decimal) -> Watch:
    """The watch after a trade at `price`."""
    if watch.is_live:
        return watch
    if terms.trail_offset is not None:
        return _follow(terms.trail_offset, terms.limit_offset, side, watch, price)
    if terms.stop_price is not None:
        beyond = (price - terms.stop_price) * side.sign  # a buy stop waits for the market to come up, a touch for down
        return replace(watch, is_live=beyond >= 0 if terms.order_type in _STOPS else beyond <= 0)
    return watch


def _follow(offset: Decimal, limit_offset: Decimal | None, side: Side, watch: Watch, price: Decimal) -> Watch:
    best = min(watch.best, price) if side is Side.BUY else max(watch.best, price)
    trigger = best + side.sign * offset
    if (price - trigger) * side.sign < 0:
        return replace(watch, best=best)
    limit = None if limit_offset is None else trigger + side.sign * limit_offset
    return Watch(best, True, limit)


def accepts(side: Side, limit: Decimal | None, price: Decimal) -> bool:
    """Whether an order with `limit` may trade at `price`."""
    return limit is None or (limit - price) * side.sign >= 0
