"""The exchange's durable book: one SQLite file. What a transaction wrote is on disk when it ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.account import Position

SCHEMA = Path(__file__).with_name("ledger.sql")
OPEN_STATUSES = ("new", "partially_filled")
CHANGING = (
    "status",
    "filled_qty",
    "filled_value",
    "updated_at",
    "is_triggered",
    "high_water",
    "active_limit",
    "queue_ahead",
    "text",
)


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the exchange has it; `seq` is its time priority, `filled_value` the sum of quantity times price.

    `is_triggered`: a stop or touched order has become a market or limit order. `high_water` is the best price that a
    trailing stop has seen, `active_limit` the limit of a triggered trailing stop limit, `queue_ahead` the shares before
    it at its limit (None until it rests), `text` why it ended where that is not plain.
    """

    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    terms: Terms
    status: str
    submitted_at: datetime
    updated_at: datetime
    trail_percent: Decimal | None = None
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    is_triggered: bool = False
    high_water: Decimal | None = None
    active_limit: Decimal | None = None
    queue_ahead: Decimal | None = None
    text: str = ""
    seq: int = 0

    @property
    def leaves(self) -> Decimal:
        """Shares not executed yet."""
        return self.qty - self.filled_qty

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """One execution; `cum_qty` is its order's sum including it."""

    exec_id: str
    order_id: str
    session: date
    qty: Decimal
    price: Decimal
    commission: Decimal
    cum_qty: Decimal
    at: datetime
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `payload` is JSON."""

    seq: int
    at: datetime
    kind: str
    payload: dict[str, Any]


def stamp(at: datetime) -> str:
    """ISO 8601 UTC with microseconds: text that sorts like the time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return stamp(value)
    return value.isoformat() if isinstance(value, date) else value


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _terms(row: sqlite3.Row) -> Terms:
    return Terms(
        order_type=OrdType(row["order_type"]),
        time_in_force=TimeInForce(row["time_in_force"]),
        limit_price=_amount(row["limit_price"]),
        stop_price=_amount(row["stop_price"]),
        trail_offset=_amount(row["trail_offset"]),
        limit_offset=_amount(row["limit_offset"]),
        post_only=bool(row["post_only"]),
        reduce_only=bool(row["reduce_only"]),
    )


