"""The matching rules over bars: from one symbol's orders and one bar to executions. Pure.

A bar tells four prices and a volume, so the rules use only what it proves:

- its open is a print: orders that were there before it trade at it if they accept it (of a session, it is the auction);
- a limit order that rests from the open on is filled at its limit if the bar's range reached it;
- a stop or touched order trades where it is triggered: at the open if that jumped over its price, else at its price;
- what comes after the open, and what the open could not fill, trades at the close, because the close is the one price
  known to have been made after it.

Price comes before time: market orders first, then the more aggressive limit, then who was first. Our orders together
never take more than a given share of the bar's volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import TimeInForce
from execution_daemon.paper_exchange import triggers
from execution_daemon.paper_exchange.fill_models import TOUCH, FillModel, resting, taken_at
from execution_daemon.paper_exchange.tape import Bar
from execution_daemon.paper_exchange.triggers import Walk
from execution_daemon.paper_exchange.working import Execution, Live, Outcome, WorkingOrder, accepts


@dataclass(frozen=True, slots=True)
class VolumeCap:
    """The largest share of a bar's volume that our orders may take: in an auction, and in the whole bar."""

    auction: Decimal = Decimal("0.10")
    session: Decimal = Decimal("0.20")


@dataclass(frozen=True, slots=True)
class Liquidity:
    """One bar, the shares of it that are left for our orders, how they fill, and a name for chance to be drawn from."""

    bar: Bar
    shares: Decimal
    model: FillModel = TOUCH
    draw: str = ""


@dataclass(frozen=True, slots=True)
class _Offer:
    """An order that can trade at `price`."""

    order: WorkingOrder
    price: Decimal
    is_passive: bool = False


def shares_of(bar: Bar, fraction: Decimal, used: Decimal = ZERO) -> Decimal:
    """Whole shares of the bar's volume that may be taken after `used` were."""
    return max((bar.volume * fraction).to_integral_value(ROUND_FLOOR) - used, ZERO)


def at_open(orders: Sequence[WorkingOrder], there: Liquidity) -> Outcome:
    """The print at the bar's open. `orders` of one symbol, in time priority."""
    return _print([o for o in orders if not o.is_late], there.bar.open, there)


def at_close(orders: Sequence[WorkingOrder], there: Liquidity) -> Outcome:
    """The print at the bar's close: the closing auction."""
    return _print(orders, there.bar.close, there)


def after_open(orders: Sequence[WorkingOrder], there: Liquidity, is_entering: bool = True) -> Outcome:
    """What happens between the open and the close. `is_entering`: the open began the session, so that post-only orders
    that it crosses are rejected.
    """
    crossing = {o.order_id for o in orders if is_entering and _would_take(o, there.bar.open)}
    steps = [(o, _step(o, there.bar)) for o in orders if o.order_id not in crossing]
    moved = [(replace(order, live=step.live), step) for order, step in steps]
    offers = [_Offer(order, step.price, step.is_passive) for order, step in moved if step.price is not None]
    outcome = _allocate(offers, there, there.bar.open)
    live = {order.order_id: order.live for order, _ in moved} | dict(outcome.live)
    before = {order.order_id: order.live for order in orders}
    decided = [o.order_id for o, _ in moved if o.is_immediate and not o.is_conditional]
    changed = tuple((name, now) for name, now in live.items() if now != before[name])
    return Outcome(outcome.executions, changed, tuple(sorted(crossing)), tuple(decided))


def _print(orders: Sequence[WorkingOrder], price: Decimal, there: Liquidity) -> Outcome:
    present = [o for o in orders if not o.is_conditional and not o.terms.post_only]
    offers = [_Offer(o, price) for o in present if accepts(o.side, o.limit, price)]
    outcome = _allocate(offers, there, price)
    return replace(outcome, decided=tuple(o.order_id for o in present if o.is_immediate))


def _would_take(order: WorkingOrder, price: Decimal) -> bool:
    return order.terms.post_only and not order.is_late and accepts(order.side, order.limit, price)


def _step(order: WorkingOrder, bar: Bar) -> Walk:
    if order.is_late:
        step = triggers.at_print(order, bar.close)
        return _as_maker(order, step, bar)
    if order.is_conditional:
        return triggers.through_bar(order, bar)
    if not accepts(order.side, order.limit, bar.open):
        return triggers.through_bar(order, bar)
    if order.terms.post_only:
        return _as_maker(order, Walk(order.live, bar.open), bar)
    if accepts(order.side, order.limit, bar.close):  # left over by the open's cap: the close
        return Walk(order.live, bar.close)
    return Walk(order.live, order.limit)  # or the limit on the way to it


def _as_maker(order: WorkingOrder, step: Walk, bar: Bar) -> Walk:
    """A post-only order never takes: it trades at its own price, which somebody came to."""
    if step.price is None or order.limit is None or not order.terms.post_only:
        return step
    return Walk(step.live, min(max(order.limit, bar.low), bar.high), is_passive=True)


def _allocate(offers: Iterable[_Offer], there: Liquidity, reference: Decimal) -> Outcome:
    executions: list[Execution] = []
    live: list[tuple[str, Live]] = []
    available = there.shares
    for offer in sorted(offers, key=lambda offer: _priority(offer, reference)):
        order = offer.order
        shares, ahead = _shares_for(offer, there)
        qty = min(order.leaves, available, shares)
        if ahead != order.live.queue_ahead:
            live.append((order.order_id, replace(order.live, queue_ahead=ahead)))
        if qty <= 0 or (order.terms.time_in_force is TimeInForce.FOK and qty < order.leaves):
            continue
        available -= qty
        executions.append(Execution(order.order_id, qty, _price(offer, qty, there)))
    return Outcome(tuple(executions), tuple(live))


def _priority(offer: _Offer, reference: Decimal) -> tuple[bool, Decimal]:
    """Market orders, then limits by how far beyond the reference they reach; a stable sort keeps time within."""
    limit = offer.order.limit
    return (False, ZERO) if limit is None else (True, offer.order.side.sign * (reference - limit))


def _shares_for(offer: _Offer, there: Liquidity) -> tuple[Decimal, Decimal | None]:
    order = offer.order
    if not offer.is_passive or order.limit is None:
        return order.leaves, order.live.queue_ahead
    draw = f"{order.order_id}:{there.draw}"
    got = resting(there.model, order.side, order.limit, there.bar, order.live.queue_ahead, draw)
    return order.leaves if got.shares is None else got.shares, got.ahead


def _price(offer: _Offer, qty: Decimal, there: Liquidity) -> Decimal:
    order = offer.order
    if offer.is_passive:
        return offer.price
    price = taken_at(there.model, order.side, offer.price, qty, there.bar, f"{order.order_id}:{there.draw}")
    return price if accepts(order.side, order.limit, price) else offer.price
