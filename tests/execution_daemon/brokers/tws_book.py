"""The market and the account behind the loopback TWS: orders, matching at printed prices, and a ledger of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.costs import DEFAULT_COSTS
from bifrost_core.trading.terms import Side
from execution_daemon.paper_exchange import account as arithmetic
from execution_daemon.paper_exchange.account import Commitment, Margin, Position
from tests.execution_daemon.brokers.tws_wire import Executed, Placed

OPENING, CLOSING = {"OPG"}, {"MOC", "LOC"}
MARGIN = Margin()
ZERO = Decimal(0)


@dataclass
class Watch:
    """What an order waits for besides its limit: a trigger, or a trigger that trails."""

    trigger: Decimal | None = None
    limit: Decimal | None = None
    is_triggered: bool = True


@dataclass
class Book:
    """One account in one symbol's market. `tell` hears of an order that changed, `told` of an execution."""

    symbol: str
    price: Decimal
    cash: Decimal
    now: datetime
    cap: Decimal
    tell: Callable[[Placed], None]
    told: Callable[[Executed], None]
    is_open: bool = False
    printed_at: datetime | None = None
    low: Decimal | None = None
    orders: list[Placed] = field(default_factory=list)
    executions: list[Executed] = field(default_factory=list)
    held: Position = field(init=False)
    _watches: dict[int, Watch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.held = Position(self.symbol, ZERO, ZERO)

    # -- the account --------------------------------------------------------------------------------------------------

    @property
    def equity(self) -> Decimal:
        return arithmetic.equity(self.cash, (self.held,), {self.symbol: self.price})

    @property
    def buying_power(self) -> Decimal:
        return self._power(self._commitments())

    def _power(self, commitments: list[Commitment]) -> Decimal:
        return arithmetic.buying_power(self.cash, (self.held,), {self.symbol: self.price}, commitments, MARGIN)

    def _commitments(self) -> list[Commitment]:
        return [self._commitment(order) for order in self.orders if order.is_open]

    def _commitment(self, order: Placed) -> Commitment:
        price = order.limit or self.price * (1 + MARGIN.market_buffer)
        return Commitment(self.symbol, _side(order), order.leaves, price)

    # -- orders -------------------------------------------------------------------------------------------------------

    def objection(self, order: Placed) -> str:
        """Why the servers reject the order; empty if they do not."""
        if order.tif in OPENING and self.is_open:
            return "Order rejected - reason:The opening auction is over"
        if self._power([*self._commitments(), self._commitment(order)]) < 0:
            return "Order rejected - reason:The available funds are not sufficient"
        return ""

    def take(self, order: Placed) -> None:
        """Work an order: at once where the market is open, else at the auctions and prints to come."""
        self.orders.append(order)
        self._watches[order.perm_id] = _watch(order, self.price)
        order.status = "PreSubmitted" if order.kind not in {"MKT", "LMT"} or not self.is_open else "Submitted"
        self.tell(order)
        if self.is_open and order.kind not in CLOSING and order.tif not in OPENING:
            self._take_now(order)

    def _take_now(self, order: Placed) -> None:
        wanted = min(order.leaves, self.cap)
        if self._takes(order, self.price):
            self._fill(order, wanted, self.price)
        if order.tif == "IOC" and order.is_open:
            self.end(order, "Cancelled", "")

    def cancel(self, order: Placed) -> None:
        """As a trader's request does."""
        self.end(order, "Cancelled", "Cancelled by Trader")

    def end(self, order: Placed, status: str, text: str) -> None:
        order.status, order.completed_status, order.completed_at = status, text, self.now
        self.tell(order)

    # -- the market ---------------------------------------------------------------------------------------------------

    def open_market(self, price: Decimal) -> None:
        """The opening auction, and the end of opening orders."""
        self.is_open = True
        self._print(price, lambda order: order.kind not in CLOSING)
        for order in [o for o in self.orders if o.is_open and o.tif in OPENING]:
            self.end(order, "Cancelled", "")

    def trade(self, price: Decimal) -> None:
        """A print while the market is open."""
        self._print(price, lambda order: order.kind not in CLOSING)

    def close_market(self, price: Decimal) -> None:
        """The closing auction, and the end of the day's orders."""
        self._print(price, lambda order: True)
        self.is_open = False
        for order in [o for o in self.orders if o.is_open and o.tif != "GTC"]:
            self.end(order, "Cancelled", "")

    def _print(self, price: Decimal, takes_part: Callable[[Placed], bool]) -> None:
        self.price, self.printed_at = price, self.now
        self.low = price if self.low is None else min(self.low, price)
        left = self.cap
        for order in [o for o in self.orders if o.is_open and takes_part(o)]:
            if self._takes(order, price) and left:
                qty = min(order.leaves, left)
                left -= qty
                self._fill(order, qty, price)

    def _takes(self, order: Placed, price: Decimal) -> bool:
        watch, sign = self._watches[order.perm_id], _side(order).sign
        if not watch.is_triggered:
            watch.is_triggered = self._triggers(order, watch, price, sign)
            if not watch.is_triggered:
                return False
        return watch.limit is None or (watch.limit - price) * sign >= 0

    def _triggers(self, order: Placed, watch: Watch, price: Decimal, sign: int) -> bool:
        assert watch.trigger is not None
        if order.kind in {"MIT", "LIT"}:
            return (watch.trigger - price) * sign >= 0
        if (price - watch.trigger) * sign >= 0:
            return True
        if order.kind.startswith("TRAIL"):
            assert order.aux is not None
            follows = price + order.aux * sign
            watch.trigger = min(watch.trigger, follows) if sign > 0 else max(watch.trigger, follows)
            if order.limit_offset is not None:
                watch.limit = watch.trigger + order.limit_offset * sign
        return False

    # -- executions ---------------------------------------------------------------------------------------------------

    def _fill(self, order: Placed, qty: Decimal, price: Decimal) -> None:
        order.filled += qty
        order.value += qty * price
        if not order.leaves:
            order.status, order.completed_at = "Filled", self.now
            order.completed_status = f"Filled Size: {order.filled}"
        fee = DEFAULT_COSTS.commission(qty, price)
        number = len({done.exec_id.rpartition(".")[0] for done in self.executions})
        done = Executed(f"0000e0d5.{number:08x}.01.01", order, self.now, qty, price, order.filled, fee)
        self._move(order, qty, price, fee)
        self.executions.append(done)
        self.told(done)
        self.tell(order)

    def _move(self, order: Placed, qty: Decimal, price: Decimal, fee: Decimal) -> None:
        self.held = arithmetic.after_fill(self.held, _side(order), qty, price)
        self.cash += arithmetic.cash_change(_side(order), qty, price, fee)

    def correct(self, exec_id: str, price: Decimal, qty: Decimal | None = None) -> Executed:
        """Another revision of an execution; one of no shares takes it back."""
        old = next(done for done in self.executions if done.exec_id == exec_id)
        shares = old.qty if qty is None else qty
        fee = DEFAULT_COSTS.commission(shares, price) if shares else ZERO
        self._move(old.order, -old.qty, old.price, -old.commission)
        if shares:
            self._move(old.order, shares, price, fee)
        base, _, last = exec_id.rpartition(".")
        done = Executed(f"{base}.{int(last) + 1:02d}", old.order, old.at, shares, price, old.cum_qty, fee)
        self.executions.append(done)
        self.told(done)
        return done


def _side(order: Placed) -> Side:
    return Side.BUY if order.action == "BUY" else Side.SELL


def _watch(order: Placed, price: Decimal) -> Watch:
    sign = _side(order).sign
    if order.kind in {"STP", "STP LMT", "MIT", "LIT"}:
        return Watch(order.aux, order.limit, is_triggered=False)
    if order.kind.startswith("TRAIL"):
        assert order.aux is not None
        trigger = price + order.aux * sign
        limit = None if order.limit_offset is None else trigger + order.limit_offset * sign
        return Watch(trigger, limit, is_triggered=False)
    return Watch(None, order.limit)
