"""The market behind the simulated broker: takes orders, matches them against printed prices, reports what happened.

Prices come from whoever drives it. Every print trades at one price, for at most `volume_cap` shares of ours, in time
priority. Nothing here waits, and no clock runs unless one is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import OrdType, Side, TimeInForce
from execution_daemon.brokers.port import (
    AdjustmentKind,
    BrokerOrder,
    BrokerOrderState,
    BrokerRefused,
    BrokerStatus,
    ExecKind,
    ExecutionReport,
    LastTrade,
    Tradability,
)
from execution_daemon.brokers.simulated_faults import Fault, Faults
from execution_daemon.brokers.simulated_ledger import Ledger, report_of
from execution_daemon.brokers.simulated_triggers import Watch, accepts, begin, see

EPOCH = datetime(2013, 1, 2, tzinfo=UTC)
ID_LENGTH_MAX = 48
NOW_OR_NEVER = {TimeInForce.IOC, TimeInForce.FOK}
FRACTIONAL_TYPES = {OrdType.MARKET, OrdType.LIMIT, OrdType.STOP, OrdType.STOP_LIMIT}
SMALLEST_FRACTION = Decimal("0.000000001")

Clock = Callable[[], datetime]


class SimulatedExchange(ABC):
    """One account at one market. Drive it with `now`, `open_market`, `trade`, `execute` and `close_market`."""

    def __init__(
        self,
        ledger: Ledger,
        faults: Faults,
        clock: Clock,
        volume_cap: Decimal | None,
        is_continuous: bool,
        takes_fractions: bool,
    ) -> None:
        self.ledger = ledger
        self.before: Ledger | None = None  # the books before the last change, where a stale read may be asked for
        self.faults = faults
        self.is_open = False
        self.volume_cap = volume_cap
        self.accepted: list[str] = []
        self.listed: dict[str, Tradability] = {}
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        self._clock = clock
        self._is_continuous = is_continuous
        self._takes_fractions = takes_fractions
        self._priced_at = dict.fromkeys(ledger.prices, clock())
        self._volumes: dict[str, Decimal] = {}
        self._watches: dict[str, Watch] = {}
        self._fixed_at: datetime | None = None

    @property
    def now(self) -> datetime:
        """Market time: the clock's, unless it was set."""
        return self._fixed_at or self._clock()

    @now.setter
    def now(self, at: datetime) -> None:
        self._fixed_at = at

    @property
    def prices(self) -> dict[str, Decimal]:
        """Each symbol's last price; a symbol without one is unknown."""
        return self.ledger.prices

    @property
    def cash(self) -> Decimal:
        """The balance; set it to make the broker's books differ from the daemon's."""
        return self.ledger.cash

    @cash.setter
    def cash(self, amount: Decimal) -> None:
        self.ledger.cash = amount

    @abstractmethod
    def publish(self, report: ExecutionReport) -> None:
        """Tell whoever listens."""

    # -- driving the market -------------------------------------------------------------------------------------------

    def set_price(self, symbol: str, price: Decimal) -> None:
        """The symbol's last price is `price` now; nothing of ours trades."""
        self.prices[symbol] = price
        self._priced_at[symbol] = self.now

    def set_quote(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """The best bid and offer, as `last_trade` tells them."""
        self.quotes[symbol] = (bid, ask)

    def set_tradability(self, symbol: str, **changes: Any) -> None:
        """Change fields of the symbol's `Tradability`: halted, not shortable, and so on."""
        self.listed[symbol] = replace(self.tradability_of(symbol), **changes)

    def open_market(self) -> None:
        """The opening auction at each symbol's price; afterwards what was for the opening expires."""
        self.is_open = True
        self._volumes.clear()
        for symbol in sorted(self.prices):
            self.trade(symbol, self.prices[symbol])
        self._expire(TimeInForce.OPG)

    def trade(self, symbol: str, price: Decimal, volume: Decimal | None = None) -> None:
        """The market trades `volume` shares at `price`: triggers go off, and orders of ours take part.

        They take at most `volume`; at most `volume_cap` where it is not told.
        """
        self.set_price(symbol, price)
        if volume is not None:
            self._volumes[symbol] = self._volumes.get(symbol, ZERO) + volume
        if self.is_open and not self.tradability_of(symbol).is_halted:
            self._match(symbol, self.volume_cap if volume is None else volume, TimeInForce.CLS)

    def close_market(self) -> None:
        """The closing auction at each symbol's price; afterwards all but good-till-cancel orders expire."""
        for symbol in sorted(self.prices):
            if self.is_open and not self.tradability_of(symbol).is_halted:
                self._match(symbol, self.volume_cap)
        self.is_open = False
        self._expire(*(set(TimeInForce) - {TimeInForce.GTC}))

    def execute(self, client_order_id: str, qty: Decimal | None = None, price: Decimal | None = None) -> None:
        """Trade `qty` shares (all that is left if None) of an order at `price` (the market's if None)."""
        order = self.ledger.orders[client_order_id]
        left = order.qty - order.cum_qty if qty is None else qty
        at_price = self.prices[order.symbol] if price is None else price
        if left >= 2 and self.faults.strikes(Fault.PARTIAL_FILL):
            part = Decimal(self.faults.random.randint(1, int(left) - 1))
            self._book(client_order_id, part, at_price)
            left -= part
        self._book(client_order_id, left, at_price)

    def bust(self, exec_id: str) -> None:
        """Take an execution back."""
        self._changing()
        self.publish(self.ledger.take_back(exec_id, self.now))

    def correct(self, exec_id: str, price: Decimal, qty: Decimal | None = None) -> None:
        """Put another price (and quantity) in place of an execution's."""
        self._changing()
        shares = self.ledger.standing()[exec_id].last_qty if qty is None else qty
        self.publish(self.ledger.correct(exec_id, shares, price, self.now))

    def split(self, symbol: str, ratio: Fraction) -> None:
        """`ratio` new shares for each old one; open orders in old shares are canceled."""
        self._changing()
        for order in self.ledger.open_orders():
            if order.symbol == symbol:
                self._end(order, BrokerStatus.CANCELED, ExecKind.CANCELED)
        self.ledger.split(symbol, ratio, self.now, self._takes_fractions)

    def pay_dividend(self, symbol: str, per_share: Decimal) -> None:
        """Cash for each share held; a short position pays it."""
        if qty := self.ledger.position(symbol).qty:
            self.book_cash(AdjustmentKind.DIVIDEND, qty * per_share, symbol)

    def book_cash(self, kind: AdjustmentKind, amount: Decimal, symbol: str = "") -> None:
        """A fee (negative), interest, a transfer: `amount` USD, signed."""
        self._changing()
        self.ledger.adjust(kind, self.now, symbol, cash_change=amount)

    # -- what the market knows ----------------------------------------------------------------------------------------

    def tradability_of(self, symbol: str) -> Tradability:
        """What may be done in a symbol."""
        everything = Tradability(symbol, True, False, True, self._takes_fractions)
        return self.listed.get(symbol, everything)

    def trades_of(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """Last prices, with quotes and the session's volume where they were told."""
        return {symbol: self._trade_of(symbol) for symbol in symbols if symbol in self.prices}

    def _trade_of(self, symbol: str) -> LastTrade:
        bid, ask = self.quotes.get(symbol, (None, None))
        return LastTrade(self.prices[symbol], self._priced_at[symbol], bid, ask, self._volumes.get(symbol))

    # -- orders -------------------------------------------------------------------------------------------------------

    def take(self, order: BrokerOrder) -> ExecutionReport:
        """Take an order, or raise BrokerRefused; an id that is known is answered with its order's state."""
        known = self.ledger.orders.get(order.client_order_id)
        if known is not None:
            return report_of(known, _KIND_OF_STATUS.get(known.status, ExecKind.NEW), self.now)
        if reason := self._objection(order):
            raise BrokerRefused(_refusal(order, reason, self.now), reason.split(":")[0])
        self._changing()
        state = self._accept(order)
        report = report_of(state, ExecKind.NEW, self.now)
        self.publish(report)
        self._at_once(state)
        return report

    def end(self, client_order_id: str) -> None:
        """Cancel an order, or raise BrokerRefused."""
        order = self.ledger.orders.get(client_order_id)
        if order is None:
            unknown = ExecutionReport(ExecKind.REJECTED, client_order_id, "", "", Side.BUY, self.now)
            raise BrokerRefused(replace(unknown, text="order not found"), "unknown_order")
        if not order.status.is_open:
            raise BrokerRefused(
                report_of(order, ExecKind.REJECTED, self.now, f"it is {order.status}"), "not_cancelable"
            )
        self._changing()
        self._end(order, BrokerStatus.CANCELED, ExecKind.CANCELED)

    def _accept(self, order: BrokerOrder) -> BrokerOrderState:
        state = BrokerOrderState(
            client_order_id=order.client_order_id,
            broker_order_id=f"sim-{len(self.ledger.orders) + 1}",
            symbol=order.symbol,
            side=order.side,
            qty=order.qty,
            terms=order.terms,
            status=BrokerStatus.NEW,
            cum_qty=ZERO,
            avg_px=None,
            submitted_at=self.now,
            updated_at=self.now,
        )
        self.accepted.append(order.client_order_id)
        self.ledger.orders[order.client_order_id] = state
        self._watches[order.client_order_id] = begin(order.terms, self.prices[order.symbol])
        return state

    def _objection(self, order: BrokerOrder) -> str:
        """Why the order is refused, its code before the colon; empty if it is not."""
        if not 0 < len(order.client_order_id) <= ID_LENGTH_MAX:
            return f"bad_id: it must have 1 to {ID_LENGTH_MAX} characters"
        if order.symbol not in self.prices:
            return f"unknown_symbol: {order.symbol}"
        if reason := self._quantity_objection(order):
            return f"bad_quantity: {reason}"
        if reason := order.terms.objection():
            return f"bad_terms: {reason}"
        return self._market_objection(order)

    def _quantity_objection(self, order: BrokerOrder) -> str:
        if not order.qty.is_finite() or order.qty <= 0:
            return f"{order.qty}"
        if order.qty == order.qty.to_integral_value():
            return ""
        if not self.tradability_of(order.symbol).is_fractionable:
            return f"{order.qty}: {order.symbol} trades in whole shares"
        if order.terms.order_type not in FRACTIONAL_TYPES or order.terms.time_in_force is not TimeInForce.DAY:
            return f"{order.qty}: fractions go into plain day orders only"
        return "" if order.qty == order.qty.quantize(SMALLEST_FRACTION) else f"{order.qty} has too many decimals"

    def _market_objection(self, order: BrokerOrder) -> str:
        terms, market = order.terms, self.tradability_of(order.symbol)
        if not market.is_tradable:
            return f"not_tradable: {order.symbol}"
        if terms.time_in_force is TimeInForce.OPG and self.is_open:
            return "too_late: opg orders are not taken after the open"
        if terms.reduce_only and order.qty > self.ledger.reducible(order.symbol, order.side):
            return f"reduce_only: {order.side} {order.qty} would not only reduce the position"
        is_marketable = accepts(order.side, terms.limit_price, self.prices[order.symbol])
        if terms.post_only and self.is_open and is_marketable:
            return f"post_only: it would trade at once at {self.prices[order.symbol]}"
        if reason := self._short_objection(order, market):
            return reason
        lack = self.ledger.lacking_power(order)
        return f"buying_power: {lack}" if lack else ""

    def _short_objection(self, order: BrokerOrder, market: Tradability) -> str:
        short = order.qty - max(self.ledger.position(order.symbol).qty, ZERO) if order.side is Side.SELL else ZERO
        if short <= 0:
            return ""
        if not market.is_shortable:
            return f"not_shortable: {order.symbol}"
        if market.available_to_short is not None and short > market.available_to_short:
            return f"not_shortable: {market.available_to_short} shares of {order.symbol} can be borrowed"
        return ""

    # -- matching -----------------------------------------------------------------------------------------------------

    def _at_once(self, order: BrokerOrderState) -> None:
        """What does not wait for the next print: IOC and FOK, and every order of a continuous market."""
        is_now_or_never = order.terms.time_in_force in NOW_OR_NEVER
        if is_now_or_never or self._is_continuous:
            can_trade = self.is_open and not self.tradability_of(order.symbol).is_halted
            if can_trade and order.terms.time_in_force is not TimeInForce.CLS:
                self._attempt(order, self.volume_cap)
        if is_now_or_never and (left := self.ledger.orders[order.client_order_id]).status.is_open:
            self._end(left, BrokerStatus.CANCELED, ExecKind.CANCELED)

    def _match(self, symbol: str, volume: Decimal | None, waiting: TimeInForce | None = None) -> None:
        for order in self.ledger.open_orders():
            if order.symbol == symbol and order.terms.time_in_force is not waiting:
                traded = self._attempt(order, volume)
                volume = None if volume is None else volume - traded

    def _attempt(self, order: BrokerOrderState, volume: Decimal | None) -> Decimal:
        """Trade what of the order the market's price and `volume` allow; the shares that were."""
        price, name = self.prices[order.symbol], order.client_order_id
        watch = self._watches[name] = see(order.terms, order.side, self._watches[name], price)
        if not watch.is_live or not accepts(order.side, watch.limit, price):
            return ZERO
        leaves = order.qty - order.cum_qty
        qty = leaves if volume is None else min(leaves, volume)
        if order.terms.reduce_only:
            qty = min(qty, self.ledger.reducible(order.symbol, order.side))
        qty = qty if qty == leaves else qty.to_integral_value(ROUND_FLOOR)
        if qty <= 0 or (qty < leaves and order.terms.time_in_force is TimeInForce.FOK):
            return ZERO
        self.execute(name, qty, price)
        return qty

    def _book(self, client_order_id: str, qty: Decimal, price: Decimal) -> None:
        self._changing()
        self.publish(self.ledger.execute(self.ledger.orders[client_order_id], qty, price, self.now))

    def _expire(self, *times_in_force: TimeInForce) -> None:
        for order in self.ledger.open_orders():
            if order.terms.time_in_force in times_in_force:
                self._end(order, BrokerStatus.EXPIRED, ExecKind.EXPIRED)

    def _end(self, order: BrokerOrderState, status: BrokerStatus, kind: ExecKind) -> None:
        ended = replace(order, status=status, updated_at=self.now)
        self.ledger.orders[order.client_order_id] = ended
        self._watches.pop(order.client_order_id, None)
        self.publish(report_of(ended, kind, self.now))

    def _changing(self) -> None:
        self.before = self.ledger.copy() if self.faults.may_strike(Fault.STALE_READ) else None


_KIND_OF_STATUS = {
    BrokerStatus.CANCELED: ExecKind.CANCELED,
    BrokerStatus.EXPIRED: ExecKind.EXPIRED,
}


def _refusal(order: BrokerOrder, reason: str, at: datetime) -> ExecutionReport:
    blank = ExecutionReport(ExecKind.REJECTED, order.client_order_id, "", order.symbol, order.side, at)
    return replace(blank, text=reason)
