"""Past decisions made again with the pure risk controls, each on the book as it was then.

The book is what really happened, whatever the replay says: a denial does not take away the fills that followed. What is
not kept (quotes, halts, what could be borrowed, kill switches, blocks) is taken as not having stood in the way, and the
last trade as having been at the order's reference price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby

from bifrost_cli.what_if.history import Decided, History, Move
from bifrost_core.trading.limits import Limits
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk import (
    Context,
    DayState,
    Exposure,
    Parent,
    Quote,
    RiskCode,
    SessionHours,
    Shape,
    Tally,
    Tradable,
    decide,
)
from bifrost_core.trading.risk.conduct import REPEAT_WINDOW
from bifrost_core.trading.terms import Side

LENDABLE = Decimal(10**12)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided then, and what the controls say of it under the limits now and the limits tried."""

    decided: Decided
    now: RiskCode
    tried: RiskCode


@dataclass(slots=True)
class Past:
    """The book at a moment of the past, moved on by what was stored."""

    cash: Decimal
    held: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    working: dict[str, Move] = field(default_factory=dict)
    leaves: dict[str, Decimal] = field(default_factory=dict)
    accepted: list[tuple[date, Decided]] = field(default_factory=list)

    def move(self, by: Move) -> None:
        self.cash += by.cash
        if by.kind == "open":
            self.working[by.client_order_id], self.leaves[by.client_order_id] = by, by.qty
        elif by.kind == "end":
            self.working.pop(by.client_order_id, None)
        elif by.symbol:
            signed = by.qty if by.kind == "adjust" else by.qty * by.side.sign
            self.held[by.symbol] = self.held.get(by.symbol, ZERO) + signed
        if by.price:
            self.prices[by.symbol] = by.price
        if by.kind == "fill":
            self.leaves[by.client_order_id] = self.leaves.get(by.client_order_id, ZERO) - by.qty

    def exposures(self) -> dict[str, Exposure]:
        """Shares held, and those to come from what worked then."""
        found = {symbol: Exposure(shares) for symbol, shares in self.held.items()}
        for key, order in self.working.items():
            before = found.get(order.symbol, Exposure())
            found[order.symbol] = before.plus(order.side, max(self.leaves[key], ZERO))
        return found

    def reserved(self) -> Decimal:
        """USD that opening orders reserved then."""
        opening = ((self.leaves[key], order.price) for key, order in self.working.items() if order.opens)
        return sum((leaves * price for leaves, price in opening), ZERO)

    def equity(self) -> Decimal | None:
        """Cash and positions at the prices last seen; None where one was never seen."""
        held = {symbol: shares for symbol, shares in self.held.items() if shares}
        if held.keys() - self.prices.keys():
            return None
        return self.cash + sum((shares * self.prices[symbol] for symbol, shares in held.items()), ZERO)


def replay(history: History, now: Limits, tried: Limits) -> tuple[Outcome, ...]:
    """Every decision of `history` under both sets of limits."""
    past, moves = Past(history.initial_cash), list(reversed(history.moves))
    outcomes: list[Outcome] = []
    for _at, look in groupby(history.decisions, key=lambda d: (d.recorded_at, d.decided_at)):
        together = list(look)
        while moves and moves[-1].recorded_at < together[0].recorded_at:
            past.move(moves.pop())
        outcomes += _look(history, past, together, now, tried)
    return tuple(outcomes)


def _look(history: History, past: Past, together: list[Decided], now: Limits, tried: Limits) -> Iterator[Outcome]:
    """Orders that were decided on in one transaction count for one another."""
    session = history.session_of(together[0].decided_at)
    prices = {d.proposal.symbol: d.proposal.reference_price for d in together}
    past.prices |= {symbol: price for symbol, price in prices.items() if price is not None}
    first, second = (_context(history, past, together, session, limits) for limits in (now, tried))
    for decided in together:
        yield Outcome(decided, _ask(decided, first), _ask(decided, second))
        if decided.outcome is RiskCode.ACCEPTED and session is not None:
            past.accepted.append((session.session, decided))


def _ask(decided: Decided, context: Context) -> RiskCode:
    denied = decide(decided.proposal, context)
    if denied is None:
        context.accept(decided.proposal)
    return denied.code if denied else RiskCode.ACCEPTED


def _context(
    history: History, past: Past, together: list[Decided], session: SessionHours | None, limits: Limits
) -> Context:
    at = together[0].decided_at
    facts = history.facts.get(session.session, {}) if session else {}
    symbols = {d.proposal.symbol for d in together}
    return Context(
        now=at,
        limits=limits,
        equity=past.equity(),
        tally=_tally(past, session, together, {s: f.sector for s, f in facts.items() if f.sector}),
        day=_day(history, session),
        session=session,
        reconciled_at=at,
        clock_skew=ZERO,
        has_quotes=False,
        last_trades={s: Quote(price, at) for s in symbols if (price := past.prices.get(s)) is not None},
        tradable={s: Tradable(is_shortable=True, available_to_short=LENDABLE) for s in symbols},
        facts=facts,
        parents={d.proposal.client_order_id: _parent(d) for _, d in past.accepted if d.proposal.is_parent},
    )


def _parent(d: Decided) -> Parent:
    return Parent(d.proposal.symbol, d.proposal.side, d.proposal.qty)


def _tally(past: Past, session: SessionHours | None, together: list[Decided], sectors: dict[str, str]) -> Tally:
    at = together[0].decided_at
    today = [d for day, d in past.accepted if session and day == session.session]
    recent = [d for d in today if d.decided_at > at - REPEAT_WINDOW and not d.proposal.parent_id]
    executions: dict[tuple[str, Side], int] = {}
    for d in recent:
        key = (d.proposal.symbol, d.proposal.side)
        executions[key] = executions.get(key, 0) + 1
    return Tally(
        exposures=past.exposures(),
        prices=past.prices,
        sectors=sectors,
        reserved=past.reserved(),
        value=sum((d.proposal.value or ZERO for d in today if not d.proposal.parent_id), ZERO),
        orders=len(today),
        alike={Shape.of(d.proposal): d.decided_at for d in recent},
        executions=executions,
        allotted=_allotted(past),
    )


def _allotted(past: Past) -> dict[str, Decimal]:
    """Of each parent, what its slices were given; all of it, also what was never executed of one that ended."""
    shares: dict[str, Decimal] = {}
    for _day_of, d in past.accepted:
        if parent_id := d.proposal.parent_id:
            shares[parent_id] = shares.get(parent_id, ZERO) + d.proposal.qty
    return shares


def _day(history: History, session: SessionHours | None) -> DayState:
    earlier = [m for m in history.marks if session is not None and m.session < session.session]
    start = earlier[-1].last_equity if earlier else history.initial_cash
    return DayState(start, max([history.initial_cash, *(m.high_equity for m in earlier)]))
