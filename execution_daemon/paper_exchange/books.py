"""The account's books while the exchange runs: the ledger, what is open in memory, and what is to be published.

Memory only repeats the ledger: a change that fails is read back from it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from bifrost_core.trading.orders import ZERO
from execution_daemon.paper_exchange import wire
from execution_daemon.paper_exchange.account import Position
from execution_daemon.paper_exchange.ledger import Ledger
from execution_daemon.paper_exchange.records import (
    Activity,
    AssetState,
    CashMovement,
    StoredExecution,
    StoredOrder,
)

Publish = Callable[[dict[str, Any]], None]


class Books:
    """Every change happens inside `change()`: one transaction, published when it is on disk."""

    def __init__(self, ledger: Ledger, publish: Publish) -> None:
        self.ledger = ledger
        self._publish = publish
        self._outbox: list[dict[str, Any]] = []
        self.revisions: Counter[str] = Counter()
        self._read()

    def _read(self) -> None:
        self.open_orders: dict[str, StoredOrder] = {}
        self._by_symbol: dict[str, dict[str, StoredOrder]] = {}
        for order in self.ledger.open_orders():
            self._keep(order)
        self._positions = {position.symbol: position for position in self.ledger.positions()}
        self._assets = {asset.symbol: asset for asset in self.ledger.assets()}
        self.cash = Decimal(self.ledger.get("cash") or "0")
        self._ledger_id = self.ledger.get("ledger_id") or ""
        self.revisions.update(self.symbols())

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction; what it reported is published only once it is on disk."""
        self._outbox.clear()
        try:
            with self.ledger.transaction():
                yield
        except BaseException:
            self._read()
            raise
        for message in self._outbox:
            self._publish(message)
        self._outbox.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.ledger.clear()
        self._read()

    def open_account(self, at: datetime, cash: Decimal) -> None:
        """Begin an account."""
        self._ledger_id = str(uuid.uuid4())
        self.ledger.put("ledger_id", self._ledger_id)
        self.ledger.put("opened_at", wire.time(at))
        self.ledger.log(at, "account_opened", {"cash": str(cash)})
        self.cash = ZERO
        self.move_cash(at, "deposit", self._ledger_id, cash)

    # -- orders -------------------------------------------------------------------------------------------------------

    def add_order(self, order: StoredOrder) -> StoredOrder:
        """Take a new order; returns it with its place in time."""
        stored = self.ledger.add_order(order)
        self._keep(stored)
        return stored

    def update(self, order: StoredOrder) -> None:
        """Store what changed in an order."""
        self.ledger.update_order(order)
        self._keep(order)

    def _keep(self, order: StoredOrder) -> None:
        self.revisions[order.symbol] += 1
        of_symbol = self._by_symbol.setdefault(order.symbol, {})
        for index in (self.open_orders, of_symbol):
            if order.is_open:
                index[order.order_id] = order
            else:
                index.pop(order.order_id, None)
        if not of_symbol:
            del self._by_symbol[order.symbol]

    def orders_of(self, symbol: str) -> list[StoredOrder]:
        """Its open orders, in time priority."""
        return sorted(self._by_symbol.get(symbol, {}).values(), key=lambda order: order.seq)

    def end(self, order: StoredOrder, status: str, at: datetime, text: str = "") -> None:
        """An order is canceled, expired or rejected."""
        ended = replace(order, status=status, updated_at=at, text=text)
        self.update(ended)
        self.report(status, ended, at)

    def required(self, order_id: str) -> StoredOrder:
        """The order as it is now; one that is not there is a bug of ours."""
        order = self.open_orders.get(order_id) or self.ledger.order(order_id)
        if order is None:
            raise AssertionError(f"order {order_id} is not in the ledger")
        return order

    # -- positions and cash -------------------------------------------------------------------------------------------

    def position(self, symbol: str) -> Position:
        """What is held, or nothing."""
        return self._positions.get(symbol, Position(symbol, ZERO, ZERO))

    def positions(self) -> list[Position]:
        """Positions that are not zero, by symbol."""
        return [self._positions[symbol] for symbol in sorted(self._positions)]

    def put_position(self, position: Position) -> None:
        """Store a position; a flat one is removed."""
        self.ledger.put_position(position)
        self.revisions[position.symbol] += 1
        self._positions.pop(position.symbol, None)
        if position.qty:
            self._positions[position.symbol] = position

    def move_cash(self, at: datetime, kind: str, ref: str, amount: Decimal) -> None:
        """Change the balance, and say why."""
        self.cash += amount
        self.ledger.put("cash", format(self.cash, "f"))
        self.ledger.add_cash(CashMovement(at, kind, ref, amount, self.cash))

    def symbols(self) -> set[str]:
        """Symbols with a position or an open order."""
        return {*self._positions, *self._by_symbol}

    def symbols_ordered(self) -> set[str]:
        """Symbols with an open order."""
        return {*self._by_symbol}

    @property
    def has_work(self) -> bool:
        """Whether time passing can change anything."""
        return bool(self.open_orders or self._positions)

    # -- assets -------------------------------------------------------------------------------------------------------

    def asset(self, symbol: str) -> AssetState:
        """What an administrator said of it."""
        return self._assets.get(symbol, AssetState(symbol))

    def put_asset(self, asset: AssetState) -> None:
        """Store what an administrator says of a symbol."""
        self.ledger.put_asset(asset)
        self._assets[asset.symbol] = asset

    # -- history ------------------------------------------------------------------------------------------------------

    def report(
        self,
        event: str,
        order: StoredOrder,
        at: datetime,
        execution: StoredExecution | None = None,
        position_qty: Decimal | None = None,
    ) -> None:
        """Log what happened to an order, and publish it."""
        message = wire.trade_update(event, order, at, execution, position_qty)
        self.ledger.log(at, f"order_{event}", message)
        self._outbox.append(message)

    def log(self, at: datetime, kind: str, payload: Mapping[str, Any]) -> None:
        """Log what no trade update tells."""
        self.ledger.log(at, kind, payload)

    def add_fill(self, execution: StoredExecution) -> None:
        """Store an execution, and the activity that tells of it."""
        self.ledger.add_execution(execution)
        activity_id = wire.activity_id(execution.at, execution.exec_id)
        self.ledger.add_activity(
            Activity(activity_id, "FILL", execution.at, execution.symbol, exec_id=execution.exec_id)
        )

    def add_entry(self, kind: str, activity: Activity) -> None:
        """Store an activity that is no trade, with its cash; `activity_id` is what names it among its kind."""
        name = self.id_of("activity", activity.activity_id)
        stored = replace(activity, activity_id=wire.activity_id(activity.at, name))
        self.ledger.add_activity(stored)
        if activity.net_amount:
            self.move_cash(activity.at, kind, stored.activity_id, activity.net_amount)

    def id_of(self, kind: str, name: str) -> str:
        """An id that is the same for the same thing in this ledger, and different in any other."""
        return str(uuid.uuid5(uuid.UUID(self._ledger_id), f"{kind}:{name}"))
