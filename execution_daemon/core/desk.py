"""From a batch to decided intents: plan, then ask every risk control about each order, in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.orders import ZERO, Ticket
from bifrost_core.trading.planner import Leg, PlanKey, PlannedOrder, plan
from bifrost_core.trading.risk import Context, Deny, Exposure, Proposal, Quote, RiskCode, decide
from bifrost_core.trading.targets import TargetBatch
from bifrost_core.trading.terms import Terms, TimeInForce
from execution_daemon.core.book import Book, signed_leaves

AUCTION_CUTOFF = timedelta(minutes=2)  # US exchanges take market-on-open orders until 9:28


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of the market at `now`: the session that is on or comes next, and last trades by symbol."""

    now: datetime
    session_open: datetime
    last_trades: Mapping[str, Quote]

    @property
    def time_in_force(self) -> TimeInForce:
        """The opening auction while it can still be entered, else the day."""
        before_auction = self.now < self.session_open - AUCTION_CUTOFF
        return TimeInForce.OPG if before_auction else TimeInForce.DAY


@dataclass(frozen=True, slots=True)
class Controls:
    """What stands against trading: limits, engaged kill switches (scope, key), restricted symbols with the reason."""

    limits: Limits
    kill_switches: Collection[tuple[str, str]]
    restricted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Intent:
    """A planned order and the decision on it."""

    ticket: Ticket
    leg: Leg
    strategies: tuple[str, ...]
    denied: Deny | None

    def as_json(self) -> dict[str, Any]:
        """The row that trading.submit_intents_v1 takes; numbers as text."""
        ticket, denied = self.ticket, self.denied
        return {
            "client_order_id": ticket.client_order_id,
            "batch_id": str(ticket.batch_id),
            "strategies": list(self.strategies),
            "symbol": ticket.symbol,
            "side": ticket.side,
            "order_type": ticket.terms.order_type,
            "time_in_force": ticket.terms.time_in_force,
            "order_qty": f"{ticket.order_qty:f}",
            "reference_price": f"{ticket.reference_price:f}",
            "leg": self.leg,
            "reserved_value": f"{ticket.order_qty * ticket.reference_price:f}" if self.leg is Leg.OPEN else "0",
            "outcome": "denied" if denied else "accepted",
            "reason_code": denied.code if denied else RiskCode.ACCEPTED,
            "limit_value": _text(denied.limit) if denied else None,
            "actual_value": _text(denied.actual) if denied else None,
            "detail": {"text": denied.detail, "may_pass_later": denied.code.may_pass_later} if denied else {},
        }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


@dataclass(frozen=True, slots=True)
class Work:
    """Decided intents of one batch, and the USD of exposure that working orders may add in all."""

    intents: tuple[Intent, ...]
    equity: Decimal | None
    reserve_limit: Decimal


def work(book: Book, batch: TargetBatch, market: Market, controls: Controls, generation: int = 0) -> Work:
    """Plan `batch` against the book and decide on every order; each accepted one counts as working for the next."""
    prices = _prices(batch, market)
    equity = book.holdings.equity(prices)
    exposures = book.exposures()
    decided: list[Intent] = []
    for order in _planned(book, batch, equity, controls.limits, generation):
        context = _context(book, market, controls, equity, exposures, prices)
        denied = decide(_proposal(order, batch), context)
        decided.append(Intent(_ticket(order, batch, market.time_in_force), order.leg, batch.strategies, denied))
        if denied is None:
            exposures[order.symbol] = exposures.get(order.symbol, Exposure()).plus(order.side, order.qty)
    return Work(tuple(decided), equity, _reserve_limit(book, equity, prices, controls.limits))


def _prices(batch: TargetBatch, market: Market) -> dict[str, Decimal]:
    """Reference prices of the batch, and last trades of what is held beside it."""
    last = {symbol: quote.price for symbol, quote in market.last_trades.items()}
    return {**last, **{target.symbol: target.reference_price for target in batch.targets}}


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


def _proposal(order: PlannedOrder, batch: TargetBatch) -> Proposal:
    return Proposal(
        client_order_id=order.client_order_id,
        account=batch.account,
        strategies=batch.strategies,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        reference_price=order.reference_price,
        valid_from=batch.valid_from,
        valid_until=batch.valid_until,
    )


def _ticket(order: PlannedOrder, batch: TargetBatch, time_in_force: TimeInForce) -> Ticket:
    return Ticket(
        client_order_id=order.client_order_id,
        account=batch.account,
        batch_id=batch.batch_id,
        symbol=order.symbol,
        side=order.side,
        order_qty=order.qty,
        reference_price=order.reference_price,
        terms=Terms(time_in_force=time_in_force),
        valid_until=batch.valid_until,
        increases_exposure=order.leg is Leg.OPEN,
    )


def _context(
    book: Book,
    market: Market,
    controls: Controls,
    equity: Decimal | None,
    exposures: Mapping[str, Exposure],
    prices: Mapping[str, Decimal],
) -> Context:
    return Context(
        now=market.now,
        limits=controls.limits,
        equity=equity,
        exposures=exposures,
        prices=prices,
        last_trades=market.last_trades,
        kill_switches=controls.kill_switches,
        known_ids=book.orders.keys(),
        blocked={symbol: f"{cause.code}: {cause.detail}" for symbol, cause in book.blocked.items()},
        restricted=controls.restricted,
    )


def _reserve_limit(book: Book, equity: Decimal | None, prices: Mapping[str, Decimal], limits: Limits) -> Decimal:
    """MAX_GROSS of equity less the value held: what the database allows working orders to add, whatever we computed."""
    fraction = limits.value(LimitCode.MAX_GROSS)
    if fraction is None or equity is None:
        return ZERO
    held = (abs(p.quantity) * prices[s] for s, p in book.holdings.positions.items() if p.quantity)
    return max(fraction * equity - sum(held, ZERO), ZERO)
