"""Orders that somebody asks for, and the decisions on them: every risk control is asked about each, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from bifrost_core.trading.orders import ZERO, Ticket, opened
from bifrost_core.trading.planner import Leg
from bifrost_core.trading.risk import Context, Deny, Proposal, Quote, RiskCode, SessionHours, decide, purchasing_power
from bifrost_core.trading.schedules import Schedule
from execution_daemon.core.book import Book
from execution_daemon.core.inputs import Controls, Market, context
from execution_daemon.core.parents import Parent


@dataclass(frozen=True, slots=True)
class Ask:
    """An order to decide on. `awaited`: signed shares that the order it waits for will have brought.

    With a `schedule` it is a parent, worked in the session until the ticket's `valid_until`. `command_id`: the
    amendment of a person that it comes from; what any other order comes from is its ticket's `batch_id`.
    """

    ticket: Ticket
    valid_from: datetime
    as_of: date | None = None
    awaited: Decimal = ZERO
    schedule: Schedule | None = None
    command_id: UUID | None = None

    @property
    def leg(self) -> Leg:
        return Leg.OPEN if self.ticket.increases_exposure else Leg.CLOSE

    def parent(self, at: datetime, session: SessionHours) -> Parent:
        """The parent order that this asks for: worked from `at` on while the session is open, and not beyond it."""
        ticket, schedule = self.ticket, self.schedule
        if schedule is None:
            raise ValueError(f"{ticket.client_order_id} has no schedule")
        return Parent(
            parent_id=ticket.client_order_id,
            account=ticket.account,
            batch_id=ticket.batch_id,
            symbol=ticket.symbol,
            side=ticket.side,
            order_qty=ticket.order_qty,
            reference_price=ticket.reference_price,
            schedule=schedule,
            start_at=max(at, self.valid_from, session.open_at),
            end_at=min(ticket.valid_until, session.close_at),
            increases_exposure=ticket.increases_exposure,
            strategies=ticket.strategies,
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked for, and the decision on it at market time `at`, in `session` or before it."""

    ask: Ask
    denied: Deny | None
    at: datetime
    session: SessionHours

    @property
    def ticket(self) -> Ticket:
        return self.ask.ticket

    @property
    def parent(self) -> Parent | None:
        """The parent order that it is, if it is to be worked in slices."""
        return self.ask.parent(self.at, self.session) if self.ask.schedule else None

    def as_json(self) -> dict[str, Any]:
        """The row that trading.submit_intents_v1 takes: numbers as text, and only what there is. orjson writes it."""
        ticket, parent = self.ticket, self.parent
        row = {
            "client_order_id": ticket.client_order_id,
            "batch_id": ticket.batch_id,
            "strategies": list(ticket.strategies),
            "symbol": ticket.symbol,
            "side": ticket.side,
            "order_qty": f"{ticket.order_qty:f}",
            "reference_price": f"{ticket.reference_price:f}",
            "leg": self.ask.leg,
            "reserved_value": "0" if parent else f"{opened(ticket).reserved_value:f}",
            "parent_id": ticket.parent_id or None,
            "valid_until": ticket.valid_until,
            **_terms_json(ticket),
            **_contingency_json(ticket),
            **(_parent_json(parent) if parent else {}),
            **_decision_json(self.denied),
            "detail": _detail_json(self.denied, self.ask.command_id),
        }
        return {name: value for name, value in row.items() if value is not None}


def _terms_json(ticket: Ticket) -> dict[str, Any]:
    terms = ticket.terms
    return {
        "order_type": terms.order_type,
        "time_in_force": terms.time_in_force,
        "limit_price": _text(terms.limit_price),
        "stop_price": _text(terms.stop_price),
        "trail_offset": _text(terms.trail_offset),
        "limit_offset": _text(terms.limit_offset),
        "post_only": terms.post_only,
        "reduce_only": terms.reduce_only,
    }


def _contingency_json(ticket: Ticket) -> dict[str, Any]:
    link = ticket.contingency
    if link is None:
        return {}
    return {"group_id": link.group_id, "after_id": link.after or None, "release": link.release, "is_oco": link.is_oco}


