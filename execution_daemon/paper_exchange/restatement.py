"""Trades taken back (busts) and corrected after the fact: order, position and cash are as if they had been so.

Commission follows: a busted trade's is given back, a corrected one's is computed anew. An order that has ended keeps
its status; one that is still open may trade the shares again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.costs import CostModel
from bifrost_core.trading.orders import ZERO
from execution_daemon.paper_exchange import account
from execution_daemon.paper_exchange.account import Position
from execution_daemon.paper_exchange.books import Books
from execution_daemon.paper_exchange.records import ExecutionKind, StoredExecution, StoredOrder
from execution_daemon.paper_exchange.refusals import Refused, malformed


def bust(books: Books, exec_id: str, at: datetime) -> StoredExecution:
    """Take an execution back; raises Refused where it is not there, or counts no more."""
    old = _standing(books, exec_id)
    gone = replace(old, qty=-old.qty, commission=-old.commission)
    return _restate(books, old, gone, ExecutionKind.BUST, at)


def correct(
    books: Books, exec_id: str, qty: Decimal, price: Decimal, costs: CostModel, at: datetime
) -> StoredExecution:
    """Put `qty` shares at `price` in an execution's place; raises Refused where that cannot be."""
    old = _standing(books, exec_id)
    others = books.required(old.order_id).filled_qty - old.qty
    if not 0 < qty <= books.required(old.order_id).qty - others or price <= 0:
        raise malformed("a correction has a price > 0 and no more shares than were ordered")
    instead = replace(old, qty=qty, price=price, commission=costs.commission(qty, price))
    return _restate(books, old, instead, ExecutionKind.CORRECT, at)


def _standing(books: Books, exec_id: str) -> StoredExecution:
    found = books.ledger.execution(exec_id)
    if found is None:
        raise Refused(404, 40410000, f"execution not found for {exec_id}")
    if not found.is_live:
        raise Refused(409, 40910002, f"execution {exec_id} was busted or corrected already")
    if any(
        a.activity_type == "SPLIT" and a.symbol == found.symbol and a.at > found.at for a in books.ledger.activities()
    ):
        raise Refused(409, 40910003, f"{found.symbol} was split since: its shares are others now")
    return found


def _restate(
    books: Books, old: StoredExecution, new: StoredExecution, kind: ExecutionKind, at: datetime
) -> StoredExecution:
    is_bust = kind is ExecutionKind.BUST
    added = ZERO if is_bust else new.qty
    order = _restated(books.required(old.order_id), old, added, new.price, at)
    number = len(books.ledger.executions_of(order.order_id))
    stored = replace(
        new,
        exec_id=books.id_of("execution", f"{order.order_id}:{number}"),
        cum_qty=order.filled_qty,
        at=at,
        kind=kind,
        ref_exec_id=old.exec_id,
        is_live=not is_bust,
    )
    books.ledger.end_execution(old.exec_id)
    books.add_fill(stored)
    books.update(order)
    books.put_position(_rebuilt(books, old.symbol))
    before = account.cash_change(old.side, old.qty, old.price, old.commission)
    after = ZERO if is_bust else account.cash_change(new.side, new.qty, new.price, new.commission)
    books.move_cash(at, f"trade_{kind}", stored.exec_id, after - before)
    books.report(f"trade_{kind}", order, at, stored, books.position(old.symbol).qty)
    return stored


def _restated(order: StoredOrder, old: StoredExecution, qty: Decimal, price: Decimal, at: datetime) -> StoredOrder:
    filled = order.filled_qty - old.qty + qty
    status = order.status
    if order.is_open:
        status = "filled" if filled == order.qty else "partially_filled" if filled else "new"
    value = order.filled_value - old.qty * old.price + qty * price
    return replace(order, filled_qty=filled, filled_value=value, status=status, updated_at=at)


def _rebuilt(books: Books, symbol: str) -> Position:
    """The position as its executions make it, from the last split on."""
    position, since = Position(symbol, ZERO, ZERO), None
    for event in books.ledger.events():
        if event.kind == "split" and event.payload["symbol"] == symbol:
            position = Position(symbol, Decimal(event.payload["after"]), Decimal(event.payload["avg_cost"]))
            since = event.at
    for execution in _in_order([e for e in books.ledger.executions() if e.symbol == symbol]):
        if since is None or execution.at > since:
            position = account.after_fill(position, execution.side, execution.qty, execution.price)
    return position


def _in_order(executions: list[StoredExecution]) -> list[StoredExecution]:
    """Those that count, each where the trade that it stands for was made."""
    first = {e.exec_id: e for e in executions}
    for execution in executions:
        if execution.ref_exec_id is not None:
            first[execution.exec_id] = first[execution.ref_exec_id]
    standing = sorted((e for e in executions if e.is_live), key=lambda e: first[e.exec_id].seq)
    return [replace(e, at=first[e.exec_id].at) for e in standing]
