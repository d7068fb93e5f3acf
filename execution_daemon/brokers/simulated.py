"""A broker in memory, for simulations: seeded and deterministic, with faults where real ones have them.

A fault strikes either because it was planned (`plan`), or by its rate with the seeded generator. The broker's own
ledger is always right: faults only change what its client hears. Single-threaded; nothing waits and no clock runs.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side, TimeInForce
from execution_daemon.brokers.port import (
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerRefused,
    BrokerStatus,
    BrokerUnclear,
    Connected,
    ExecKind,
    ExecutionReport,
    LastTrade,
    OrdType,
    StreamEvent,
)
from execution_daemon.paper_exchange import account as arithmetic
from execution_daemon.paper_exchange.account import Commitment, Margin, Position

EPOCH = datetime(2013, 1, 2, tzinfo=UTC)
INBOX_REPORTS = 100_000


class Fault(StrEnum):
    """What goes wrong between the broker and its client."""

    LOST_REQUEST = "lost_request"  # the order never arrives; the client sees a timeout
    LOST_ANSWER = "lost_answer"  # the order arrives; the client sees a timeout
    LOST_REPORT = "lost_report"  # the stream drops a report
    DUPLICATE_REPORT = "duplicate_report"  # the stream says it twice
    REORDERED_REPORT = "reordered_report"  # the stream says it after the next one
    PARTIAL_FILL = "partial_fill"  # an execution comes in two parts


@dataclass(slots=True)
class _Listener:
    """One open event stream: what it has not read yet, and the report that is held back."""

    inbox: asyncio.Queue[StreamEvent] = field(default_factory=lambda: asyncio.Queue(INBOX_REPORTS))
    held: ExecutionReport | None = None
    connections: int = 0

    def connect(self) -> None:
        """Begin a (new) connection: what was on its way is lost."""
        while not self.inbox.empty():
            self.inbox.get_nowait()
        self.held = None
        self.connections += 1
        self.inbox.put_nowait(Connected(self.connections))


class SimulatedBroker:
    """The `Broker` port over memory. Drive the market with `open_market`, `close_market`, `execute` and `now`."""

    def __init__(
        self,
        prices: Mapping[str, Decimal],
        cash: Decimal,
        seed: int = 0,
        rates: Mapping[Fault, float] | None = None,
        at: datetime = EPOCH,
        costs: CostModel = DEFAULT_COSTS,
        volume_cap: Decimal | None = None,
    ) -> None:
        self.prices = dict(prices)
        self.now = at
        self.is_open = False
        self.volume_cap = volume_cap  # shares a symbol in one opening; None is no cap
        self.accepted: list[str] = []  # every client order id taken, in order: once each
        self._random = random.Random(seed)
        self._rates = dict(rates or {})
        self._planned: Counter[Fault] = Counter()
        self._costs = costs
        self._margin = Margin()
        self._priced_at = dict.fromkeys(self.prices, at)
        self._cash = cash
        self._orders: dict[str, BrokerOrderState] = {}
        self._positions: dict[str, Position] = {}
        self._fills: list[ExecutionReport] = []
        self._listeners: list[_Listener] = []

    @property
    def name(self) -> str:
        """`simulated`."""
        return "simulated"

    # -- driving the market -------------------------------------------------------------------------------------------

    def plan(self, fault: Fault, times: int = 1) -> None:
        """Let `fault` strike at its next `times` occasions."""
        self._planned[fault] += times

    def heal(self) -> None:
        """No more faults; reports held back are delivered."""
        self._planned.clear()
        self._rates.clear()
        for listener in self._listeners:
            self._release(listener)

    def set_price(self, symbol: str, price: Decimal) -> None:
        """The symbol trades at `price` now."""
        self.prices[symbol] = price
        self._priced_at[symbol] = self.now

    def open_market(self) -> None:
        """The opening auction: orders that accept the price trade, up to the volume cap; OPG remainders expire."""
        self.is_open = True
        for symbol in self.prices:
            self._priced_at[symbol] = self.now
            self._auction(symbol)
        self._expire(TimeInForce.OPG)

    def close_market(self) -> None:
        """The end of the session: what is left of the orders expires."""
        self.is_open = False
        self._expire(*TimeInForce)

    def execute(self, client_order_id: str, qty: Decimal | None = None, price: Decimal | None = None) -> None:
        """Trade `qty` shares (all that is left if None) of an open order at `price` (the market's if None)."""
        order = self._orders[client_order_id]
        left = order.qty - order.cum_qty if qty is None else qty
        at_price = self.prices[order.symbol] if price is None else price
        if left > 1 and self._strikes(Fault.PARTIAL_FILL):
            part = Decimal(self._random.randint(1, int(left) - 1))
            self._trade(client_order_id, part, at_price)
            left -= part
        self._trade(client_order_id, left, at_price)

    def disconnect(self) -> None:
        """Cut every event stream; each is connected again at once, and has lost what it had not read."""
        for listener in self._listeners:
            listener.connect()

    # -- the port -----------------------------------------------------------------------------------------------------

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """Take the order, unless a fault strikes."""
        if self._strikes(Fault.LOST_REQUEST):
            raise BrokerUnclear(f"no answer for {order.client_order_id}")
        report = self._take(order)
        if self._strikes(Fault.LOST_ANSWER):
            raise BrokerUnclear(f"no answer for {order.client_order_id}")
        return report

    async def cancel(self, client_order_id: str) -> None:
        """Cancel an open order."""
        order = self._orders.get(client_order_id)
        if order is None:
            unknown = ExecutionReport(ExecKind.REJECTED, client_order_id, "", "", Side.BUY, self.now)
            raise BrokerRefused(replace(unknown, text="order not found"), "unknown_order")
        if not order.status.is_open:
            raise BrokerRefused(self._report(order, ExecKind.REJECTED, text=f"it is {order.status}"), "not_cancelable")
        self._end(order, BrokerStatus.CANCELED, ExecKind.CANCELED)

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """The order, from the ledger itself."""
        return self._orders.get(client_order_id)

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """Orders that may still trade."""
        return tuple(order for order in self._orders.values() if order.status.is_open)

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """All orders from `since` on."""
        return tuple(order for order in self._orders.values() if since is None or order.submitted_at >= since)

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """All executions from `since` on."""
        return tuple(fill for fill in self._fills if since is None or fill.at >= since)

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """Positions that are not zero."""
        return tuple(BrokerPosition(p.symbol, p.qty, p.avg_cost) for p in self._positions.values() if p.qty)

    async def account(self) -> BrokerAccount:
        """Balances at the market's prices."""
        held = self._positions.values()
        equity = arithmetic.equity(self._cash, held, self.prices)
        power = arithmetic.buying_power(self._cash, held, self.prices, self._commitments(), self._margin)
        return BrokerAccount(self._cash, equity, power)

    async def market_time(self) -> datetime:
        """The simulated time."""
        return self.now

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """The market's prices."""
        return {s: LastTrade(self.prices[s], self._priced_at[s]) for s in symbols if s in self.prices}

    async def events(self) -> AsyncIterator[StreamEvent]:
        """What the stream delivers, faults included."""
        listener = _Listener()
        listener.connect()
        self._listeners.append(listener)
        try:
            while True:
                yield await listener.inbox.get()
        finally:
            self._listeners.remove(listener)

    async def close(self) -> None:
        """Nothing to let go of."""

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def _take(self, order: BrokerOrder) -> ExecutionReport:
        known = self._orders.get(order.client_order_id)
        if known is not None:
            return self._report(known, _KIND_OF_STATUS.get(known.status, ExecKind.NEW))
        if reason := self._objection(order):
            raise BrokerRefused(self._refusal(order, reason), reason.split(":")[0])
        state = BrokerOrderState(
            client_order_id=order.client_order_id,
            broker_order_id=f"sim-{len(self._orders) + 1}",
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
        self._orders[order.client_order_id] = state
        report = self._report(state, ExecKind.NEW)
        self._publish(report)
        return report

    def _objection(self, order: BrokerOrder) -> str:
        """Why the order is refused; empty if it is not."""
        if order.symbol not in self.prices:
            return f"unknown_symbol: {order.symbol}"
        if order.qty <= 0 or order.qty != order.qty.to_integral_value():
            return f"bad_quantity: {order.qty}"
        if (order.terms.order_type is OrdType.LIMIT) != (order.terms.limit_price is not None):
            return "bad_limit: limit orders have a limit price, others do not"
        if order.terms.time_in_force is TimeInForce.OPG and self.is_open:
            return "too_late: opg orders are not taken after the open"
        held = tuple(self._positions.values())
        before = self._commitments()
        more = arithmetic.opening_value(held, [*before, self._commitment(order, order.qty)])
        more -= arithmetic.opening_value(held, before)
        power = arithmetic.buying_power(self._cash, held, self.prices, before, self._margin)
        return f"buying_power: {more} of {power}" if more > max(power, ZERO) else ""

    def _commitments(self) -> list[Commitment]:
        working = (order for order in self._orders.values() if order.status.is_open)
        return [self._commitment(order, order.qty - order.cum_qty) for order in working]

    def _commitment(self, order: BrokerOrder | BrokerOrderState, leaves: Decimal) -> Commitment:
        price = order.terms.limit_price or self.prices[order.symbol] * (1 + self._margin.market_buffer)
        return Commitment(order.symbol, order.side, leaves, price)

    def _auction(self, symbol: str) -> None:
        left = self.volume_cap
        for order in [o for o in self._orders.values() if o.symbol == symbol and o.status.is_open]:
            if not _accepts(order, self.prices[symbol]):
                continue
            leaves = order.qty - order.cum_qty
            qty = leaves if left is None else min(leaves, left.to_integral_value(ROUND_FLOOR))
            if qty > 0:
                self.execute(order.client_order_id, qty)
                left = None if left is None else left - qty

    def _trade(self, client_order_id: str, qty: Decimal, price: Decimal) -> None:
        order = self._orders[client_order_id]
        cum_qty = order.cum_qty + qty
        value = (order.avg_px or ZERO) * order.cum_qty + qty * price
        order = replace(
            order,
            cum_qty=cum_qty,
            avg_px=value / cum_qty,
            status=BrokerStatus.FILLED if cum_qty >= order.qty else BrokerStatus.PARTIALLY_FILLED,
            updated_at=self.now,
        )
        self._orders[client_order_id] = order
        commission = self._costs.commission(qty, price)
        held = self._positions.get(order.symbol, Position(order.symbol, ZERO, ZERO))
        self._positions[order.symbol] = arithmetic.after_fill(held, order.side, qty, price)
        self._cash += arithmetic.cash_change(order.side, qty, price, commission)
        fill = replace(
            self._report(order, ExecKind.TRADE),
            exec_id=f"sim-exec-{len(self._fills) + 1}",
            last_qty=qty,
            last_px=price,
            commission=commission,
        )
        self._fills.append(fill)
        self._publish(fill)

    def _expire(self, *times_in_force: TimeInForce) -> None:
        for order in [o for o in self._orders.values() if o.status.is_open and o.terms.time_in_force in times_in_force]:
            self._end(order, BrokerStatus.EXPIRED, ExecKind.EXPIRED)

    def _end(self, order: BrokerOrderState, status: BrokerStatus, kind: ExecKind) -> None:
        ended = replace(order, status=status, updated_at=self.now)
        self._orders[order.client_order_id] = ended
        self._publish(self._report(ended, kind))

    def _report(self, order: BrokerOrderState, kind: ExecKind, text: str = "") -> ExecutionReport:
        return ExecutionReport(
            kind=kind,
            client_order_id=order.client_order_id,
            broker_order_id=order.broker_order_id,
            symbol=order.symbol,
            side=order.side,
            at=self.now,
            cum_qty=order.cum_qty,
            text=text,
        )

    def _refusal(self, order: BrokerOrder, reason: str) -> ExecutionReport:
        blank = ExecutionReport(ExecKind.REJECTED, order.client_order_id, "", order.symbol, order.side, self.now)
        return replace(blank, text=reason)

    # -- faults -------------------------------------------------------------------------------------------------------

    def _strikes(self, fault: Fault) -> bool:
        if self._planned[fault] > 0:
            self._planned[fault] -= 1
            return True
        rate = self._rates.get(fault, 0.0)
        return rate > 0 and self._random.random() < rate

    def _publish(self, report: ExecutionReport) -> None:
        for listener in self._listeners:
            if self._strikes(Fault.LOST_REPORT):
                continue
            if listener.held is None and self._strikes(Fault.REORDERED_REPORT):
                listener.held = report
                continue
            listener.inbox.put_nowait(report)
            if self._strikes(Fault.DUPLICATE_REPORT):
                listener.inbox.put_nowait(report)
            self._release(listener)

    def _release(self, listener: _Listener) -> None:
        if listener.held is not None:
            listener.inbox.put_nowait(listener.held)
            listener.held = None


_KIND_OF_STATUS = {
    BrokerStatus.CANCELED: ExecKind.CANCELED,
    BrokerStatus.EXPIRED: ExecKind.EXPIRED,
}


def _accepts(order: BrokerOrderState, price: Decimal) -> bool:
    if order.terms.limit_price is None:
        return True
    return price <= order.terms.limit_price if order.side is Side.BUY else price >= order.terms.limit_price
