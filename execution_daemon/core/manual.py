"""Orders that a person asks for, with the orders that hang on them; amendments; and closing what is held."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bifrost_core.errors import BrokerError
from bifrost_core.provenance import content_hash
from bifrost_core.trading.orders import ZERO, Order, OrdStatus, Ticket
from bifrost_core.trading.planner import ID_LENGTH
from bifrost_core.trading.schedules import Schedule
from bifrost_core.trading.terms import Contingency, OrdType, Release, Side, Terms, TimeInForce
from execution_daemon.core.book import Book, signed_leaves
from execution_daemon.core.inputs import Market
from execution_daemon.core.intents import Ask


@dataclass(frozen=True, slots=True)
class ManualOrder:
    """An order that a person asks for. `qty` in shares, prices in USD.

    `take_profit` and `stop_loss` make it a bracket: as many shares as are executed are offered at the one and protected
    at the other, and what one of them sells the other no longer does. `then` are sent once this one is filled. With a
    `schedule` (twap, vwap, pov, is) it is worked in slices until `end_at`.
    """

    symbol: str
    side: Side
    qty: Decimal
    terms: Terms
    reference_price: Decimal | None
    strategies: tuple[str, ...] = ()
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    then: tuple[ManualOrder, ...] = ()
    schedule: str = ""
    end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What risk said of one order; `outcome` is accepted or denied."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    outcome: str
    reason_code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Who asks, when, and what the ids are made of. `schedules`: those that can be worked now, by name."""

    account: str
    command_id: UUID
    market: Market
    schedule: Schedule | None = None


def asked_for(desk: Desk, book: Book, request: ManualOrder) -> tuple[Ask, ...]:
    """The order and all that hangs on it, in the order in which they are decided. Raises BrokerError for nonsense."""
    is_parent = bool(request.schedule)
    if is_parent and (request.then or request.take_profit or request.stop_loss):
        raise BrokerError("an order that is worked in slices takes no orders after it", "Send them when it is done")
    if _is_sliced(request.then):
        raise BrokerError("an order after another is not worked in slices", "Send it when the first is done")
    return tuple(_asks(desk, book, request, "", None))


def _is_sliced(requests: Iterable[ManualOrder]) -> bool:
    return any(request.schedule or _is_sliced(request.then) for request in requests)


def one_of(desk: Desk, book: Book, requests: Sequence[ManualOrder]) -> tuple[Ask, ...]:
    """Orders that cancel one another: what one of them executes the others may no longer.

    They are plain and for as many shares. Raises BrokerError where one has no price to be sized by.
    """
    link = Contingency(_id(desk, "oco"), is_oco=True)
    tickets = (_ticket(desk, book, request, str(number), link) for number, request in enumerate(requests))
    return tuple(Ask(ticket, desk.market.now) for ticket in tickets)


def _asks(desk: Desk, book: Book, request: ManualOrder, path: str, first: Ticket | None) -> Iterator[Ask]:
    name = path or "0"
    link = Contingency(_id(desk, "0"), first.client_order_id, Release.FILLED) if first else None
    has_legs = bool(request.then or request.take_profit or request.stop_loss)
    if link is None and has_legs:
        link = Contingency(_id(desk, "0"))
    awaited = first.order_qty * first.side.sign if first and first.symbol == request.symbol else ZERO
    ticket = _ticket(desk, book, request, name, link, awaited)
    yield Ask(ticket, desk.market.now, awaited=awaited, schedule=desk.schedule if request.schedule else None)
    yield from _exits(desk, request, ticket, name)
    for number, later in enumerate(request.then):
        yield from _asks(desk, book, later, f"{name}.{number}", ticket)


def _ticket(
    desk: Desk, book: Book, request: ManualOrder, name: str, link: Contingency | None, awaited: Decimal = ZERO
) -> Ticket:
    price = request.reference_price or _last(desk.market, request.symbol)
    net = book.holdings.quantity(request.symbol) + signed_leaves(book).get(request.symbol, ZERO) + awaited
    reduces = net * request.side.sign < 0 and request.qty <= abs(net)
    return Ticket(
        client_order_id=_id(desk, name),
        account=desk.account,
        batch_id=desk.command_id,
        symbol=request.symbol,
        side=request.side,
        order_qty=request.qty,
        reference_price=price,
        terms=request.terms,
        valid_until=_until(desk.market, request),
        increases_exposure=not reduces,
        contingency=link,
        strategies=request.strategies,
    )


def _exits(desk: Desk, request: ManualOrder, entry: Ticket, name: str) -> Iterator[Ask]:
    """The legs of a bracket: each is held until the entry has ended, for as many shares as it executed."""
    link = Contingency(f"{entry.client_order_id}-x", entry.client_order_id, Release.EXECUTED, is_oco=True)
    legs: list[tuple[str, Terms]] = []
    if request.take_profit is not None:
        legs.append(
            ("profit", Terms(OrdType.LIMIT, TimeInForce.GTC, limit_price=request.take_profit, reduce_only=True))
        )
    if request.stop_loss is not None:
        legs.append(("loss", Terms(OrdType.STOP, TimeInForce.GTC, stop_price=request.stop_loss, reduce_only=True)))
    for leg, terms in legs:
        ticket = replace(
            entry,
            client_order_id=_id(desk, f"{name}/{leg}"),
            side=entry.side.other,
            terms=terms,
            contingency=link,
            increases_exposure=False,
            valid_until=datetime.max.replace(tzinfo=entry.valid_until.tzinfo),
        )
        yield Ask(ticket, desk.market.now, awaited=entry.order_qty * entry.side.sign)


