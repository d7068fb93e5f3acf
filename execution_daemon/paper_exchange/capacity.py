"""What the account may still open, kept up to date symbol by symbol: an order costs a look at its own symbol only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import OrdType
from execution_daemon.paper_exchange import account, refusals
from execution_daemon.paper_exchange.account import Commitment, Margin, Position
from execution_daemon.paper_exchange.books import Books
from execution_daemon.paper_exchange.market import Market
from execution_daemon.paper_exchange.records import StoredOrder
from execution_daemon.paper_exchange.refusals import NewOrder

MARKS_AGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Working:
    """A symbol's open orders: `opening` is what they may add to the exposure, `rest` what they leave to be closed."""

    opening: Decimal
    rest: Position


class Capacity:
    """Marks, equity and buying power. Marks are read again when the books have moved on, and once a minute.

    `booked` is the time up to which everything is done on the books. On the wall clock it lies before `now`, and a
    split that waits for the session's bars has changed no shares yet.
    """

    def __init__(
        self, books: Books, market: Market, margin: Margin, now: Callable[[], datetime], booked: Callable[[], datetime]
    ) -> None:
        self._books = books
        self._market = market
        self._margin = margin
        self._now = now
        self._booked = booked
        self._marks: dict[str, Decimal | None] = {}
        self._marked: tuple[datetime, datetime] | None = None
        self._working: dict[str, tuple[int, _Working]] = {}

    def forget(self) -> None:
        """Read every mark again: the market is another than it was."""
        self._marks.clear()
        self._working.clear()

    def mark(self, symbol: str) -> Decimal | None:
        """The last trade in the shares that the books are in."""
        now, booked = self._now(), self._booked()
        if self._marked is None or self._is_old(now, booked, *self._marked):
            self.forget()
            self._marked = now, booked
        if symbol not in self._marks:
            self._marks[symbol] = self._market.price(symbol, now, booked)
        return self._marks[symbol]

    def _is_old(self, now: datetime, booked: datetime, then: datetime, was_booked: datetime) -> bool:
        return booked != was_booked or (now - then).total_seconds() > MARKS_AGE_SECONDS

    def marks(self, symbols: Iterable[str]) -> Mapping[str, Decimal]:
        """The marks of those that have one."""
        found = ((symbol, self.mark(symbol)) for symbol in symbols)
        return {symbol: mark for symbol, mark in found if mark is not None}

    def equity(self) -> Decimal:
        """Cash and positions at their marks, USD."""
        held = self._books.positions()
        return account.equity(self._books.cash, held, self.marks(p.symbol for p in held))

    def buying_power(self) -> Decimal:
        """What may still be opened, USD."""
        held = self._books.positions()
        marks = self.marks(p.symbol for p in held)
        free = account.buying_power(self._books.cash, held, marks, (), self._margin)
        return free - sum((self._working_in(symbol).opening for symbol in self._books.symbols_ordered()), ZERO)

    def check(self, new: NewOrder) -> None:
        """Refuse an order that the account cannot carry."""
        rest = self._working_in(new.symbol).rest
        more = account.opening_value([rest], [self._commitment(new, new.qty)])
        if more > 0:
            refusals.check_buying_power(more, self.buying_power())

    def _working_in(self, symbol: str) -> _Working:
        self.mark(symbol)  # a new time makes all of them old
        revision = self._books.revisions[symbol]
        known = self._working.get(symbol)
        if known is None or known[0] != revision:
            known = revision, self._read(symbol)
            self._working[symbol] = known
        return known[1]

    def _read(self, symbol: str) -> _Working:
        held, opening = self._books.position(symbol), ZERO
        for order in self._books.orders_of(symbol):
            opening += account.opening_value([held], [self._commitment(order, order.leaves)])
            closable = min(abs(held.qty), order.leaves) if held.qty * order.side.sign < 0 else ZERO
            held = replace(held, qty=held.qty + order.side.sign * closable)
        return _Working(opening, held)

    def _commitment(self, order: NewOrder | StoredOrder, leaves: Decimal) -> Commitment:
        return Commitment(order.symbol, order.side, leaves, self._price(order))

    def _price(self, order: NewOrder | StoredOrder) -> Decimal:
        """What a share may cost: its limit, where it is touched, or a bit more than its trigger or the last trade."""
        terms = order.terms
        if terms.limit_price is not None:
            return terms.limit_price
        if terms.order_type is OrdType.MARKET_IF_TOUCHED and terms.stop_price is not None:
            return terms.stop_price
        base = terms.stop_price if terms.stop_price is not None else self.mark(order.symbol)
        if base is None:
            raise refusals.Refused(403, 40310000, f"{order.symbol} has no price yet: buying power cannot be checked")
        return base * (1 + self._margin.market_buffer)
