"""What the shell reads for a decision, and the risk context made of it and the book."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.limits import Limits
from bifrost_core.trading.orders import ZERO, Order, OrdStatus
from bifrost_core.trading.risk import (
    Context,
    DayState,
    Parent,
    Quote,
    Resting,
    Restriction,
    SessionHours,
    Shape,
    SymbolFacts,
    Tally,
    Tradable,
)
from bifrost_core.trading.risk.gates import OPENING_CUTOFF
from bifrost_core.trading.risk.model import NOTHING_KNOWN
from bifrost_core.trading.risk.tally import NOT_IN_THE_MARKET
from bifrost_core.trading.terms import Side, TimeInForce
from execution_daemon.core.book import Book


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of the market at `now`: the session that is on or comes next, last trades and what may be traded.

    `clock_skew`: seconds between this machine's clock and the broker's; zero where the broker's is the only clock.
    """

    now: datetime
    session: SessionHours
    last_trades: Mapping[str, Quote]
    tradable: Mapping[str, Tradable]
    clock_skew: Decimal | None = ZERO

    @property
    def time_in_force(self) -> TimeInForce:
        """The opening auction while it can still be entered, else the day."""
        before_auction = self.now < self.session.open_at - OPENING_CUTOFF
        return TimeInForce.OPG if before_auction else TimeInForce.DAY

    def volume(self, symbol: str) -> Decimal | None:
        """Shares traded in the session so far: zero before its first trade; None where the broker does not tell."""
        quote = self.last_trades.get(symbol)
        if quote is None or quote.volume is None:
            return None
        return quote.volume if quote.at >= self.session.open_at else ZERO


@dataclass(frozen=True, slots=True)
class RecentOrder:
    """An order of the last hour that is no slice and either works or was executed."""

    shape: Shape
    at: datetime
    was_executed: bool


@dataclass(frozen=True, slots=True)
class Controls:
    """What stands against trading: limits, engaged kill switches (scope, key), restricted symbols; and what is known.

    `reconciled_at` is when book and broker were last found to agree; `recent` is oldest first.
    """

    limits: Limits
    kill_switches: Collection[tuple[str, str]] = frozenset()
    restricted: Mapping[str, Restriction] = field(default_factory=dict)
    facts: Mapping[str, SymbolFacts] = field(default_factory=dict)
    day: DayState = NOTHING_KNOWN
    reconciled_at: datetime | None = None
    recent: tuple[RecentOrder, ...] = ()


def context(
    book: Book,
    market: Market,
    controls: Controls,
    prices: Mapping[str, Decimal],
    backlog: int = 0,
) -> Context:
    """What the decisions of one look depend on. `prices` value the book; `backlog` orders wait to be sent.

    One context serves all orders that are decided on together: `Context.accept` counts each for those after it.
    """
    return Context(
        now=market.now,
        limits=controls.limits,
        equity=book.holdings.equity(prices),
        tally=_tally(book, controls, prices, backlog),
        day=controls.day,
        session=market.session,
        reconciled_at=controls.reconciled_at,
        clock_skew=market.clock_skew,
        has_quotes=any(quote.bid is not None or quote.ask is not None for quote in market.last_trades.values()),
        last_trades=market.last_trades,
        tradable=market.tradable,
        facts=controls.facts,
        kill_switches=controls.kill_switches,
        blocked={symbol: f"{cause.code}: {cause.detail}" for symbol, cause in book.blocked.items()},
        restricted=controls.restricted,
        parents={key: Parent(of.symbol, of.side, of.order_qty) for key, of in book.parents.items() if of.is_working},
    )


def _tally(book: Book, controls: Controls, prices: Mapping[str, Decimal], backlog: int) -> Tally:
    working = tuple(book.open_orders())
    return Tally(
        exposures=book.exposures(),
        prices=prices,
        sectors={symbol: facts.sector for symbol, facts in controls.facts.items() if facts.sector},
        reserved=_reserved(book),
        value=controls.day.value,
        orders=controls.day.orders,
        backlog=backlog,
        known_ids={*book.orders, *book.parents},
        resting=_resting(working),
        alike={recent.shape: recent.at for recent in controls.recent},
        executions=_executions(controls.recent),
        allotted=_allotted(book.orders.values()),
        alternatives=book.alternatives(),
    )


def _reserved(book: Book) -> Decimal:
    """USD that working orders, and what parents have not sent yet, may still add."""
    orders = sum((order.reserved_value for order in book.open_orders()), ZERO)
    opening = (p for p in book.parents.values() if p.is_working and p.increases_exposure)
    return orders + sum((book.remaining(parent) * parent.reference_price for parent in opening), ZERO)


def _resting(working: Iterable[Order]) -> dict[str, list[Resting]]:
    """Orders that are in the market: not those that wait for another order or for a trigger price."""
    found: dict[str, list[Resting]] = {}
    for order in working:
        ticket = order.ticket
        if order.status is not OrdStatus.HELD and ticket.terms.order_type not in NOT_IN_THE_MARKET:
            found.setdefault(ticket.symbol, []).append(Resting(ticket.side, ticket.terms.limit_price))
    return found


def _executions(recent: Iterable[RecentOrder]) -> dict[tuple[str, Side], int]:
    counts: dict[tuple[str, Side], int] = {}
    for order in recent:
        if order.was_executed:
            key = (order.shape.symbol, order.shape.side)
            counts[key] = counts.get(key, 0) + 1
    return counts


def _allotted(orders: Iterable[Order]) -> dict[str, Decimal]:
    """Of each parent, what its slices have been filled and may still be."""
    shares: dict[str, Decimal] = {}
    for order in orders:
        if parent_id := order.ticket.parent_id:
            shares[parent_id] = shares.get(parent_id, ZERO) + order.cum_qty + order.leaves_qty
    return shares
