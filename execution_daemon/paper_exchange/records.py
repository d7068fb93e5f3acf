"""The rows of the exchange's ledger, and how they are written as text and read back exactly."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.tape import Quote
from execution_daemon.paper_exchange.working import NOT_YET, Live

OPEN_STATUSES = ("new", "partially_filled")


class ExecutionKind(StrEnum):
    """What an execution row says: a trade, the end of one (bust), or what stands instead of one (correct)."""

    TRADE = "trade"
    BUST = "bust"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the exchange has it; `seq` is its time priority, `filled_value` the sum of quantity times price.

    `text` says why it ended where that is not plain.
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
    live: Live = field(default=NOT_YET)
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
    """One execution; `cum_qty` is its order's sum including it. `ref_exec_id`: the one that it busts or corrects.

    `is_live`: it counts; a trade or a correction does until it is busted or corrected itself, a bust never.
    """

    exec_id: str
    order_id: str
    symbol: str
    side: Side
    session: date
    qty: Decimal
    price: Decimal
    commission: Decimal
    cum_qty: Decimal
    at: datetime
    kind: ExecutionKind = ExecutionKind.TRADE
    ref_exec_id: str | None = None
    is_live: bool = True
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of the account's history, in Alpaca's words: FILL has an `exec_id`, all others speak for themselves.

    `net_amount` in USD and `qty` in shares are signed; `avg_cost` is the position's after a SPLIT.
    """

    activity_id: str
    activity_type: str
    at: datetime
    symbol: str = ""
    net_amount: Decimal = ZERO
    qty: Decimal | None = None
    per_share_amount: Decimal | None = None
    description: str = ""
    exec_id: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class CashMovement:
    """One change of the balance: why (`kind` and `ref`, the id of the execution or activity), and what it came to."""

    at: datetime
    kind: str
    ref: str
    amount: Decimal
    balance: Decimal
    seq: int = 0


@dataclass(frozen=True, slots=True)
class AssetState:
    """What an administrator said of a symbol. None where nothing was said."""

    symbol: str
    is_halted: bool = False
    is_shortable: bool | None = None
    is_easy_to_borrow: bool | None = None
    is_fractionable: bool | None = None
    is_short_restricted: bool | None = None
    available_to_short: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log: at market time `at`, written at `recorded_at` (this machine's clock)."""

    seq: int
    at: datetime
    recorded_at: datetime
    kind: str
    payload: dict[str, Any]


def stamp(at: datetime) -> str:
    """ISO 8601 UTC with microseconds: text that sorts like the time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def text_of(value: Any) -> Any:
    """A value as the ledger keeps it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)
    return value.value if isinstance(value, StrEnum) else value


def columns(row: Any) -> dict[str, Any]:
    """The columns of a dataclass's row, nested ones beside the others; the database makes `seq`."""
    flat: dict[str, Any] = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if isinstance(value, Terms | Live):
            flat |= columns(value)
        elif one.name != "seq":
            flat[one.name] = text_of(value)
    return flat


def order_of(row: Mapping[str, Any]) -> StoredOrder:
    """A row of orders."""
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
        live=_live(row),
        text=row["text"],
        seq=row["seq"],
    )


def _terms(row: Mapping[str, Any]) -> Terms:
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


def _live(row: Mapping[str, Any]) -> Live:
    return Live(
        is_triggered=bool(row["is_triggered"]),
        high_water=_amount(row["high_water"]),
        active_limit=_amount(row["active_limit"]),
        queue_ahead=_amount(row["queue_ahead"]),
    )


def execution_of(row: Mapping[str, Any]) -> StoredExecution:
    """A row of executions."""
    return StoredExecution(
        exec_id=row["exec_id"],
        order_id=row["order_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        session=date.fromisoformat(row["session"]),
        qty=Decimal(row["qty"]),
        price=Decimal(row["price"]),
        commission=Decimal(row["commission"]),
        cum_qty=Decimal(row["cum_qty"]),
        at=datetime.fromisoformat(row["at"]),
        kind=ExecutionKind(row["kind"]),
        ref_exec_id=row["ref_exec_id"],
        is_live=bool(row["is_live"]),
        seq=row["seq"],
    )


def activity_of(row: Mapping[str, Any]) -> Activity:
    """A row of activities."""
    return Activity(
        activity_id=row["activity_id"],
        activity_type=row["activity_type"],
        at=datetime.fromisoformat(row["at"]),
        symbol=row["symbol"],
        net_amount=Decimal(row["net_amount"]),
        qty=_amount(row["qty"]),
        per_share_amount=_amount(row["per_share_amount"]),
        description=row["description"],
        exec_id=row["exec_id"],
        seq=row["seq"],
    )


def movement_of(row: Mapping[str, Any]) -> CashMovement:
    """A row of cash_movements."""
    return CashMovement(
        at=datetime.fromisoformat(row["at"]),
        kind=row["kind"],
        ref=row["ref"],
        amount=Decimal(row["amount"]),
        balance=Decimal(row["balance"]),
        seq=row["seq"],
    )


def asset_of(row: Mapping[str, Any]) -> AssetState:
    """A row of assets."""
    return AssetState(
        symbol=row["symbol"],
        is_halted=bool(row["is_halted"]),
        is_shortable=_flag(row["is_shortable"]),
        is_easy_to_borrow=_flag(row["is_easy_to_borrow"]),
        is_fractionable=_flag(row["is_fractionable"]),
        is_short_restricted=_flag(row["is_short_restricted"]),
        available_to_short=_amount(row["available_to_short"]),
    )


def quote_of(row: Mapping[str, Any]) -> Quote:
    """A row of quotes."""
    bid, bid_size, ask, ask_size = (Decimal(row[name]) for name in ("bid", "bid_size", "ask", "ask_size"))
    last, last_size = _amount(row["last"]), _amount(row["last_size"])
    return Quote(datetime.fromisoformat(row["at"]), bid, bid_size, ask, ask_size, last, last_size)


def event_of(row: sqlite3.Row) -> Event:
    """A row of events."""
    at, recorded_at = (datetime.fromisoformat(row[name]) for name in ("at", "recorded_at"))
    return Event(row["seq"], at, recorded_at, row["kind"], json.loads(row["payload"]))


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)
