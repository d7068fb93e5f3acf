"""What the brokers' contract needs of a venue, an ear for its stream, and orders that a day executes or does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.costs import CENT, DEFAULT_COSTS
from execution_daemon.brokers.port import (
    Broker,
    BrokerOrder,
    Connected,
    ExecKind,
    ExecutionReport,
    OrdType,
    Side,
    StreamEvent,
    Terms,
    TimeInForce,
)

PATIENCE_SECONDS = 20.0
AT_OPEN = Terms(time_in_force=TimeInForce.OPG)
DAY = Terms()


@dataclass(frozen=True)
class Day:
    """One session of `Venue.symbol`: prices in USD with low < open < high, and low <= close <= high."""

    open_at: datetime
    close_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @property
    def above(self) -> Decimal:
        """A price that is reached after the open, above it."""
        return ((self.open + self.high) / 2).quantize(CENT)

    @property
    def below(self) -> Decimal:
        """A price that is reached after the open, below it."""
        return ((self.open + self.low) / 2).quantize(CENT)

    @property
    def too_high(self) -> Decimal:
        """A price that is never reached."""
        return (self.high + 1).quantize(CENT)

    @property
    def too_low(self) -> Decimal:
        """A price that is never reached."""
        return (self.low - 1).quantize(CENT)


@dataclass
class Venue:
    """A broker with `cash` and no orders, and the market behind it half an hour before `day` opens.

    - `open_market` moves market time to `day.open_at`: the symbol prints `day.open`, at most `cap` shares of it for us.
    - `close_market` moves it on to `day.close_at`: the symbol has been at its high and its low, in any order, and
      closes at `day.close`.
    - `disconnect` cuts the event stream; the adapter makes a new one by itself.
    - `supports` says which terms the venue takes: all others must be refused with proof.
    - `bust` and `correct` take back an execution, or change its price: see `BustConformance`.
    - `adjust` pays a dividend of USD 1.00 a share, then splits two for one: see `AdjustmentConformance`.
    """

    broker: Broker
    symbol: str
    day: Day
    cap: Decimal
    cash: Decimal
    open_market: Callable[[], Awaitable[None]]
    close_market: Callable[[], Awaitable[None]]
    disconnect: Callable[[], Awaitable[None]]
    supports: Callable[[Terms], bool] = lambda terms: True
    takes_fractions: bool = True
    commission: Callable[[Decimal, Decimal], Decimal] = DEFAULT_COSTS.commission
    bust: Callable[[str], Awaitable[None]] | None = None
    correct: Callable[[str, Decimal], Awaitable[None]] | None = None
    adjust: Callable[[], Awaitable[None]] | None = None

    def order(self, name: str, qty: Decimal | int | str = 100, **changes: object) -> BrokerOrder:
        """An order to buy `qty` shares at the open, or as `changes` say."""
        plain = {
            "client_order_id": name,
            "symbol": self.symbol,
            "side": Side.BUY,
            "qty": Decimal(qty),
            "terms": AT_OPEN,
        }
        return BrokerOrder(**(plain | changes))  # type: ignore[arg-type]


class Ear:
    """Listens to a broker's events in the background and keeps them."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[StreamEvent] = []
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._listen(broker))

    async def _listen(self, broker: Broker) -> None:
        async for event in broker.events():
            async with self._changed:
                self.heard.append(event)
                self._changed.notify_all()

    async def until(self, enough: Callable[[list[StreamEvent]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: enough(self.heard))

    async def until_kind(self, *kinds: ExecKind) -> None:
        """Until exactly these kinds were reported, in this order; acknowledgements by the way do not count."""
        await self.until(lambda _: [r.kind for r in self.reports if r.kind not in UNDERWAY] == list(kinds))

    async def until_connected(self, times: int) -> None:
        await self.until(lambda heard: sum(isinstance(e, Connected) for e in heard) >= times)

    @property
    def reports(self) -> list[ExecutionReport]:
        return [event for event in self.heard if isinstance(event, ExecutionReport)]

    @property
    def trades(self) -> list[ExecutionReport]:
        return [report for report in self.reports if report.kind is ExecKind.TRADE]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


UNDERWAY = {ExecKind.PENDING_NEW, ExecKind.PENDING_CANCEL}


def limit(price: Decimal, time_in_force: TimeInForce = TimeInForce.DAY, **flags: bool) -> Terms:
    return Terms(OrdType.LIMIT, time_in_force, limit_price=price, **flags)


def stop(price: Decimal, limit_price: Decimal | None = None) -> Terms:
    kind = OrdType.STOP if limit_price is None else OrdType.STOP_LIMIT
    return Terms(kind, limit_price=limit_price, stop_price=price)


def touched(price: Decimal, limit_price: Decimal | None = None) -> Terms:
    kind = OrdType.MARKET_IF_TOUCHED if limit_price is None else OrdType.LIMIT_IF_TOUCHED
    return Terms(kind, limit_price=limit_price, stop_price=price)


def trailing(offset: Decimal, limit_offset: Decimal | None = None) -> Terms:
    kind = OrdType.TRAILING_STOP if limit_offset is None else OrdType.TRAILING_STOP_LIMIT
    return Terms(kind, trail_offset=offset, limit_offset=limit_offset)


Case = tuple[Side, Callable[[Day], Terms]]
BUY, SELL = Side.BUY, Side.SELL

EXECUTED: dict[str, Case] = {
    "buy at the market": (BUY, lambda day: DAY),
    "sell at the market": (SELL, lambda day: DAY),
    "buy limited to the open": (BUY, lambda day: limit(day.open)),
    "sell limited to the open": (SELL, lambda day: limit(day.open)),
    "buy limited below the open": (BUY, lambda day: limit(day.below)),
    "sell limited above the open": (SELL, lambda day: limit(day.above)),
    "buy stop": (BUY, lambda day: stop(day.above)),
    "sell stop": (SELL, lambda day: stop(day.below)),
    "buy stop limit": (BUY, lambda day: stop(day.above, day.too_high)),
    "sell stop limit": (SELL, lambda day: stop(day.below, day.too_low)),
    "buy trailing stop": (BUY, lambda day: trailing(CENT)),
    "sell trailing stop": (SELL, lambda day: trailing(CENT)),
    "buy trailing stop limit": (BUY, lambda day: trailing(CENT, Decimal(5))),
    "sell trailing stop limit": (SELL, lambda day: trailing(CENT, Decimal(5))),
    "buy market if touched": (BUY, lambda day: touched(day.below)),
    "sell market if touched": (SELL, lambda day: touched(day.above)),
    "buy limit if touched": (BUY, lambda day: touched(day.below, day.too_high)),
    "sell limit if touched": (SELL, lambda day: touched(day.above, day.too_low)),
}
"""Orders for a day that the day executes in full, by name."""

UNEXECUTED: dict[str, Case] = {
    "buy limited too low": (BUY, lambda day: limit(day.too_low)),
    "sell limited too high": (SELL, lambda day: limit(day.too_high)),
    "buy stop never reached": (BUY, lambda day: stop(day.too_high)),
    "sell stop never reached": (SELL, lambda day: stop(day.too_low)),
    "buy stop limit, limit never reached": (BUY, lambda day: stop(day.above, day.too_low)),
    "sell stop limit, limit never reached": (SELL, lambda day: stop(day.below, day.too_high)),
    "buy trailing stop, far": (BUY, lambda day: trailing(day.high - day.low + 1)),
    "sell trailing stop, far": (SELL, lambda day: trailing(day.high - day.low + 1)),
    "sell trailing stop limit, far": (SELL, lambda day: trailing(day.high - day.low + 1, CENT)),
    "buy market if touched, never": (BUY, lambda day: touched(day.too_low)),
    "sell market if touched, never": (SELL, lambda day: touched(day.too_high)),
    "buy limit if touched, limit never reached": (BUY, lambda day: touched(day.below, day.too_low)),
}
"""Orders for a day that the day does not execute."""
