"""The port to a broker: what the daemon may ask, what it may be told, and which answers prove anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce

__all__ = [
    "Adjustment",
    "AdjustmentKind",
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
    "NotListed",
    "OrdType",
    "Side",
    "StreamEvent",
    "Terms",
    "TimeInForce",
    "Tradability",
    "turns",
]


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
    TRADE_CORRECT = "trade_correct"
    TRADE_CANCEL = "trade_cancel"


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
    """An order to send: `qty` positive shares, under an id of at most 48 characters that is never used again.

    Brokers refuse to sell more than is held long: crossing zero takes two orders, the second after the first is filled.
    A fraction of a share goes only where `Tradability.is_fractionable` says so.
    """

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    terms: Terms


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """One thing that happened to an order, at market time `at`.

    `exec_id` is unique for a trade, the same in `events()` and in `fills()`, and empty for everything else.
    `commission` (USD) belongs to this execution alone. `cum_qty` is the broker's sum including this report.
    `exec_ref_id` (FIX tag 19) names the execution that a TRADE_CANCEL or TRADE_CORRECT is about; a correction's
    `last_qty`, `last_px` and `commission` are what stands instead, under an `exec_id` of its own.
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
    exec_ref_id: str = ""


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
    qty: Decimal
    terms: Terms
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
    """The latest trade known at the broker's market time and when it was made; where known, the best bid and offer.

    `volume` is in shares: what the market has traded in this session so far, None where the broker does not say.
    """

    price: Decimal
    at: datetime
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tradability:
    """What may be done in a symbol now. `available_to_short` is in shares; None where the broker names no number.

    `is_short_restricted`: Rule 201 of Regulation SHO is in force (the price fell by 10 % since the last close).
    """

    symbol: str
    is_tradable: bool
    is_halted: bool
    is_shortable: bool
    is_fractionable: bool
    is_short_restricted: bool = False
    available_to_short: Decimal | None = None


class AdjustmentKind(StrEnum):
    """What changes holdings without a trade."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    FEE = "fee"
    INTEREST = "interest"
    TRANSFER = "transfer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One entry of the broker's ledger that is no trade; `adjustment_id` is unique at the broker.

    `qty_change` is in shares, signed (a two-for-one split of 100 gives 100); `cash_change` in USD, signed. `symbol` is
    empty where the entry is about cash alone.
    """

    adjustment_id: str
    kind: AdjustmentKind
    at: datetime
    symbol: str = ""
    qty_change: Decimal = ZERO
    cash_change: Decimal = ZERO
    text: str = ""


def turns(order: BrokerOrder, positions: Iterable[BrokerPosition]) -> str:
    """Why an order that may only reduce would do more than that; empty if it only reduces."""
    held = sum((p.qty for p in positions if p.symbol == order.symbol), ZERO)
    reducible = max(-held * order.side.sign, ZERO)
    return "" if order.qty <= reducible else f"reduce-only: at most {reducible:f} shares would reduce the position"


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


class NotListed(BrokerUnclear):
    """The broker answered: it has had the order and lists it no more, so nobody can say what became of it."""


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

    async def lists_from(self) -> datetime | None:
        """What ended and what was executed before that moment may be missing from `orders` and `fills`; None: nothing.

        What is open and what is held is listed whatever its age.
        """
        ...

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """Every order submitted at or after `since` (all if None), oldest first."""
        ...

    def recall(self, commissions: Mapping[str, Decimal]) -> None:
        """What stands in the book by execution id, said once at the start: fills are told as they were told then."""
        ...

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """Every execution at or after `since` (all if None), oldest first, each of kind TRADE.

        What was taken back follows as a report of its own: TRADE_CANCEL and TRADE_CORRECT with their `exec_ref_id`.
        """
        ...

    async def adjustments(self, since: datetime | None = None) -> tuple[Adjustment, ...]:
        """Every entry at or after `since` (all if None) that changed holdings without a trade, oldest first."""
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

    async def tradability(self, symbols: Iterable[str]) -> Mapping[str, Tradability]:
        """What may be done now in each symbol that the broker knows."""
        ...

    def events(self) -> AsyncIterator[StreamEvent]:
        """Reports as they happen, for ever: reconnects by itself and yields `Connected` each time it has."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
