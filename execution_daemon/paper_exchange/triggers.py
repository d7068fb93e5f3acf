"""How stops, trailing stops and touched orders come alive along a price path. Pure.

A bar tells its open, high, low and close, but not whether the high or the low came first. So an order walks both
paths, open-high-low-close and open-low-high-close, and is executed only if both execute it, at the worse of the two
prices. Prices move continuously inside a bar and jump between bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from bifrost_core.trading.costs import TICK
from bifrost_core.trading.terms import TRAILING, OrdType, Side
from execution_daemon.paper_exchange.tape import Bar
from execution_daemon.paper_exchange.working import STOPS, Live, WorkingOrder, accepts, worse


@dataclass(frozen=True, slots=True)
class Walk:
    """What a path made of an order: `price` at which it trades (None: not), `is_passive` if somebody came to it."""

    live: Live
    price: Decimal | None = None
    is_passive: bool = False


def trigger_price(order: WorkingOrder) -> Decimal | None:
    """The price that brings the order alive now; None where it is no conditional order or has seen no price yet."""
    if order.terms.order_type not in TRAILING:
        return order.terms.stop_price
    mark = order.live.high_water
    if mark is None:
        return None
    offset = order.terms.trail_offset
    if order.trail_percent is not None:
        offset = (mark * order.trail_percent / 100).quantize(TICK, ROUND_HALF_UP)
    return None if offset is None else mark - order.side.other.sign * offset


def at_print(order: WorkingOrder, price: Decimal) -> Walk:
    """One print at `price`: it may trigger the order, and an order that is alive trades if it accepts the price."""
    order = _marked(order, price)
    if order.is_conditional:
        if not _is_reached(order, price):
            return Walk(order.live)
        order = _triggered(order, price)
    return Walk(order.live, price if accepts(order.side, order.limit, price) else None)


def along(order: WorkingOrder, start: Decimal, end: Decimal) -> Walk:
    """A continuous move from `start`, where the order did not trade, to `end`."""
    if order.is_conditional:
        order = _marked(order, end) if _is_favourable(order, start, end) else order
        level = trigger_price(order)
        if level is None or not _is_reached(order, end):
            return Walk(order.live)
        level = min(max(level, min(start, end)), max(start, end))
        order = _triggered(order, level)
        if accepts(order.side, order.limit, level):
            return Walk(order.live, level)
    if accepts(order.side, order.limit, end):
        return Walk(order.live, order.limit if order.limit is not None else end, is_passive=True)
    return Walk(order.live)


def through_bar(order: WorkingOrder, bar: Bar) -> Walk:
    """What both paths through the bar prove. The order did not trade at the open unless the open triggers it."""
    high_first = _walk(order, (bar.open, bar.high, bar.low, bar.close))
    low_first = _walk(order, (bar.open, bar.low, bar.high, bar.close))
    if high_first.price is None or low_first.price is None:
        return Walk(_proven(order.side, high_first.live, low_first.live))
    price = worse(order.side, high_first.price, low_first.price)
    return high_first if price == high_first.price else low_first


def _walk(order: WorkingOrder, points: Sequence[Decimal]) -> Walk:
    step = at_print(order, points[0]) if order.is_conditional else Walk(order.live)
    for start, end in pairwise(points):
        if step.price is not None:
            break
        step = along(replace(order, live=step.live), start, end)
    return step


def _proven(side: Side, one: Live, other: Live) -> Live:
    """Alive only if both paths say so; then with the limit that is harder to reach."""
    if not (one.is_triggered and other.is_triggered):
        return other if one.is_triggered else one
    if one.active_limit is None or other.active_limit is None:
        return one
    return one if worse(side, one.active_limit, other.active_limit) == other.active_limit else other


def _marked(order: WorkingOrder, price: Decimal) -> WorkingOrder:
    """A trailing stop's high-water mark after `price`."""
    if order.terms.order_type not in TRAILING or not order.is_conditional:
        return order
    mark = order.live.high_water
    best = price if mark is None else worse(order.side.other, mark, price)
    return replace(order, live=replace(order.live, high_water=best))


def _is_favourable(order: WorkingOrder, start: Decimal, end: Decimal) -> bool:
    return order.side.other.sign * (end - start) > 0


def _is_reached(order: WorkingOrder, price: Decimal) -> bool:
    """Stops wait for the price to turn against the side they close, touched orders for it to come to them."""
    level = trigger_price(order)
    if level is None:
        return False
    sign = order.side.sign if order.terms.order_type in STOPS else -order.side.sign
    return sign * (price - level) >= 0


def _triggered(order: WorkingOrder, level: Decimal) -> WorkingOrder:
    limit = None
    if order.terms.order_type is OrdType.TRAILING_STOP_LIMIT and order.terms.limit_offset is not None:
        trigger = trigger_price(order)
        limit = (level if trigger is None else trigger) + order.side.sign * order.terms.limit_offset
    return replace(order, live=replace(order.live, is_triggered=True, active_limit=limit))