def _id(desk: Desk, name: str) -> str:
    return _id_of(desk.account, desk.command_id, name)


def _id_of(account: str, command_id: UUID, name: str) -> str:
    return content_hash([account, str(command_id), name])[:ID_LENGTH]


def replacement_id(account: str, command_id: UUID, amended_id: str) -> str:
    """The id of what a command replaces an order by: asked again it is the same."""
    return _id_of(account, command_id, f"amend {amended_id}")


def _last(market: Market, symbol: str) -> Decimal:
    quote = market.last_trades.get(symbol)
    if quote is None:
        raise BrokerError(f"{symbol} has no last trade to size an order by", "Name a reference_price")
    return quote.price


def _until(market: Market, request: ManualOrder) -> datetime:
    """Until when it may be sent: the end of the session it is for, or no end for an order good till canceled."""
    if request.end_at is not None:
        return request.end_at
    if request.terms.time_in_force is TimeInForce.GTC:
        return datetime.max.replace(tzinfo=market.now.tzinfo)
    return market.session.close_at


def amended(
    desk: Desk,
    book: Book,
    order: Order,
    qty: Decimal | None,
    limit_price: Decimal | None,
    stop_price: Decimal | None,
) -> Ask:
    """The replacement of an order: held until the original has ended, then sent for at most what that left.

    That of an order that is held itself waits for what the original waited for. It is sized at the last trade, where
    there is one: an exit is not refused because the market has come to it. `qty` is what is to be left working, in
    shares, at most what is left now; None keeps that. Decide on it against the book without the original.
    """
    ticket, last = order.ticket, desk.market.last_trades.get(order.ticket.symbol)
    terms = replace(
        ticket.terms,
        limit_price=ticket.terms.limit_price if limit_price is None else limit_price,
        stop_price=ticket.terms.stop_price if stop_price is None else stop_price,
    )
    replacement = replace(
        ticket,
        client_order_id=replacement_id(desk.account, desk.command_id, ticket.client_order_id),
        order_qty=order.leaves_qty if qty is None else min(qty, order.leaves_qty),
        reference_price=last.price if last else ticket.reference_price,
        terms=terms,
        contingency=_after_the_end_of(order),
    )
    return Ask(replacement, desk.market.now, awaited=_awaited(book, order))


def _awaited(book: Book, order: Order) -> Decimal:
    """Signed shares that what a held order waits for will have brought; none where it is not held."""
    if order.status is not OrdStatus.HELD:
        return ZERO
    *_, link = book.hangs_on(order)
    first = book.orders.get(link.after)
    if first is None or first.ticket.symbol != order.ticket.symbol:
        return ZERO
    return first.order_qty * first.ticket.side.sign


def _after_the_end_of(order: Order) -> Contingency:
    """Held until the order has ended; where that is one of several that cancel one another, in its place."""
    old, key = order.ticket.contingency, order.ticket.client_order_id
    return Contingency(old.group_id if old else key, key, Release.ENDED, bool(old and old.is_oco))


def closing(desk: Desk, book: Book, symbols: Collection[str] | None) -> Iterator[Ask]:
    """Market orders that close every position (of `symbols`), each only able to reduce.

    What a working order of the same side may still execute before its cancel comes through is closed once it has ended,
    for what it left: both executed would turn the position.
    """
    for symbol, position in sorted(book.holdings.positions.items()):
        if position.quantity == 0 or (symbols is not None and symbol not in symbols):
            continue
        side, rest = Side.SELL if position.quantity > 0 else Side.BUY, abs(position.quantity)
        for order in _closing_already(book, symbol, side, desk.command_id):
            qty = min(order.leaves_qty, rest)
            if qty > 0:
                name = f"{symbol} after {order.ticket.client_order_id}"
                yield _closing_ask(desk, book, symbol, side, qty, name, _after_the_end_of(order))
            rest -= qty
        if rest > 0:
            yield _closing_ask(desk, book, symbol, side, rest, symbol, None)


def _closing_already(book: Book, symbol: str, side: Side, but: UUID) -> Iterator[Order]:
    """Orders that are being canceled and would close the position if their cancel came too late."""
    for order in book.open_orders():
        ticket = order.ticket
        if (ticket.symbol, ticket.side) == (symbol, side) and order.is_cancel_wanted and ticket.batch_id != but:
            yield order


def _closing_ask(
    desk: Desk, book: Book, symbol: str, side: Side, qty: Decimal, name: str, link: Contingency | None
) -> Ask:
    time_in_force = TimeInForce.DAY if link else desk.market.time_in_force
    terms = Terms(time_in_force=time_in_force, reduce_only=True)
    ticket = _ticket(desk, book, ManualOrder(symbol, side, qty, terms, None), name, link)
    return Ask(replace(ticket, increases_exposure=False), desk.market.now)