def _order(row: sqlite3.Row) -> StoredOrder:
    return StoredOrder(
        order_id=row["order_id"],
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        qty=Decimal(row["qty"]),
        terms=_terms(row),
        status=row["status"],
        submitted_at=datetime.fromisoformat(row["submitted_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        trail_percent=_amount(row["trail_percent"]),
        filled_qty=Decimal(row["filled_qty"]),
        filled_value=Decimal(row["filled_value"]),
        is_triggered=bool(row["is_triggered"]),
        high_water=_amount(row["high_water"]),
        active_limit=_amount(row["active_limit"]),
        queue_ahead=_amount(row["queue_ahead"]),
        text=row["text"],
        seq=row["seq"],
    )


def _order_row(order: StoredOrder) -> dict[str, Any]:
    row = {field.name: getattr(order, field.name) for field in fields(order) if field.name not in ("seq", "terms")}
    return row | {field.name: getattr(order.terms, field.name) for field in fields(order.terms)}


def _execution(row: sqlite3.Row) -> StoredExecution:
    return StoredExecution(
        exec_id=row["exec_id"],
        order_id=row["order_id"],
        session=date.fromisoformat(row["session"]),
        qty=Decimal(row["qty"]),
        price=Decimal(row["price"]),
        commission=Decimal(row["commission"]),
        cum_qty=Decimal(row["cum_qty"]),
        at=datetime.fromisoformat(row["at"]),
        seq=row["seq"],
    )


class Ledger:
    """The book. One process at a time; every write happens inside `transaction()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            self._db.row_factory = sqlite3.Row
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.execute("pragma foreign_keys = on")
            self._db.executescript(SCHEMA.read_text())
        except (OSError, sqlite3.Error) as error:
            raise BrokerError(
                f"the paper exchange's ledger {path} cannot be used: {error}",
                "Make the folder writable, or move a damaged file away",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on disk at the end."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def get(self, key: str) -> str | None:
        """A named value: the clock, the cash balance, the ledger's identity."""
        row = self._db.execute("select value from meta where key = ?", (key,)).fetchone()
        return None if row is None else str(row["value"])

    def put(self, key: str, value: str) -> None:
        """Store a named value."""
        self._db.execute("insert or replace into meta (key, value) values (?, ?)", (key, value))

    def clear(self) -> None:
        """Forget everything."""
        for table in ("executions", "orders", "positions", "events", "meta"):
            self._db.execute(f"delete from {table}")  # noqa: S608 - the names are the literals above

    def add_order(self, order: StoredOrder) -> None:
        """Store a new order; its ids must be new."""
        self._insert("orders", _order_row(order))

    def add_execution(self, execution: StoredExecution) -> None:
        """Store an execution of a stored order."""
        self._insert("executions", {f.name: getattr(execution, f.name) for f in fields(execution) if f.name != "seq"})

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        marks = ", ".join("?" for _ in row)
        sql = f"insert into {table} ({', '.join(row)}) values ({marks})"  # noqa: S608 - names come from dataclasses
        self._db.execute(sql, [_text(value) for value in row.values()])

    def update_order(self, order: StoredOrder) -> None:
        """Store what changes in an order: status, fills, triggers, time."""
        changes = {name: getattr(order, name) for name in CHANGING}
        marks = ", ".join(f"{name} = ?" for name in changes)
        sql = f"update orders set {marks} where order_id = ?"  # noqa: S608 - the names are the literals of CHANGING
        self._db.execute(sql, [*map(_text, changes.values()), order.order_id])

    def order(self, order_id: str) -> StoredOrder | None:
        """The order by the exchange's id."""
        return self._first_order("order_id = ?", order_id)

    def order_by_client_id(self, client_order_id: str) -> StoredOrder | None:
        """The order by the client's id."""
        return self._first_order("client_order_id = ?", client_order_id)

    def _first_order(self, where: str, value: str) -> StoredOrder | None:
        row = self._db.execute(f"select * from orders where {where}", (value,)).fetchone()  # noqa: S608 - literals above
        return None if row is None else _order(row)

    def open_orders(self) -> tuple[StoredOrder, ...]:
        """Orders that may still trade, in time priority."""
        rows = self._db.execute("select * from orders where status in ('new', 'partially_filled') order by seq")
        return tuple(map(_order, rows))

    def has_orders(self) -> bool:
        """Whether an order was ever taken."""
        return self._db.execute("select 1 from orders limit 1").fetchone() is not None

    def orders(self) -> tuple[StoredOrder, ...]:
        """All orders, oldest first."""
        return tuple(map(_order, self._db.execute("select * from orders order by seq")))

    def executions(self) -> tuple[StoredExecution, ...]:
        """All executions, oldest first."""
        return tuple(map(_execution, self._db.execute("select * from executions order by seq")))

    def shares_traded(self, symbol: str, session: date) -> Decimal:
        """Shares executed in `symbol` in one session."""
        rows = self._db.execute(
            "select e.qty from executions e join orders o using (order_id) where e.session = ? and o.symbol = ?",
            (session.isoformat(), symbol),
        )
        return sum((Decimal(row["qty"]) for row in rows), ZERO)

    def positions(self) -> tuple[Position, ...]:
        """Positions that are not zero, by symbol."""
        rows = self._db.execute("select * from positions order by symbol")
        return tuple(Position(r["symbol"], Decimal(r["qty"]), Decimal(r["avg_cost"])) for r in rows)

    def put_position(self, position: Position) -> None:
        """Store a position; a flat one is removed."""
        if position.qty == 0:
            self._db.execute("delete from positions where symbol = ?", (position.symbol,))
            return
        self._db.execute(
            "insert or replace into positions (symbol, qty, avg_cost) values (?, ?, ?)",
            (position.symbol, _text(position.qty), _text(position.avg_cost)),
        )

    def log(self, at: datetime, kind: str, payload: dict[str, Any]) -> None:
        """Append a line to the log."""
        self._db.execute(
            "insert into events (at, kind, payload) values (?, ?, ?)", (stamp(at), kind, json.dumps(payload))
        )

    def events(self, kinds: Iterable[str] = ()) -> tuple[Event, ...]:
        """The log, oldest first; only `kinds`, where some are named."""
        wanted = set(kinds)
        rows = self._db.execute("select * from events order by seq")
        return tuple(
            Event(r["seq"], datetime.fromisoformat(r["at"]), r["kind"], json.loads(r["payload"]))
            for r in rows
            if not wanted or r["kind"] in wanted
        )
