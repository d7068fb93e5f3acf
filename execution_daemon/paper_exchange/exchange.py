"""The exchange: takes orders, keeps the clock, runs what is due in order. Every change is one ledger transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from typing import Any

from bifrost_core.calendar import Session
from bifrost_core.clock import Clock
from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import OrdType, TimeInForce
from execution_daemon.paper_exchange import account, refusals, wire
from execution_daemon.paper_exchange.account import Commitment, Margin, Position
from execution_daemon.paper_exchange.ledger import Ledger, StoredExecution, StoredOrder, stamp
from execution_daemon.paper_exchange.market import Market
from execution_daemon.paper_exchange.matching import (
    Bar,
    Execution,
    VolumeCap,
    WorkingOrder,
    opening_auction,
    rest_of_session,
)
from execution_daemon.paper_exchange.refusals import NewOrder

UNCONDITIONAL = frozenset({OrdType.MARKET, OrdType.LIMIT})
Publish = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What the exchange and the account at it are like. `start` is the first market time of a replay."""

    initial_cash: Decimal
    start: datetime
    cap: VolumeCap = field(default_factory=VolumeCap)
    margin: Margin = field(default_factory=Margin)
    costs: CostModel = DEFAULT_COSTS
    bars_grace: timedelta = timedelta(hours=12)  # wall clock only: how long after the close bars are waited for


class Moment(StrEnum):
    """The points of a session at which something happens."""

    DAWN = "dawn"  # corporate actions; 04:00 in New York, before anybody can send an order in the new shares
    OPEN = "open"
    CLOSE = "close"


BEFORE_OPEN = timedelta(hours=5, minutes=30)


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens at `at`."""

    at: datetime
    moment: Moment
    session: Session


def moments(session: Session) -> tuple[Due, Due, Due]:
    """The session's points, in order."""
    return (
        Due(session.open_at - BEFORE_OPEN, Moment.DAWN, session),
        Due(session.open_at, Moment.OPEN, session),
        Due(session.close_at, Moment.CLOSE, session),
    )


