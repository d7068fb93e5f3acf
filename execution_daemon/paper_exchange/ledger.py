"""The exchange's durable book: one SQLite file. What a transaction wrote is on disk when it ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import Side
from execution_daemon.paper_exchange import records
from execution_daemon.paper_exchange.account import Position
from execution_daemon.paper_exchange.records import (
    Activity,
    AssetState,
    CashMovement,
    Event,
    StoredExecution,
    StoredOrder,
    columns,
    stamp,
    text_of,
)
from execution_daemon.paper_exchange.tape import Quote

SCHEMA = Path(__file__).with_name("ledger.sql")
SCHEMA_VERSION = 1
TABLES = ("activities", "cash_movements", "executions", "orders", "positions", "assets", "quotes", "events", "meta")
FIXED = ("order_id", "client_order_id", "symbol", "side", "qty", "submitted_at")
UPSERT = "insert or replace"
IS_OPEN = "status in ('new', 'partially_filled')"
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows in one direction: those after the row `cursor` (its seq; 0: from the beginning), after `since`.

    `newer_than` is a row that all of them are younger than, in either direction; `is_trade` asks for FILL activities
    only, or for none (None: both).
    """

    size: int
    is_ascending: bool = False
    cursor: int = 0
    since: datetime | None = None
    newer_than: int = 0
    is_trade: bool | None = None

    def bounds(self, time_column: str) -> tuple[list[str], list[Any]]:
        """Conditions and their parameters."""
        conditions: list[str] = []
        parameters: list[Any] = []
        if self.cursor:
            conditions.append(f"seq {'>' if self.is_ascending else '<'} ?")
            parameters.append(self.cursor)
        if self.newer_than:
            conditions.append("seq > ?")
            parameters.append(self.newer_than)
        if self.since is not None:
            conditions.append(f"{time_column} > ?")
            parameters.append(stamp(self.since))
        return conditions, parameters


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
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise BrokerError(
                f"the paper exchange's ledger {path} cannot be used: {error}",
                "Make the folder writable, or move a damaged file away",
            ) from error

    def _open(self) -> None:
        version = self._db.execute("pragma user_version").fetchone()[0]
        is_new = self._db.execute("select 1 from sqlite_master limit 1").fetchone() is None
        if not is_new and version != SCHEMA_VERSION:
            raise BrokerError(
                f"the paper exchange's ledger {self.path} is of version {version}, not {SCHEMA_VERSION}",
                "Move the file away: the account begins anew",
            )
        self._db.executescript(SCHEMA.read_text())
        self._db.execute(f"pragma user_version = {SCHEMA_VERSION}")

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

    def _rows(self, make: Callable[[Any], Row], sql: str, parameters: Sequence[Any] = ()) -> tuple[Row, ...]:
        return tuple(map(make, self._db.execute(sql, parameters)))

    def _first(self, make: Callable[[Any], Row], sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        row = self._db.execute(sql, parameters).fetchone()
        return None if row is None else make(row)

    def _insert(self, table: str, row: Mapping[str, Any], verb: str = "insert") -> None:
        marks = ", ".join("?" for _ in row)
        sql = f"{verb} into {table} ({', '.join(row)}) values ({marks})"
        self._db.execute(sql, [*row.values()])

    # -- named values -------------------------------------------------------------------------------------------------

    def get(self, key: str) -> str | None:
        """A named value: the clock, the cash balance, the ledger's identity."""
        row = self._db.execute("select value from meta where key = ?", (key,)).fetchone()
        return None if row is None else str(row["value"])

    def put(self, key: str, value: str) -> None:
        """Store a named value."""
        self._insert("meta", {"key": key, "value": value}, UPSERT)

    def clear(self) -> None:
        """Forget everything."""
        for table in TABLES:
            self._db.execute(f"delete from {table}")  # noqa: S608 - the names are the literals above

    # -- orders -------------------------------------------------------------------------------------------------------

    def add_order(self, order: StoredOrder) -> StoredOrder:
        """Store a new order, whose ids must be new; returns it with its place in time."""
        row = columns(order)
        marks = ", ".join("?" for _ in row)
        sql = f"insert into orders ({', '.join(row)}) values ({marks}) returning *"  # noqa: S608 - our own names
        return records.order_of(self._db.execute(sql, [*row.values()]).fetchone())

    def update_order(self, order: StoredOrder) -> None:
        """Store what changes in an order: status, fills, triggers, time."""
        changes = {name: value for name, value in columns(order).items() if name not in FIXED}
        marks = ", ".join(f"{name} = ?" for name in changes)
        sql = f"update orders set {marks} where order_id = ?"  # noqa: S608 - our own names
        self._db.execute(sql, [*changes.values(), order.order_id])

    def order(self, order_id: str) -> StoredOrder | None:
        """The order by the exchange's id."""
        return self._first(records.order_of, "select * from orders where order_id = ?", [order_id])

    def order_by_client_id(self, client_order_id: str) -> StoredOrder | None:
        """The order by the client's id."""
        return self._first(records.order_of, "select * from orders where client_order_id = ?", [client_order_id])

    def open_orders(self) -> tuple[StoredOrder, ...]:
        """Orders that may still trade, in time priority."""
        return self._rows(records.order_of, f"select * from orders where {IS_OPEN} order by seq")  # noqa: S608

    def has_orders(self) -> bool:
        """Whether an order was ever taken."""
        return self._db.execute("select 1 from orders limit 1").fetchone() is not None

    def orders(self) -> tuple[StoredOrder, ...]:
        """All orders, oldest first."""
        return self._rows(records.order_of, "select * from orders order by seq")

    def page_of_orders(self, page: Page, status: str) -> tuple[StoredOrder, ...]:
        """Orders that are open, closed or either (`all`)."""
        conditions, parameters = page.bounds("submitted_at")
        conditions += {"open": [IS_OPEN], "closed": [f"not {IS_OPEN}"], "all": []}[status]
        return self._rows(records.order_of, _page("orders", conditions, page), [*parameters, page.size])

    # -- executions ---------------------------------------------------------------------------------------------------

    def add_execution(self, execution: StoredExecution) -> None:
        """Store an execution of a stored order."""
        self._insert("executions", columns(execution))

    def end_execution(self, exec_id: str) -> None:
        """Say that an execution counts no more."""
        self._db.execute("update executions set is_live = 0 where exec_id = ?", [exec_id])

    def execution(self, exec_id: str) -> StoredExecution | None:
        """The execution by its id."""
        return self._first(records.execution_of, "select * from executions where exec_id = ?", [exec_id])

    def executions(self) -> tuple[StoredExecution, ...]:
        """All executions, busts and corrections, oldest first."""
        return self._rows(records.execution_of, "select * from executions order by seq")

    def executions_of(self, order_id: str) -> tuple[StoredExecution, ...]:
        """Those of one order, oldest first."""
        return self._rows(records.execution_of, "select * from executions where order_id = ? order by seq", [order_id])

    def shares_traded(
        self, symbol: str, session: date, side: Side | None = None, since: datetime | None = None
    ) -> Decimal:
        """Shares that trades took of `symbol` in one session, on one side or both, at `since` or later."""
        rows = self._db.execute(
            "select qty from executions where symbol = ? and session = ? and kind = 'trade'"
            " and side = coalesce(?, side) and at >= coalesce(?, at)",
            [symbol, text_of(session), text_of(side), text_of(since)],
        )
        return sum((Decimal(row["qty"]) for row in rows), ZERO)

    # -- positions, activities, cash ----------------------------------------------------------------------------------

    def positions(self) -> tuple[Position, ...]:
        """Positions that are not zero, by symbol."""
        rows = self._db.execute("select * from positions order by symbol")
        return tuple(Position(r["symbol"], Decimal(r["qty"]), Decimal(r["avg_cost"])) for r in rows)

    def put_position(self, position: Position) -> None:
        """Store a position; a flat one is removed."""
        if position.qty == 0:
            self._db.execute("delete from positions where symbol = ?", (position.symbol,))
            return
        self._insert("positions", columns(position), UPSERT)

    def add_activity(self, activity: Activity) -> None:
        """Append to the account's history."""
        self._insert("activities", columns(activity))

    def activities(self) -> tuple[Activity, ...]:
        """The account's history, oldest first."""
        return self._rows(records.activity_of, "select * from activities order by seq")

    def activity_seq(self, activity_id: str) -> int | None:
        """Where an activity stands in the history."""
        return self._first(
            lambda row: int(row["seq"]), "select seq from activities where activity_id = ?", [activity_id]
        )

    def page_of_activities(self, page: Page, types: Sequence[str] = ()) -> tuple[Activity, ...]:
        """The history, of some types or of all."""
        conditions, parameters = page.bounds("at")
        if page.is_trade is not None:
            conditions.append(f"exec_id is {'not ' if page.is_trade else ''}null")
        if types:
            conditions.append(f"activity_type in ({', '.join('?' for _ in types)})")
        return self._rows(records.activity_of, _page("activities", conditions, page), [*parameters, *types, page.size])

    def add_cash(self, movement: CashMovement) -> None:
        """Append to the history of the balance."""
        self._insert("cash_movements", columns(movement))

    def cash_movements(self) -> tuple[CashMovement, ...]:
        """The history of the balance, oldest first."""
        return self._rows(records.movement_of, "select * from cash_movements order by seq")

    # -- what administrators said -------------------------------------------------------------------------------------

    def put_asset(self, asset: AssetState) -> None:
        """Store what is said of a symbol."""
        self._insert("assets", columns(asset), UPSERT)

    def assets(self) -> tuple[AssetState, ...]:
        """Every symbol something was said of."""
        return self._rows(records.asset_of, "select * from assets order by symbol")

    def put_quotes(self, symbol: str, quotes: Iterable[Quote]) -> None:
        """Store quotes of a recorded book; one of the same time is replaced."""
        for quote in quotes:
            self._insert("quotes", {"symbol": symbol} | columns(quote), UPSERT)

    def quotes(self) -> Iterator[tuple[str, Quote]]:
        """Every recorded quote with its symbol, by symbol and time."""
        for row in self._db.execute("select * from quotes order by symbol, at"):
            yield row["symbol"], records.quote_of(row)

    # -- the log ------------------------------------------------------------------------------------------------------

    def log(self, at: datetime, kind: str, payload: Mapping[str, Any]) -> None:
        """Append a line to the log."""
        self._db.execute(
            "insert into events (at, recorded_at, kind, payload) values (?, ?, ?, ?)",
            (stamp(at), stamp(datetime.now(UTC)), kind, json.dumps(payload)),
        )

    def events(self) -> tuple[Event, ...]:
        """The log, oldest first."""
        return self._rows(records.event_of, "select * from events order by seq")


def _page(table: str, conditions: Sequence[str], page: Page) -> str:
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"select * from {table}{where} order by seq {'asc' if page.is_ascending else 'desc'} limit ?"  # noqa: S608
