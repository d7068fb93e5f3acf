"""What happens at each point of a session: corporate actions, the opening auction, trading, the closing auction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby

from bifrost_core.calendar import Session
from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import AUCTIONS, Side, TimeInForce
from execution_daemon.paper_exchange import account, actions, matching, quote_matching
from execution_daemon.paper_exchange.account import Margin
from execution_daemon.paper_exchange.books import Books
from execution_daemon.paper_exchange.faults import Faults
from execution_daemon.paper_exchange.fill_models import TOUCH, FillModel
from execution_daemon.paper_exchange.market import Market, dawn
from execution_daemon.paper_exchange.matching import Liquidity, VolumeCap
from execution_daemon.paper_exchange.quote_matching import Shown
from execution_daemon.paper_exchange.records import StoredExecution, StoredOrder
from execution_daemon.paper_exchange.tape import Bar, Minute, Quote
from execution_daemon.paper_exchange.working import IMMEDIATE, Execution, Outcome, WorkingOrder


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What the exchange and the account at it are like. `start` is the first market time of a replay."""

    initial_cash: Decimal
    start: datetime
    cap: VolumeCap = field(default_factory=VolumeCap)
    margin: Margin = field(default_factory=Margin)
    costs: CostModel = DEFAULT_COSTS
    fills: FillModel = TOUCH
    bars_grace: timedelta = timedelta(hours=12)  # wall clock only: how long after the close bars are waited for


class Moment(StrEnum):
    """The points of a session at which something happens."""

    DAWN = "dawn"  # corporate actions
    OPEN = "open"
    TRADING = "trading"  # up to a time between open and close, where minutes or a recorded book tell what it was like
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens at `at`."""

    at: datetime
    moment: Moment
    session: Session


def moments(session: Session) -> tuple[Due, Due, Due]:
    """The session's fixed points, in order."""
    return (
        Due(dawn(session), Moment.DAWN, session),
        Due(session.open_at, Moment.OPEN, session),
        Due(session.close_at, Moment.CLOSE, session),
    )


