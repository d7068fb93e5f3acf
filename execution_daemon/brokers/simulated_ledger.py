"""The simulated broker's books: orders, executions, positions, cash, and what changed holdings without a trade."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from bifrost_core.trading.costs import CostModel, to_cent
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side
from execution_daemon.brokers.port import (
    Adjustment,
    AdjustmentKind,
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerStatus,
    ExecKind,
    ExecutionReport,
)
from execution_daemon.paper_exchange import account as arithmetic
from execution_daemon.paper_exchange.account import Commitment, Margin, Position

MARGIN = Margin()


@dataclass(slots=True)
class Ledger:
    """One account. `prices` are the market's last; everything else is what follows from orders and their executions."""

    cash: Decimal
    prices: dict[str, Decimal]
    costs: CostModel
    orders: dict[str, BrokerOrderState] = field(default_factory=dict)
    fills: list[ExecutionReport] = field(default_factory=list)
    adjustments: list[Adjustment] = field(default_factory=list)
    held: dict[str, Position] = field(default_factory=dict)

    def copy(self) -> Ledger:
        """The books as they stand."""
        return Ledger(
            self.cash,
            dict(self.prices),
            self.costs,
            dict(self.orders),
            list(self.fills),
            list(self.adjustments),
            dict(self.held),
        )

    # -- reading ------------------------------------------------------------------------------------------------------

    def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """Orders that may still trade, oldest first."""
        return tuple(order for order in self.orders.values() if order.status.is_open)

    def position(self, symbol: str) -> Position:
        """What is held of `symbol`; zero shares if nothing is."""
        return self.held.get(symbol, Position(symbol, ZERO, ZERO))

    def positions(self) -> tuple[BrokerPosition, ...]:
        """Positions that are not zero."""
        return tuple(BrokerPosition(p.symbol, p.qty, p.avg_cost) for p in self.held.values() if p.qty)

    def account(self) -> BrokerAccount:
        """Balances at the market's prices."""
        held = self.held.values()
        power = arithmetic.buying_power(self.cash, held, self.prices, self._commitments(), MARGIN)
        return BrokerAccount(self.cash, arithmetic.equity(self.cash, held, self.prices), power)

    def lacking_power(self, order: BrokerOrder) -> str:
        """Why the account cannot carry `order` beside the others; empty if it can."""
        held, before = tuple(self.held.values()), self._commitments()
        more = arithmetic.opening_value(held, [*before, self._commitment(order, order.qty)])
        more -= arithmetic.opening_value(held, before)
        power = arithmetic.buying_power(self.cash, held, self.prices, before, MARGIN)
        return f"{more} of {power}" if more > max(power, ZERO) else ""

    def reducible(self, symbol: str, side: Side) -> Decimal:
        """Shares of `side` that only make the position in `symbol` smaller."""
        qty = self.position(symbol).qty
        return abs(qty) if qty * side.sign < 0 else ZERO

    def _commitments(self) -> list[Commitment]:
        return [self._commitment(order, order.qty - order.cum_qty) for order in self.open_orders()]

    def _commitment(self, order: BrokerOrder | BrokerOrderState, leaves: Decimal) -> Commitment:
        market = self.prices.get(order.symbol, ZERO) * (1 + MARGIN.market_buffer)
        return Commitment(order.symbol, order.side, leaves, order.terms.limit_price or order.terms.stop_price or market)

    # -- writing ------------------------------------------------------------------------------------------------------

    def execute(self, order: BrokerOrderState, qty: Decimal, price: Decimal, at: datetime) -> ExecutionReport:
        """Book an execution of `qty` shares at `price`."""
        commission = self.costs.commission(qty, price)
        cum_qty = order.cum_qty + qty
        self._move(order.symbol, order.side, qty, price, commission)
        order = replace(
            order,
            cum_qty=cum_qty,
            avg_px=((order.avg_px or ZERO) * order.cum_qty + qty * price) / cum_qty,
            status=BrokerStatus.FILLED if cum_qty >= order.qty else BrokerStatus.PARTIALLY_FILLED,
            updated_at=at,
        )
        self.orders[order.client_order_id] = order
        report = replace(
            report_of(order, ExecKind.TRADE, at),
            exec_id=self._next_exec_id(),
            last_qty=qty,
            last_px=price,
            commission=commission,
        )
        self.fills.append(report)
        return report

    def take_back(self, exec_id: str, at: datetime) -> ExecutionReport:
        """Undo an execution that stands: shares, cash and commission go back. An order that has ended stays ended."""
        undone = self._undo(exec_id, at)
        report = replace(
            undone,
            kind=ExecKind.TRADE_CANCEL,
            exec_id=self._next_exec_id(),
            exec_ref_id=exec_id,
            last_qty=ZERO,
            last_px=ZERO,
            commission=ZERO,
        )
        return self._restate(report)

    def correct(self, exec_id: str, qty: Decimal, price: Decimal, at: datetime) -> ExecutionReport:
        """Put another quantity and price in place of an execution that stands."""
        undone = self._undo(exec_id, at)
        commission = self.costs.commission(qty, price)
        self._move(undone.symbol, undone.side, qty, price, commission)
        report = replace(
            undone,
            kind=ExecKind.TRADE_CORRECT,
            exec_id=self._next_exec_id(),
            exec_ref_id=exec_id,
            last_qty=qty,
            last_px=price,
            commission=commission,
        )
        return self._restate(report)

    def standing(self) -> dict[str, ExecutionReport]:
        """Executions that have not been taken back or replaced, by id."""
        standing: dict[str, ExecutionReport] = {}
        for fill in self.fills:
            standing.pop(fill.exec_ref_id, None)
            if fill.kind is not ExecKind.TRADE_CANCEL:
                standing[fill.exec_id] = fill
        return standing

    def split(self, symbol: str, ratio: Fraction, at: datetime, takes_fractions: bool) -> None:
        """`ratio` new shares for each old one; a fraction that cannot be held is paid in cash at the new price."""
        before = self.position(symbol)
        self.prices[symbol] = _divided(self.prices[symbol], ratio)
        if before.qty == 0:
            return
        exact = before.qty * ratio.numerator / ratio.denominator
        after = exact if takes_fractions else exact.to_integral_value(ROUND_DOWN)
        lieu = to_cent((exact - after) * self.prices[symbol])
        self.held[symbol] = Position(symbol, after, _divided(before.avg_cost, ratio))
        self.adjust(AdjustmentKind.SPLIT, at, symbol, after - before.qty, lieu)

    def adjust(
        self,
        kind: AdjustmentKind,
        at: datetime,
        symbol: str = "",
        qty_change: Decimal = ZERO,
        cash_change: Decimal = ZERO,
    ) -> None:
        """Write an entry that is no trade; its cash is booked here, its shares by who calls."""
        self.cash += cash_change
        name = f"sim-adjustment-{len(self.adjustments) + 1}"
        self.adjustments.append(Adjustment(name, kind, at, symbol, qty_change, cash_change))

    def _move(self, symbol: str, side: Side, qty: Decimal, price: Decimal, commission: Decimal) -> None:
        if qty:
            self.held[symbol] = arithmetic.after_fill(self.position(symbol), side, qty, price)
        self.cash += arithmetic.cash_change(side, qty, price, commission)

    def _undo(self, exec_id: str, at: datetime) -> ExecutionReport:
        fill = self.standing()[exec_id]
        opposite = Side.SELL if fill.side is Side.BUY else Side.BUY
        self._move(fill.symbol, opposite, fill.last_qty, fill.last_px, -fill.commission)
        return replace(fill, at=at)

    def _restate(self, report: ExecutionReport) -> ExecutionReport:
        """Write that an execution was taken back or corrected, and what its order comes to without it."""
        self.fills.append(report)
        order = self.orders[report.client_order_id]
        fills = [f for f in self.standing().values() if f.client_order_id == order.client_order_id]
        qty, value = total(fills), sum((f.last_qty * f.last_px for f in fills), ZERO)
        status = BrokerStatus.NEW if order.status.is_open and not qty else order.status
        order = replace(order, cum_qty=qty, avg_px=value / qty if qty else None, status=status, updated_at=report.at)
        self.orders[order.client_order_id] = order
        self.fills[-1] = replace(report, cum_qty=qty)
        return self.fills[-1]

    def _next_exec_id(self) -> str:
        return f"sim-exec-{len(self.fills) + 1}"


def total(fills: Iterable[ExecutionReport]) -> Decimal:
    """Shares of the executions."""
    return sum((fill.last_qty for fill in fills), ZERO)


def report_of(order: BrokerOrderState, kind: ExecKind, at: datetime, text: str = "") -> ExecutionReport:
    """That `kind` happened to `order`, without an execution."""
    return ExecutionReport(
        kind=kind,
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        symbol=order.symbol,
        side=order.side,
        at=at,
        cum_qty=order.cum_qty,
        text=text,
    )


def _divided(price: Decimal, ratio: Fraction) -> Decimal:
    return price * ratio.denominator / ratio.numerator
