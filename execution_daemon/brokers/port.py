"""The port to a broker: what the daemon may ask, what it may be told, and which answers prove anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import ZERO, Side, TimeInForce

__all__ = [
    "Broker",
    "BrokerAccount",
    "BrokerOrder",
    "BrokerOrderState",
    "BrokerPosition",
    "BrokerRefused",
    "BrokerStatus",
    "BrokerUnclear",
    "Connected",
    "ExecKind",
    "ExecutionReport",
    "LastTrade",
    "OrderType",
    "Side",
    "StreamEvent",
    "TimeInForce",
]


class OrderType(StrEnum):
    """Market, or limit at `limit_price` or better."""

    MARKET = "market"
    LIMIT = "limit"


class ExecKind(StrEnum):
    """What a report says happened, after FIX 4.4 tag 150."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    TRADE = "trade"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    DONE_FOR_DAY = "done_for_day"


class BrokerStatus(StrEnum):
    """The state of an order at the broker, after FIX 4.4 tag 39."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """Whether the order may still trade."""
        return self in _OPEN


_OPEN = {BrokerStatus.PENDING_NEW, BrokerStatus.NEW, BrokerStatus.PARTIALLY_FILLED, BrokerStatus.PENDING_CANCEL}


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order to send: `qty` positive whole shares, under an id of at most 48 characters that is never used again.

    Alpaca refuses to sell more than is held long: crossing zero takes two orders, the second after the first is filled.
    The paper exchange takes both at once.
    """

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """One thing that happened to an order, at market time `at`.

    `exec_id` is unique for a trade, the same in `events()` and in `fills()`, and empty for everything else.
    `commission` (USD) belongs to this execution alone. `cum_qty` is the broker's sum including this report.
    """

    kind: ExecKind
    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    at: datetime
    exec_id: str = ""
    last_qty: Decimal = ZERO
    last_px: Decimal = ZERO
    cum_qty: Decimal = ZERO
    commission: Decimal = ZERO
    text: str = ""


@dataclass(frozen=True, slots=True)
class Connected:
    """The event stream was (re)established: reports before it may be missing, so read `fills()` and `orders()` now."""

    attempt: int


StreamEvent = ExecutionReport | Connected


@dataclass(frozen=True, slots=True)
class BrokerOrderState:
    """An order as the broker has it."""

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    limit_price: Decimal | None
    status: BrokerStatus
    cum_qty: Decimal
    avg_px: Decimal | None
    submitted_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """Shares held, signed, and their average cost in USD."""

    symbol: str
    qty: Decimal
    avg_cost: Decimal


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """Balances in USD. `equity` is cash plus positions at their last trade."""

    cash: Decimal
    equity: Decimal
    buying_power: Decimal


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The latest price known at the broker's market time, and when it was made."""

    price: Decimal
    at: datetime


class BrokerRefused(BrokerError):
    """Proof that the broker did not take the order (or cannot cancel it): the only exception that proves a thing."""

    def __init__(self, report: ExecutionReport, code: str) -> None:
        super().__init__(
            f"the broker refused {report.client_order_id} ({report.symbol}): {code} {report.text}",
            "Nothing was sent to the market; see the reason",
        )
        self.report = report
        self.code = code


class BrokerUnclear(BrokerError):
    """No proof either way: timeout, disconnect, 5xx, rate limit, bad credentials, or an answer that cannot be read."""

    def __init__(self, what: str, remedy: str = "Look the order up by its id before anything else") -> None:
        super().__init__(what, remedy)


class Broker(Protocol):
    """A broker. Every method may raise BrokerUnclear; only `submit` and `cancel` raise BrokerRefused."""

    @property
    def name(self) -> str:
        """Stored with every fill: execution ids are unique within it."""
        ...

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """Send `order` once, never again by itself; returns NEW (or PENDING_NEW) when the broker has it.

        An id the broker already has is not a refusal: the existing order's state is reported.
        """
        ...

    async def cancel(self, client_order_id: str) -> None:
        """Ask to cancel; the outcome comes as a report. BrokerRefused if it cannot be canceled or is not known."""
        ...

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """The order by its id; None only if the broker has proven that it does not have it."""
        ...

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """Every order that may still trade."""
        ...

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """Every order submitted at or after `since` (all if None), oldest first."""
        ...

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """Every execution at or after `since` (all if None), oldest first, each of kind TRADE."""
        ...

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """Every position that is not zero."""
        ...

    async def account(self) -> BrokerAccount:
        """Balances now."""
        ...

    async def market_time(self) -> datetime:
        """The broker's clock, UTC."""
        ...

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """The latest known trade of each symbol that has one."""
        ...

    def events(self) -> AsyncIterator[StreamEvent]:
        """Reports as they happen, for ever: reconnects by itself and yields `Connected` each time it has."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
