"""From a batch to decided intents: plan, then ask about every order; and from a parent order to its next slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from bifrost_core.provenance import content_hash
from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.orders import ZERO, Ticket
from bifrost_core.trading.planner import ID_LENGTH, Leg, PlanKey, PlannedOrder, plan
from bifrost_core.trading.schedules import Schedule, due_shares, slice_at
from bifrost_core.trading.targets import TargetBatch
from bifrost_core.trading.terms import Contingency, Release, Terms, TimeInForce
from execution_daemon.core.book import Book, signed_leaves
from execution_daemon.core.inputs import Controls, Market
from execution_daemon.core.intents import Ask, Work, decide_all, last_prices
from execution_daemon.core.parents import Parent


def work(
    book: Book,
    batch: TargetBatch,
    market: Market,
    controls: Controls,
    generation: int = 0,
    schedules: Mapping[str, Schedule] = MappingProxyType({}),
    backlog: int = 0,
) -> Work:
    """Plan `batch` against the book and decide on every order; those in symbols of `schedules` are worked in slices."""
    prices = _prices(batch, market)
    planned = _planned(book, batch, book.holdings.equity(prices), controls.limits, generation)
    return decide_all(book, _asks(batch, planned, market, schedules), market, controls, prices, backlog)


def _prices(batch: TargetBatch, market: Market) -> dict[str, Decimal]:
    """Reference prices of the batch, and last trades of what is held beside it."""
    return {**last_prices(market), **{target.symbol: target.reference_price for target in batch.targets}}


def _planned(
    book: Book, batch: TargetBatch, equity: Decimal | None, limits: Limits, generation: int
) -> tuple[PlannedOrder, ...]:
    """Without a known equity nothing can be sized: only what is to be flat is planned."""
    targets = batch.targets if equity is not None else tuple(t for t in batch.targets if t.target_weight == 0)
    return plan(
        PlanKey(batch.account, batch.batch_id, generation),
        targets,
        {symbol: position.quantity for symbol, position in book.holdings.positions.items()},
        equity or ZERO,
        limits.value(LimitCode.MIN_TRADE_VALUE) or ZERO,
        signed_leaves(book),
    )


def _asks(
    batch: TargetBatch, planned: Collection[PlannedOrder], market: Market, schedules: Mapping[str, Schedule]
) -> Iterator[Ask]:
    """A change that crosses zero is two orders: the second waits until the first is filled, and misses the auction."""
    closing = {order.symbol: order for order in planned if order.leg is Leg.CLOSE}
    at_once, second = Terms(time_in_force=market.time_in_force), Terms(time_in_force=TimeInForce.DAY)
    for order in planned:
        first = closing.get(order.symbol) if order.leg is Leg.OPEN else None
        ticket = Ticket(
            client_order_id=order.client_order_id,
            account=batch.account,
            batch_id=batch.batch_id,
            symbol=order.symbol,
            side=order.side,
            order_qty=order.qty,
            reference_price=order.reference_price,
            terms=second if first else at_once,
            valid_until=batch.valid_until,
            increases_exposure=order.leg is Leg.OPEN,
            contingency=_second_leg(first) if first else None,
            strategies=batch.strategies,
        )
        awaited = first.signed_qty if first else ZERO
        yield Ask(ticket, batch.valid_from, batch.as_of_session, awaited, schedules.get(order.symbol))


def _second_leg(first: PlannedOrder) -> Contingency:
    return Contingency(first.client_order_id, first.client_order_id, Release.FILLED)


def next_slice(book: Book, parent: Parent, market: Market) -> Ask | None:
    """The slice of `parent` that is due at market time, if one is; nothing is due twice."""
    position = slice_at(parent.schedule, parent.start_at, parent.end_at, market.now)
    quote = market.last_trades.get(parent.symbol)
    if position is None or quote is None:
        return None
    sent = parent.order_qty - book.remaining(parent)
    qty = due_shares(parent.schedule, parent.order_qty, position, market.volume(parent.symbol)) - sent
    if qty <= 0:
        return None
    ticket = Ticket(
        client_order_id=slice_id(parent, sum(1 for _ in book.children(parent.parent_id))),
        account=parent.account,
        batch_id=parent.batch_id,
        symbol=parent.symbol,
        side=parent.side,
        order_qty=qty,
        reference_price=quote.price,
        terms=Terms(),
        valid_until=parent.end_at,
        increases_exposure=parent.increases_exposure,
        parent_id=parent.parent_id,
        strategies=parent.strategies,
    )
    return Ask(ticket, parent.start_at)


def slice_id(parent: Parent, number: int) -> str:
    """hash(parent, number): the same slice has the same id however often it is planned."""
    return content_hash([parent.parent_id, number])[:ID_LENGTH]


def is_over(book: Book, parent: Parent, now: datetime) -> bool:
    """Whether nothing more can come of a parent: all of it is executed, or its time is over and no slice works."""
    live = any(not child.status.is_terminal for child in book.children(parent.parent_id))
    return not live and (now >= parent.end_at or book.remaining(parent) <= 0)
