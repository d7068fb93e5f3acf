"""The matching rules over a recorded book: one symbol's orders against one best bid and offer. Pure.

- An order that takes trades with the side it meets, at its price, and for no more than its size.
- An order that rests is filled at its own limit: when the other side's price comes to it, for that side's size; or,
  with the queue model, also by trades at its limit once those before it were served. What waits before it is the size
  shown at its price when it came (none, if its price was better).
- Stops and touched orders watch the last trade where the recording has trades, else the side they would trade with.

The recording does not react to our orders: what they take of a quote is theirs until the next quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side, TimeInForce
from execution_daemon.paper_exchange import triggers
from execution_daemon.paper_exchange.fill_models import TOUCH, FillModel, LimitFills, chance, from_queue
from execution_daemon.paper_exchange.tape import Quote
from execution_daemon.paper_exchange.working import Execution, Live, Outcome, WorkingOrder, accepts


@dataclass(frozen=True, slots=True)
class Shown:
    """A quote and what our orders took of it already, by their side."""

    quote: Quote
    bought: Decimal = ZERO
    sold: Decimal = ZERO

    def left(self, side: Side) -> Decimal:
        """Shares that an order of `side` may still take."""
        shown, used = (self.quote.ask_size, self.bought) if side is Side.BUY else (self.quote.bid_size, self.sold)
        return max(shown - used, ZERO)

    def after(self, side: Side, qty: Decimal) -> Shown:
        """The quote after an order of `side` took `qty`."""
        return replace(self, bought=self.bought + qty) if side is Side.BUY else replace(self, sold=self.sold + qty)


def opposite(side: Side, quote: Quote) -> Decimal:
    """The price that an order of `side` trades with."""
    return quote.ask if side is Side.BUY else quote.bid


def match(orders: Sequence[WorkingOrder], shown: Shown, model: FillModel = TOUCH) -> Outcome:
    """What `orders` of one symbol, in time priority, do against the quote."""
    executions: list[Execution] = []
    live: list[tuple[str, Live]] = []
    rejected: list[str] = []
    decided: list[str] = []
    for before in sorted((_woken(order, shown.quote) for order in orders), key=lambda o: _priority(o, shown.quote)):
        if before.is_conditional:
            live.append((before.order_id, before.live))
            continue
        if before.terms.post_only and before.live.queue_ahead is None and _meets(before, shown.quote):
            rejected.append(before.order_id)
            continue
        order, execution = _trade(before, shown, model)
        if execution is not None:
            executions.append(execution)
            shown = shown.after(order.side, execution.qty) if _meets(order, shown.quote) else shown
        live.append((order.order_id, order.live))
        decided += [order.order_id] if order.is_immediate else []
    was = {order.order_id: order.live for order in orders}
    changed = tuple((name, now) for name, now in live if now != was[name])
    return Outcome(tuple(executions), changed, tuple(rejected), tuple(decided))


def _woken(order: WorkingOrder, quote: Quote) -> WorkingOrder:
    watched = opposite(order.side, quote) if quote.last is None else quote.last
    return replace(order, live=triggers.at_print(order, watched).live) if order.is_conditional else order


def _priority(order: WorkingOrder, quote: Quote) -> tuple[bool, Decimal]:
    limit = order.limit
    return (False, ZERO) if limit is None else (True, order.side.sign * (opposite(order.side, quote) - limit))


def _meets(order: WorkingOrder, quote: Quote) -> bool:
    return accepts(order.side, order.limit, opposite(order.side, quote))


def _trade(order: WorkingOrder, shown: Shown, model: FillModel) -> tuple[WorkingOrder, Execution | None]:
    quote = shown.quote
    if _meets(order, quote):
        qty = min(order.leaves, shown.left(order.side))
        is_short = order.terms.time_in_force is TimeInForce.FOK and qty < order.leaves
        has_rested = order.live.queue_ahead is not None
        price = order.limit if has_rested and order.limit is not None else opposite(order.side, quote)
        return order, Execution(order.order_id, qty, price) if qty > 0 and not is_short else None
    return _rest(order, quote, model)


def _rest(order: WorkingOrder, quote: Quote, model: FillModel) -> tuple[WorkingOrder, Execution | None]:
    """The order stays at its limit; a trade printed there may reach it."""
    if order.live.queue_ahead is None:
        return replace(order, live=replace(order.live, queue_ahead=_joined(order, quote))), None
    if quote.last is None or quote.last_size is None or not accepts(order.side, order.limit, quote.last):
        return order, None
    limit = order.limit
    if limit is None or not _is_served(order, quote, model):
        return order, None
    got = from_queue(order.live.queue_ahead, quote.last_size)
    order = replace(order, live=replace(order.live, queue_ahead=got.ahead))
    qty = min(order.leaves, got.shares or ZERO)
    return order, Execution(order.order_id, qty, limit) if qty > 0 else None


def _is_served(order: WorkingOrder, quote: Quote, model: FillModel) -> bool:
    """Whether trades at its limit serve a resting order: in its turn, by chance, or not at all (touch)."""
    match model.limit_fills:
        case LimitFills.QUEUE:
            return True
        case LimitFills.CHANCE:
            return chance(model.seed, f"{order.order_id}:{quote.at.isoformat()}") < model.fill_probability
        case LimitFills.TOUCH:
            return False


def _joined(order: WorkingOrder, quote: Quote) -> Decimal:
    price, size = (quote.bid, quote.bid_size) if order.side is Side.BUY else (quote.ask, quote.ask_size)
    return size if order.limit == price else ZERO