class Exchange:
    """One account at one exchange. Not thread-safe: everything runs on the server's event loop.

    `wall` is the clock to follow; None makes a replay, whose clock stands still until `move_clock`.
    """

    def __init__(self, ledger: Ledger, market: Market, rules: HouseRules, wall: Clock | None, publish: Publish) -> None:
        self._ledger = ledger
        self._market = market
        self._rules = rules
        self._wall = wall
        self._publish = publish
        self._outbox: list[dict[str, Any]] = []
        if ledger.get("ledger_id") is None:
            self._open_account()

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Market time."""
        return self._wall.now() if self._wall else self._processed_until()

    def move_clock(self, at: datetime) -> list[Due]:
        """Move a replay's clock forward to `at`, running what is due on the way; returns what was run.

        Backwards only while nothing has ever been ordered.
        """
        if self._wall is not None:
            raise refusals.not_a_replay()
        now = self.now()
        if at < now and self._ledger.has_orders():
            raise refusals.backwards(now, at)
        done = self._run_until(at)
        if at != now:
            with self._change():
                self._ledger.put("processed_until", stamp(at))
        return done

    def run_due(self) -> list[Due]:
        """Run what the wall clock has made due; a replay has nothing due between moves."""
        return self._run_until(self.now()) if self._wall else []

    def reset(self) -> None:
        """Forget everything (replays only): a new account, with new execution ids."""
        if self._wall is not None:
            raise refusals.not_a_replay()
        with self._change():
            self._ledger.clear()
        self._open_account()

    def _processed_until(self) -> datetime:
        stored = self._ledger.get("processed_until")
        return datetime.fromisoformat(stored) if stored else self._rules.start

    def _open_account(self) -> None:
        start = self._wall.now() if self._wall else self._rules.start
        with self._change():
            self._ledger.put("ledger_id", str(uuid.uuid4()))
            self._ledger.put("cash", str(self._rules.initial_cash))
            self._ledger.put("opened_at", stamp(start))
            self._ledger.put("processed_until", stamp(start))
            self._ledger.log(start, "account_opened", {"cash": str(self._rules.initial_cash)})

    def _pending(self, until: datetime) -> Iterator[Due]:
        after = self._processed_until()
        for session in self._market.sessions(after, until):
            yield from (due for due in moments(session) if after < due.at <= until)

    def _run_until(self, until: datetime) -> list[Due]:
        done = []
        idle_until = None
        for due in self._pending(until):
            if self._must_wait(due, until):
                break
            idle_until = due.at
            if self._has_work():
                idle_until = None
                with self._change():
                    self._run(due)
                    self._ledger.put("processed_until", stamp(due.at))
                done.append(due)
        if idle_until is not None:  # years without an order pass in one write
            with self._change():
                self._ledger.put("processed_until", stamp(idle_until))
        return done

    def _must_wait(self, due: Due, now: datetime) -> bool:
        """On the wall clock a session is matched when its bars are published, or given up some hours after."""
        if self._wall is None or not self._has_work():
            return False
        return not self._market.bars(due.session.session) and now < due.session.close_at + self._rules.bars_grace

    def _has_work(self) -> bool:
        return bool(self._ledger.open_orders() or self._ledger.positions())

    def _run(self, due: Due) -> None:
        match due.moment:
            case Moment.DAWN:
                self._split(due)
            case Moment.OPEN:
                self._open(due)
            case Moment.CLOSE:
                self._close(due)

    # -- orders -------------------------------------------------------------------------------------------------------

    def submit(self, new: NewOrder) -> StoredOrder:
        """Take an order, or raise Refused; it is on disk when this returns. Call `run_due` first."""
        now = self.now()
        if self._ledger.order_by_client_id(new.client_order_id) is not None:
            raise refusals.duplicate(new.client_order_id)
        refusals.check_form(new)
        open_session, _ = self._market.session_at(now)
        refusals.check_market(new, self._market.instrument(new.symbol), open_session)
        self._check_buying_power(new)
        order = StoredOrder(
            order_id=self._hash("order", new.client_order_id),
            client_order_id=new.client_order_id,
            symbol=new.symbol,
            side=new.side,
            qty=new.qty,
            terms=new.terms,
            status="new",
            submitted_at=now,
            updated_at=now,
        )
        with self._change():
            self._ledger.add_order(order)
            self._report("new", order, now)
        return order

    def cancel(self, order_id: str) -> None:
        """Cancel an open order, or raise Refused. Call `run_due` first."""
        now = self.now()
        order = self._ledger.order(order_id)
        if order is None:
            raise refusals.unknown_order(order_id)
        if not order.is_open:
            raise refusals.not_cancelable(order.status)
        if any(order.submitted_at < due.at for due in self._pending(now)):
            raise refusals.not_cancelable("being matched")
        with self._change():
            self._end(order, "canceled", now)

    def _check_buying_power(self, new: NewOrder) -> None:
        held = self._ledger.positions()
        others = self._commitments()
        mine = self._commitment(new, new.qty, self.marks([new.symbol]))
        more = account.opening_value(held, [*others, mine]) - account.opening_value(held, others)
        if more > 0:
            refusals.check_buying_power(more, self._buying_power(held, others))

    def _commitments(self) -> list[Commitment]:
        working = self._ledger.open_orders()
        marks = self.marks({order.symbol for order in working})
        return [self._commitment(order, order.leaves, marks) for order in working]

    def _commitment(self, order: NewOrder | StoredOrder, leaves: Decimal, marks: Mapping[str, Decimal]) -> Commitment:
        mark = marks.get(order.symbol)
        if order.terms.limit_price is not None:
            return Commitment(order.symbol, order.side, leaves, order.terms.limit_price)
        if mark is None:
            raise refusals.Refused(403, 40310000, f"{order.symbol} has no price yet: buying power cannot be checked")
        return Commitment(order.symbol, order.side, leaves, mark * (1 + self._rules.margin.market_buffer))

    def _buying_power(self, held: Sequence[Position], commitments: Sequence[Commitment]) -> Decimal:
        marks = self.marks(p.symbol for p in held)
        return account.buying_power(self.cash(), held, marks, commitments, self._rules.margin)

    # -- the session --------------------------------------------------------------------------------------------------

    def _open(self, due: Due) -> None:
        self._ledger.put("splits", "{}")
        bars = self._market.bars(due.session.session)
        for symbol, orders in self._by_symbol(due):
            bar = bars.get(symbol)
            if bar is None:
                self._ledger.log(due.at, "halted", {"symbol": symbol, "session": due.session.session.isoformat()})
                continue
            working = [_working(o, due.session) for o in orders if o.terms.order_type in UNCONDITIONAL]
            self._execute(due, bar, opening_auction(working, bar, self._rules.cap))
            self._expire(due, (o.order_id for o in orders if o.terms.time_in_force is TimeInForce.OPG))

    def _close(self, due: Due) -> None:
        bars = self._market.bars(due.session.session)
        for symbol, orders in self._by_symbol(due):
            bar = bars.get(symbol)
            if bar is not None:
                used = self._ledger.shares_traded(symbol, due.session.session)
                working = [_working(o, due.session) for o in orders if o.terms.order_type in UNCONDITIONAL]
                self._execute(due, bar, rest_of_session(working, bar, self._rules.cap, used))
            self._expire(due, (o.order_id for o in orders if o.terms.time_in_force is not TimeInForce.GTC))

    def _by_symbol(self, due: Due) -> Iterator[tuple[str, list[StoredOrder]]]:
        present = [order for order in self._ledger.open_orders() if order.submitted_at < due.at]
        for symbol, orders in groupby(sorted(present, key=lambda o: (o.symbol, o.seq)), key=lambda o: o.symbol):
            yield symbol, list(orders)

    def _execute(self, due: Due, bar: Bar, executions: Iterable[Execution]) -> None:
        for execution in executions:
            if not bar.low <= execution.price <= bar.high:
                raise AssertionError(f"{execution} lies outside {bar}")
            self._book(due, execution)

    def _book(self, due: Due, execution: Execution) -> None:
        order = self._required(execution.order_id)
        filled = order.filled_qty + execution.qty
        commission = self._rules.costs.commission(execution.qty, execution.price)
        order = replace(
            order,
            filled_qty=filled,
            filled_value=order.filled_value + execution.qty * execution.price,
            status="filled" if filled == order.qty else "partially_filled",
            updated_at=due.at,
        )
        stored = StoredExecution(
            exec_id=self._hash("execution", f"{order.order_id}:{filled}"),
            order_id=order.order_id,
            session=due.session.session,
            qty=execution.qty,
            price=execution.price,
            commission=commission,
            cum_qty=filled,
            at=due.at,
        )
        position = account.after_fill(self._position(order.symbol), order.side, execution.qty, execution.price)
        self._ledger.update_order(order)
        self._ledger.add_execution(stored)
        self._ledger.put_position(position)
        self._add_cash(account.cash_change(order.side, execution.qty, execution.price, commission))
        self._report("fill" if order.status == "filled" else "partial_fill", order, due.at, stored, position.qty)

    def _expire(self, due: Due, order_ids: Iterable[str]) -> None:
        for order in map(self._required, order_ids):
            if order.is_open:
                self._end(order, "expired", due.at)

    def _end(self, order: StoredOrder, status: str, at: datetime) -> None:
        ended = replace(order, status=status, updated_at=at)
        self._ledger.update_order(ended)
        self._report(status, ended, at)

    def _split(self, due: Due) -> None:
        """Turn positions into new shares, pay fractions in cash, and cancel orders that were made in old shares.

        Cash dividends are not paid: raw.corporate_actions has only the price factor of an action, taken from prices
        that were rounded, so the amount a share paid is not known to the cent and the book would not tie. A replay
        applies a split only if the warehouse has it when the clock passes its session's dawn.
        """
        factors = self._market.splits(due.session.session)
        for symbol, factor in factors.items():
            for order in self._ledger.open_orders():
                if order.symbol == symbol and order.submitted_at < due.at:
                    self._end(order, "canceled", due.at)
            self._split_position(due, symbol, factor)
        self._ledger.put("splits", json.dumps({s: [f.numerator, f.denominator] for s, f in factors.items()}))

    def _split_position(self, due: Due, symbol: str, factor: Fraction) -> None:
        before = self._position(symbol)
        if before.qty == 0:
            return
        last = self._market.last_trade(symbol, due.at)
        price = last.price * factor.numerator / factor.denominator if last else before.avg_cost
        position, lieu = account.after_split(before, factor, price)
        self._ledger.put_position(position)
        self._add_cash(lieu)
        facts = {"symbol": symbol, "price_factor": str(factor), "before": str(before.qty), "after": str(position.qty)}
        self._ledger.log(due.at, "split", {**facts, "cash_in_lieu": str(lieu)})

    # -- what is asked ------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The book, for reading."""
        return self._ledger

    @property
    def market(self) -> Market:
        """The market, for reading."""
        return self._market

    def cash(self) -> Decimal:
        """The balance, USD."""
        return Decimal(self._ledger.get("cash") or "0")

    def marks(self, symbols: Iterable[str]) -> Mapping[str, Decimal]:
        """Each symbol's last trade in today's shares, where it has one."""
        now = self.now()
        splits = json.loads(self._ledger.get("splits") or "{}")
        trades = {symbol: self._market.last_trade(symbol, now) for symbol in symbols}
        return {
            symbol: trade.price * splits.get(symbol, (1, 1))[0] / splits.get(symbol, (1, 1))[1]
            for symbol, trade in trades.items()
            if trade is not None
        }

    def equity(self) -> Decimal:
        """Cash and positions at their marks, USD."""
        held = self._ledger.positions()
        return account.equity(self.cash(), held, self.marks(p.symbol for p in held))

    def buying_power(self) -> Decimal:
        """What may still be opened, USD."""
        return self._buying_power(self._ledger.positions(), self._commitments())

    # -- the book -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction; what it reported is published only once it is on disk."""
        self._outbox.clear()
        with self._ledger.transaction():
            yield
        for message in self._outbox:
            self._publish(message)
        self._outbox.clear()

    def _report(
        self,
        event: str,
        order: StoredOrder,
        at: datetime,
        execution: StoredExecution | None = None,
        position_qty: Decimal | None = None,
    ) -> None:
        message = wire.trade_update(event, order, at, execution, position_qty)
        self._ledger.log(at, f"order_{event}", message)
        self._outbox.append(message)

    def _required(self, order_id: str) -> StoredOrder:
        order = self._ledger.order(order_id)
        if order is None:
            raise AssertionError(f"order {order_id} is not in the ledger")
        return order

    def _position(self, symbol: str) -> Position:
        held = {p.symbol: p for p in self._ledger.positions()}
        return held.get(symbol, Position(symbol, ZERO, ZERO))

    def _add_cash(self, change: Decimal) -> None:
        self._ledger.put("cash", format(self.cash() + change, "f"))

    def _hash(self, kind: str, name: str) -> str:
        """An id that is the same for the same thing in this ledger, and different in any other."""
        return str(uuid.uuid5(uuid.UUID(self._ledger.get("ledger_id")), f"{kind}:{name}"))


def _working(order: StoredOrder, session: Session) -> WorkingOrder:
    is_late = order.submitted_at >= session.open_at
    return WorkingOrder(order.order_id, order.side, order.leaves, order.terms.limit_price, is_late)


def start_of(first_session: str) -> datetime:
    """Midnight UTC of an ISO date: before anything of that session."""
    return datetime.fromisoformat(first_session).replace(tzinfo=UTC)
