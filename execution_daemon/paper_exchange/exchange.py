"""The exchange: takes orders, keeps the clock, runs what is due in order. Every change is one ledger transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

from bifrost_core.clock import Clock
from execution_daemon.paper_exchange import actions, admission, recorded, refusals, restatement
from execution_daemon.paper_exchange.admission import AssetRules
from execution_daemon.paper_exchange.books import Books, Publish
from execution_daemon.paper_exchange.capacity import Capacity
from execution_daemon.paper_exchange.faults import Faults
from execution_daemon.paper_exchange.fill_models import FillModel, LimitFills, Slippage
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.market import Market
from execution_daemon.paper_exchange.records import AssetState, StoredExecution, StoredOrder, stamp
from execution_daemon.paper_exchange.refusals import NewOrder
from execution_daemon.paper_exchange.sessions import Due, HouseRules, Moment, Sessions, moments

__all__ = ["Exchange", "HouseRules", "start_of"]


class Exchange:
    """One account at one exchange. Not thread-safe: everything runs on the server's event loop.

    `wall` is the clock to follow; None makes a replay, whose clock stands still until `move_clock`.
    """

    def __init__(
        self,
        ledger: Ledger,
        market: Market,
        rules: HouseRules,
        wall: Clock | None,
        publish: Publish,
        faults: Faults | None = None,
    ) -> None:
        self.ledger = ledger
        self.market = market
        self.faults = faults or Faults()
        self.books = Books(ledger, publish)
        self.capacity = Capacity(self.books, market, rules.margin, self.now, self._processed_until)
        self._rules = rules
        self._wall = wall
        if ledger.get("ledger_id") is None:
            self._open_account()
        self._fills = self._stored_fills()
        self._sessions = Sessions(self.books, market, rules, self.faults, self.fill_model)
        self._load_recordings()

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Market time."""
        return self._wall.now() if self._wall else self._processed_until()

    def move_clock(self, at: datetime) -> list[Due]:
        """Move a replay's clock forward to `at`, running what is due on the way; returns what was run.

        Backwards only while nothing has ever been ordered.
        """
        self._only_in_a_replay()
        now = self.now()
        if at < now and self.ledger.has_orders():
            raise refusals.backwards(now, at)
        done = self._run_until(at)
        if at != now:
            with self.books.change():
                self._pass(at)
        return done

    def run_due(self) -> list[Due]:
        """Run what the wall clock has made due; a replay has nothing due between moves."""
        return self._run_until(self.now()) if self._wall else []

    def reset(self) -> None:
        """Forget everything (replays only): a new account, with new execution ids."""
        self._only_in_a_replay()
        with self.books.change():
            self.books.clear()
            self.market.forget_recordings()
        self._open_account()
        self._fills = self._rules.fills
        self.faults.remove()
        self.capacity.forget()

    def _only_in_a_replay(self) -> None:
        if self._wall is not None:
            raise refusals.not_a_replay()

    def _processed_until(self) -> datetime:
        stored = self.ledger.get("processed_until")
        return datetime.fromisoformat(stored) if stored else self._rules.start

    def _pass(self, at: datetime) -> None:
        self.ledger.put("processed_until", stamp(at))

    def _open_account(self) -> None:
        start = self._wall.now() if self._wall else self._rules.start
        with self.books.change():
            self.books.open_account(start, self._rules.initial_cash)
            self._pass(start)

    def _pending(self, until: datetime) -> Iterator[Due]:
        after = self._processed_until()
        for session in self.market.sessions(after, until):
            yield from (due for due in moments(session) if after < due.at <= until)
            if session.open_at < until < session.close_at and self._sessions.ticks(session, after, until):
                yield Due(until, Moment.TRADING, session)

    def _run_until(self, until: datetime) -> list[Due]:
        done = []
        idle_until = None
        for due in self._pending(until):
            if self._must_wait(due, until):
                break
            idle_until = due.at
            if self.books.has_work:
                idle_until = None
                with self.books.change():
                    self._sessions.run(due, self._processed_until())
                    self._pass(due.at)
                done.append(due)
        if idle_until is not None:  # years without an order pass in one write
            with self.books.change():
                self._pass(idle_until)
        return done

    def _must_wait(self, due: Due, now: datetime) -> bool:
        """On the wall clock a session is matched when its bars are published, or given up some hours after."""
        if self._wall is None or not self.books.has_work:
            return False
        return not self.market.bars(due.session.session) and now < due.session.close_at + self._rules.bars_grace

    # -- orders -------------------------------------------------------------------------------------------------------

    def submit(self, new: NewOrder) -> StoredOrder:
        """Take an order, or raise Refused; it is on disk when this returns. Call `run_due` first."""
        now = self.now()
        if self.ledger.order_by_client_id(new.client_order_id) is not None:
            raise refusals.duplicate(new.client_order_id)
        new = admission.check(self.market, self.books, new, now)
        self.capacity.check(new)
        with self.books.change():
            return self._take(new, now)

    def _take(self, new: NewOrder, now: datetime) -> StoredOrder:
        order = self.books.add_order(
            StoredOrder(
                order_id=self.books.id_of("order", new.client_order_id),
                client_order_id=new.client_order_id,
                symbol=new.symbol,
                side=new.side,
                qty=new.qty,
                terms=new.terms,
                trail_percent=new.trail_percent,
                status="new",
                submitted_at=now,
                updated_at=now,
                live=admission.first_state(self.market, new, now),
            )
        )
        self.books.report("new", order, now)
        self._meet(order, now)
        return order

    def _meet(self, order: StoredOrder, now: datetime) -> None:
        """What happens to an order the moment it is in the book; the answer to its sender is older than that."""
        session, _ = self.market.session_at(now)
        if self.faults.rejects(order.client_order_id):
            self.books.end(order, "rejected", now, "rejected by an injected fault")
        elif self.books.asset(order.symbol).is_halted:
            self._cancel_immediate(order.symbol, now)
        elif session is not None:
            self._sessions.meet(order, session, now)

    def cancel(self, order_id: str) -> None:
        """Cancel an open order, or raise Refused. Call `run_due` first."""
        now = self.now()
        order = self.ledger.order(order_id)
        if order is None:
            raise refusals.unknown_order(order_id)
        if not order.is_open:
            raise refusals.not_cancelable(order.status)
        if any(order.submitted_at < due.at for due in self._pending(now)):
            raise refusals.not_cancelable("being matched")
        with self.books.change():
            self.books.end(order, "canceled", now)

    # -- what an administrator does -----------------------------------------------------------------------------------

    def set_asset(self, state: AssetState) -> None:
        """Say what may be done in a symbol. A halt cancels immediate orders; the others wait."""
        now = self.now()
        with self.books.change():
            self.books.put_asset(state)
            self.books.log(now, "asset", {name: _plain(value) for name, value in asdict(state).items()})
            if state.is_halted:
                self._cancel_immediate(state.symbol, now)

    def _cancel_immediate(self, symbol: str, now: datetime) -> None:
        for order in self.books.orders_of(symbol):
            if order.terms.time_in_force.value in ("ioc", "fok"):
                self.books.end(order, "canceled", now, f"{symbol} is halted")

    def load_book(self, text: str) -> int:
        """Add a recorded book (see `recorded`); returns how many quotes it has."""
        found = recorded.parse(text)
        with self.books.change():
            for symbol, quotes in found.items():
                self.ledger.put_quotes(symbol, quotes)
        for symbol, quotes in found.items():
            self.market.record(symbol, quotes)
        self.capacity.forget()
        return sum(map(len, found.values()))

    def _load_recordings(self) -> None:
        for symbol, rows in groupby(self.ledger.quotes(), key=itemgetter(0)):
            self.market.record(symbol, [quote for _, quote in rows])

    def fill_model(self) -> FillModel:
        """How orders are filled."""
        return self._fills

    def set_fill_model(self, model: FillModel) -> None:
        """Fill orders otherwise from now on; raises Refused where the model makes no sense."""
        if objection := model.objection():
            raise refusals.malformed(objection)
        with self.books.change():
            self.ledger.put("fill_model", json.dumps({name: str(value) for name, value in asdict(model).items()}))
        self._fills = model

    def _stored_fills(self) -> FillModel:
        stored = self.ledger.get("fill_model")
        return self._rules.fills if stored is None else fill_model_of(json.loads(stored))

    def bust(self, exec_id: str) -> StoredExecution:
        """Take an execution back."""
        with self.books.change():
            return restatement.bust(self.books, exec_id, self.now())

    def correct(self, exec_id: str, qty: Decimal, price: Decimal) -> StoredExecution:
        """Put other shares or another price in an execution's place."""
        with self.books.change():
            return restatement.correct(self.books, exec_id, qty, price, self._rules.costs, self.now())

    def enter(self, kind: str, amount: Decimal, text: str) -> None:
        """A cash entry by hand."""
        with self.books.change():
            actions.enter(self.books, kind, amount, text, self.now())

    # -- what is asked ------------------------------------------------------------------------------------------------

    def asset_rules(self, symbol: str) -> AssetRules | None:
        """What may be done in a symbol now; None where it is not listed."""
        return admission.asset_rules(self.market, self.books, symbol, self.now())

    def cash(self) -> Decimal:
        """The balance, USD."""
        return self.books.cash

    def marks(self, symbols: Iterable[str]) -> Mapping[str, Decimal]:
        """Each symbol's last trade in the shares that the books are in, where it has one."""
        return self.capacity.marks(symbols)


def fill_model_of(fields: Mapping[str, Any], base: FillModel | None = None) -> FillModel:
    """A model with `fields` (as text or numbers) instead of those of `base`; raises Refused for what is none."""
    model = base or FillModel()
    try:
        for name, value in fields.items():
            make = {"limit_fills": LimitFills, "slippage": Slippage, "seed": int}.get(name, Decimal)
            model = replace(model, **{name: make(str(value))})
    except (TypeError, ValueError, ArithmeticError) as error:
        raise refusals.malformed(f"the fill model cannot be read: {error}") from error
    return model


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def start_of(first_session: str) -> datetime:
    """Midnight UTC of an ISO date: before anything of that session."""
    return datetime.fromisoformat(first_session).replace(tzinfo=UTC)