class Sessions:
    """Runs what is due on the books. Every method is called inside `books.change()`."""

    def __init__(
        self, books: Books, market: Market, rules: HouseRules, faults: Faults, fills: Callable[[], FillModel]
    ) -> None:
        self._books = books
        self._market = market
        self._rules = rules
        self._faults = faults
        self._fills = fills

    def run(self, due: Due, after: datetime) -> None:
        """What happens at `due`, everything up to `after` being done."""
        match due.moment:
            case Moment.DAWN:
                actions.run(self._books, self._market, due.session.session, due.at)
            case Moment.OPEN:
                self._open(due)
            case Moment.TRADING:
                self._trade(due, after)
            case Moment.CLOSE:
                self._close(due, after)

    # -- points -------------------------------------------------------------------------------------------------------

    def _open(self, due: Due) -> None:
        for symbol, orders in self._present(due):
            if self._books.asset(symbol).is_halted:
                continue
            bar = self._first_bar(symbol, due.session)
            if bar is None:
                day = due.session.session.isoformat()
                self._books.log(due.at, "halted", {"symbol": symbol, "session": day})
                continue
            there = self._liquidity(bar, symbol, due, self._day_bar(symbol, due.session, bar), ZERO)
            working = [_working(o, due.session.open_at) for o in orders if not _is(o, TimeInForce.CLS)]
            self._apply(due.at, due.session, matching.at_open(working, there), bar)
            self._expire(due.at, (o for o in orders if _is(o, TimeInForce.OPG)))

    def _trade(self, due: Due, after: datetime) -> None:
        for at, symbol in self.ticks(due.session, after, due.at):
            if not self._books.asset(symbol).is_halted:
                self._tick(symbol, due.session, at)

    def _close(self, due: Due, after: datetime) -> None:
        self._trade(due, after)
        for symbol, orders in self._present(due):
            bar = self._last_bar(symbol, due.session)
            if bar is not None and not self._books.asset(symbol).is_halted:
                if not self._has_ticks(symbol, due.session):
                    self._whole_day(symbol, due, bar)
                self._closing_auction(symbol, due, bar)
            self._expire(due.at, (o for o in orders if not _is(o, TimeInForce.GTC)))

    def _whole_day(self, symbol: str, due: Due, bar: Bar) -> None:
        used = self._books.ledger.shares_traded(symbol, due.session.session)
        there = Liquidity(
            bar, matching.shares_of(bar, self._rules.cap.session, used), self._fills(), due.at.isoformat()
        )
        working = [_working(o, due.session.open_at) for o in self._continuous(symbol, due.at)]
        self._apply(due.at, due.session, matching.after_open(working, there), bar)

    def _closing_auction(self, symbol: str, due: Due, bar: Bar) -> None:
        orders = [o for o in self._books.orders_of(symbol) if _is(o, TimeInForce.CLS) and o.submitted_at < due.at]
        if orders:
            used = self._books.ledger.shares_traded(symbol, due.session.session)
            there = self._liquidity(bar, symbol, due, self._day_bar(symbol, due.session, bar), used)
            self._apply(due.at, due.session, matching.at_close([_working(o, due.at) for o in orders], there), bar)

    def _liquidity(self, bar: Bar, symbol: str, due: Due, day: Bar, used: Decimal) -> Liquidity:
        """An auction's: its own share of the day's volume, and no more than is left of the session's."""
        cap = self._rules.cap
        shares = min(matching.shares_of(day, cap.auction), matching.shares_of(day, cap.session, used))
        return Liquidity(bar, shares, self._fills(), f"{symbol}:{due.at.isoformat()}")

    # -- between open and close ---------------------------------------------------------------------------------------

    def ticks(self, session: Session, after: datetime, until: datetime) -> list[tuple[datetime, str]]:
        """When something is known of symbols that have open orders, in order."""
        found = (
            (at, symbol)
            for symbol in self._books.symbols_ordered()
            for at in self._times(symbol, session)
            if after < at <= until
        )
        return sorted(found)

    def _times(self, symbol: str, session: Session) -> Iterator[datetime]:
        if quotes := self._market.quotes(symbol, session):
            return (quote.at for quote in quotes)
        return (m.end_at for m in self._market.minutes(session.session).get(symbol, ()) if m.end_at <= session.close_at)

    def _has_ticks(self, symbol: str, session: Session) -> bool:
        return next(iter(self._times(symbol, session)), None) is not None

    def _tick(self, symbol: str, session: Session, at: datetime) -> None:
        if self._market.quotes(symbol, session):
            quote = self._market.quote(symbol, at)
            if quote is not None:
                self._meet(quote, session, self._continuous(symbol, at, is_inclusive=True), at)
            return
        minutes = self._market.minutes(session.session)[symbol]
        index = next(i for i, minute in enumerate(minutes) if minute.end_at == at)
        self._minute(symbol, session, minutes[index], is_first=index == 0)

    def _minute(self, symbol: str, session: Session, minute: Minute, is_first: bool) -> None:
        at, bar = minute.end_at, minute.bar
        shares = matching.shares_of(bar, self._rules.cap.session)
        there = Liquidity(bar, shares, self._fills(), f"{symbol}:{at.isoformat()}")
        if not is_first:  # the first minute's open was the auction
            working = [_working(o, minute.start_at) for o in self._continuous(symbol, at)]
            outcome = matching.at_open(working, there)
            self._apply(at, session, outcome, bar)
            there = replace(there, shares=shares - sum((e.qty for e in outcome.executions), ZERO))
        working = [_working(o, minute.start_at) for o in self._continuous(symbol, at)]
        self._apply(at, session, matching.after_open(working, there, is_entering=is_first), bar)

    def meet(self, order: StoredOrder, session: Session, now: datetime) -> None:
        """A new order in an open market: against the recorded book, if there is one; an immediate one is decided now,
        without a book against the last print.
        """
        if order.terms.time_in_force in AUCTIONS or self._books.asset(order.symbol).is_halted:
            return
        quotes = self._market.quotes(order.symbol, session)
        quote = self._market.quote(order.symbol, now)
        if quote is not None and quotes and quotes[0].at <= quote.at:
            self._meet(quote, session, [order], now)
        elif order.terms.time_in_force in IMMEDIATE and not _working(order, now).is_conditional:
            self._meet_last(order, session, now)

    def _meet_last(self, order: StoredOrder, session: Session, now: datetime) -> None:
        """What today's last print gives: an auction's share of the day's volume, less what was taken of it."""
        trade = self._market.last_trade(order.symbol, now)
        day = self._market.bars(session.session).get(order.symbol) or self._first_bar(order.symbol, session)
        working = replace(_working(order, now), is_late=False)
        if trade is not None and day is not None:
            bar = Bar(trade.price, trade.price, trade.price, trade.price, day.volume)
            due = Due(now, Moment.TRADING, session)
            used = self._books.ledger.shares_traded(order.symbol, session.session)
            there = self._liquidity(bar, order.symbol, due, day, used)
            self._apply(now, session, matching.at_open([working], there), bar)
        if (left := self._books.open_orders.get(order.order_id)) is not None:
            self._books.end(left, "canceled", now, "immediate order: nothing was there")

    def _meet(self, quote: Quote, session: Session, orders: list[StoredOrder], at: datetime) -> None:
        if not orders:
            return
        symbol, day = orders[0].symbol, session.session
        bought, sold = (self._books.ledger.shares_traded(symbol, day, side, quote.at) for side in Side)
        working = [_working(order, at) for order in orders]
        outcome = quote_matching.match(working, Shown(quote, bought, sold), self._fills())
        self._apply(at, session, outcome, None)

    # -- orders -------------------------------------------------------------------------------------------------------

    def _present(self, due: Due) -> Iterator[tuple[str, list[StoredOrder]]]:
        present = [order for order in self._books.open_orders.values() if order.submitted_at < due.at]
        for symbol, orders in groupby(sorted(present, key=lambda o: (o.symbol, o.seq)), key=lambda o: o.symbol):
            yield symbol, list(orders)

    def _continuous(self, symbol: str, at: datetime, is_inclusive: bool = False) -> list[StoredOrder]:
        """Open orders that were there before `at` and are for no auction, in time priority."""
        return [
            order
            for order in self._books.orders_of(symbol)
            if order.terms.time_in_force not in AUCTIONS
            and (order.submitted_at < at or (is_inclusive and order.submitted_at == at))
        ]

    def _first_bar(self, symbol: str, session: Session) -> Bar | None:
        minutes = self._market.minutes(session.session).get(symbol)
        return minutes[0].bar if minutes else self._market.bars(session.session).get(symbol)

    def _last_bar(self, symbol: str, session: Session) -> Bar | None:
        minutes = self._market.minutes(session.session).get(symbol)
        return minutes[-1].bar if minutes else self._market.bars(session.session).get(symbol)

    def _day_bar(self, symbol: str, session: Session, otherwise: Bar) -> Bar:
        """The bar whose volume bounds an auction."""
        return self._market.bars(session.session).get(symbol, otherwise)

    def _expire(self, at: datetime, orders: Iterable[StoredOrder]) -> None:
        for order in orders:
            if (now := self._books.open_orders.get(order.order_id)) is not None:
                self._books.end(now, "expired", at)

    # -- what matching found ------------------------------------------------------------------------------------------

    def _apply(self, at: datetime, session: Session, outcome: Outcome, bar: Bar | None) -> None:
        for order_id, live in outcome.live:
            self._books.update(replace(self._books.required(order_id), live=live))
        for execution in outcome.executions:
            if bar is not None and not bar.low <= execution.price <= bar.high:
                raise AssertionError(f"{execution} lies outside {bar}")
            self._execute(at, session, execution)
        for order_id in outcome.rejected:
            self._books.end(self._books.required(order_id), "rejected", at, "post-only order would have traded at once")
        for order_id in outcome.decided:
            if (order := self._books.open_orders.get(order_id)) is not None:
                self._books.end(order, "canceled", at, "immediate order: nothing more was there")

    def _execute(self, at: datetime, session: Session, execution: Execution) -> None:
        order = self._books.required(execution.order_id)
        qty = execution.qty
        if order.terms.reduce_only:
            qty = min(qty, max(-order.side.sign * self._books.position(order.symbol).qty, ZERO))
        for piece in self._faults.pieces(order.client_order_id, qty) if qty else ():
            self._book(at, session, execution.order_id, piece, execution.price)
        order = self._books.required(execution.order_id)
        if qty < execution.qty and order.is_open:
            self._books.end(order, "canceled", at, "reduce-only order: nothing is left to reduce")

    def _book(self, at: datetime, session: Session, order_id: str, qty: Decimal, price: Decimal) -> None:
        order = self._books.required(order_id)
        filled = order.filled_qty + qty
        order = replace(
            order,
            filled_qty=filled,
            filled_value=order.filled_value + qty * price,
            status="filled" if filled == order.qty else "partially_filled",
            updated_at=at,
        )
        number = len(self._books.ledger.executions_of(order_id))
        stored = StoredExecution(
            exec_id=self._books.id_of("execution", f"{order_id}:{number}"),
            order_id=order_id,
            symbol=order.symbol,
            side=order.side,
            session=session.session,
            qty=qty,
            price=price,
            commission=self._rules.costs.commission(qty, price),
            cum_qty=filled,
            at=at,
        )
        position = account.after_fill(self._books.position(order.symbol), order.side, qty, price)
        self._books.update(order)
        self._books.add_fill(stored)
        self._books.put_position(position)
        change = account.cash_change(order.side, qty, price, stored.commission)
        self._books.move_cash(at, "trade", stored.exec_id, change)
        self._books.report("fill" if order.status == "filled" else "partial_fill", order, at, stored, position.qty)


def _is(order: StoredOrder, time_in_force: TimeInForce) -> bool:
    return order.terms.time_in_force is time_in_force


def _working(order: StoredOrder, print_at: datetime) -> WorkingOrder:
    is_late = order.submitted_at >= print_at
    return WorkingOrder(order.order_id, order.side, order.leaves, order.terms, is_late, order.trail_percent, order.live)