def _parent_json(parent: Parent) -> dict[str, Any]:
    schedule = parent.schedule
    fields = {
        "algo": schedule.algo,
        "slices": schedule.slices,
        "profile": [f"{share:f}" for share in schedule.profile],
        "participation": f"{schedule.participation:f}",
        "start_volume": f"{schedule.start_volume:f}",
        "urgency": f"{schedule.urgency:f}",
    }
    return {"schedule": fields, "start_at": parent.start_at, "end_at": parent.end_at}


def _decision_json(denied: Deny | None) -> dict[str, Any]:
    return {
        "outcome": "denied" if denied else "accepted",
        "reason_code": denied.code if denied else RiskCode.ACCEPTED,
        "limit_value": _text(denied.limit) if denied else None,
        "actual_value": _text(denied.actual) if denied else None,
    }


def _detail_json(denied: Deny | None, command_id: UUID | None) -> dict[str, Any]:
    why = {"text": denied.detail, "may_pass_later": denied.code.may_pass_later} if denied else {}
    return why | ({"command_id": command_id} if command_id else {})


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


@dataclass(slots=True)
class Work:
    """Intents, each decided on when it is taken; and the USD of exposure that working orders may add in all.

    The first are on their way to the warehouse while the next are decided. Whoever takes them lets nothing change what
    they are decided from before the last is taken.
    """

    reserve_limit: Decimal
    _deciding: Iterator[Intent]
    _decided: list[Intent] = field(init=False, default_factory=list)

    def parts(self, size: int) -> Iterator[tuple[Intent, ...]]:
        """What is not decided yet, `size` intents at a time."""
        while part := tuple(islice(self._deciding, size)):
            self._decided += part
            yield part

    @property
    def intents(self) -> tuple[Intent, ...]:
        """All of them; what is not decided yet is."""
        self._decided += self._deciding
        return tuple(self._decided)


def decide_all(
    book: Book,
    asks: Iterable[Ask],
    market: Market,
    controls: Controls,
    prices: Mapping[str, Decimal],
    backlog: int = 0,
) -> Work:
    """Decide on every order in turn; each accepted one counts as working for the next."""
    known = context(book, market, controls, prices, backlog)
    return Work(purchasing_power(known) or ZERO, _decided(asks, market, known))


def _decided(asks: Iterable[Ask], market: Market, known: Context) -> Iterator[Intent]:
    refused: dict[str, Deny] = {}
    for ask in asks:
        proposal = proposal_of(ask, market.last_trades.get(ask.ticket.symbol))
        denied = _with_the_first(ask, refused) or decide(proposal, known)
        if denied is None:
            known.accept(proposal)
        else:
            refused[ask.ticket.client_order_id] = denied
        yield Intent(ask, denied, market.now, market.session)


def _with_the_first(ask: Ask, refused: Mapping[str, Deny]) -> Deny | None:
    """What waits for a denied order is denied with it: it could never be sent."""
    link = ask.ticket.contingency
    first = refused.get(link.after) if link else None
    return replace(first, detail=f"it waits for {link.after}, denied: {first.detail}") if link and first else None


def proposal_of(ask: Ask, last: Quote | None = None) -> Proposal:
    """What the risk controls are asked about, of a symbol that was traded last as `last` says."""
    ticket, link = ask.ticket, ask.ticket.contingency
    return Proposal(
        client_order_id=ticket.client_order_id,
        account=ticket.account,
        strategies=ticket.strategies,
        symbol=ticket.symbol,
        side=ticket.side,
        qty=ticket.order_qty,
        reference_price=ticket.reference_price,
        valid_from=ask.valid_from,
        valid_until=ticket.valid_until,
        terms=ticket.terms,
        parent_id=ticket.parent_id,
        as_of=ask.as_of,
        awaited=ask.awaited,
        is_parent=ask.schedule is not None,
        group=link.group_id if link and link.is_oco else "",
        last_price=last.price if last else None,
    )


def last_prices(market: Market) -> dict[str, Decimal]:
    """Last trades by symbol."""
    return {symbol: quote.price for symbol, quote in market.last_trades.items()}
