"""A broker in memory, for simulations: seeded and deterministic, with faults where real ones have them.

The broker's own ledger is always right: faults only change what its client hears, and when. Single-threaded; no clock
runs, no global randomness is used, and nothing waits unless `slow_seconds` or `timeout_seconds` says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NoReturn, TypeVar

from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel
from execution_daemon.brokers.port import (
    Adjustment,
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerRefused,
    BrokerUnclear,
    Connected,
    ExecutionReport,
    LastTrade,
    StreamEvent,
    Tradability,
)
from execution_daemon.brokers.simulated_exchange import EPOCH, Clock, SimulatedExchange
from execution_daemon.brokers.simulated_faults import Fault, Faults
from execution_daemon.brokers.simulated_ledger import Ledger

__all__ = ["EPOCH", "Fault", "SimulatedBroker"]

INBOX_REPORTS = 100_000
LATE_BY_REQUESTS = 20

Told = TypeVar("Told")


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

    def release(self) -> None:
        """Deliver what was held back."""
        if self.held is not None:
            self.inbox.put_nowait(self.held)
            self.held = None


@dataclass(slots=True)
class _Late:
    """A request that its client has given up; it arrives after `requests` more of them."""

    requests: int
    arrive: Callable[[], object]


class SimulatedBroker(SimulatedExchange):
    """The `Broker` port over memory.

    - `prices`: each symbol's first price; other symbols are unknown. `cash`: the balance, USD.
    - `seed`, `rates`: how often each `Fault` strikes (0 to 1), drawn from the seed. `plan` lets one strike next.
    - `at`: market time, which stands until `now` is set; or `clock`, which is asked instead.
    - `costs`: commissions. `volume_cap`: shares of ours a symbol in one print; None is no cap.
    - `is_continuous`: orders that come while the market is open trade at once where they accept the price; otherwise
      they wait for the next `trade` (IOC and FOK never wait).
    - `takes_fractions`: whether symbols trade in fractions of a share (see also `set_tradability`).
    - `slow_seconds`: the most that a SLOW_ANSWER takes, each way; a request that its client gives up on the way still
      arrives later. `timeout_seconds`: how long the client waits for an answer that does not come. Both are waited for
      with `asyncio.sleep`, so a loop with virtual time drives them.

    The market is driven with `open_market`, `trade`, `execute`, `close_market`, `set_price`, `set_quote`,
    `set_tradability`, `bust`, `correct`, `split`, `pay_dividend`, `book_cash` and `disconnect`; `ledger` is the truth
    and `accepted` every id taken, in order.
    """

    def __init__(
        self,
        prices: Mapping[str, Decimal],
        cash: Decimal,
        seed: int = 0,
        rates: Mapping[Fault, float] | None = None,
        at: datetime = EPOCH,
        costs: CostModel = DEFAULT_COSTS,
        volume_cap: Decimal | None = None,
        *,
        clock: Clock | None = None,
        is_continuous: bool = False,
        takes_fractions: bool = False,
        slow_seconds: float = 0.0,
        timeout_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            Ledger(cash, dict(prices), costs),
            Faults(seed, rates or {}),
            clock or (lambda: at),
            volume_cap,
            is_continuous,
            takes_fractions,
        )
        self._slow_seconds = slow_seconds
        self._timeout_seconds = timeout_seconds
        self._listeners: list[_Listener] = []
        self._late: list[_Late] = []

    @property
    def name(self) -> str:
        """`simulated`."""
        return "simulated"

    # -- driving the faults -------------------------------------------------------------------------------------------

    def plan(self, fault: Fault, times: int = 1) -> None:
        """Let `fault` strike at its next `times` occasions."""
        self.faults.plan(fault, times)

    def heal(self) -> None:
        """No more faults; reports held back are delivered, and late requests arrive."""
        self.faults.heal()
        self.deliver_late()
        for listener in self._listeners:
            listener.release()

    def deliver_late(self) -> None:
        """Let every late request arrive now."""
        while self._late:
            self._late.pop(0).arrive()

    def disconnect(self) -> None:
        """Cut every event stream; each is connected again at once, and has lost what it had not read."""
        for listener in self._listeners:
            listener.connect()

    def publish(self, report: ExecutionReport) -> None:
        """Put a report into every stream, faults included."""
        for listener in self._listeners:
            self._tell(listener, report)

    def _tell(self, listener: _Listener, report: ExecutionReport) -> None:
        if self.faults.strikes(Fault.DISCONNECT):
            listener.connect()
            return
        if self.faults.strikes(Fault.LOST_REPORT):
            return
        if listener.held is None and self.faults.strikes(Fault.REORDERED_REPORT):
            listener.held = report
            return
        listener.inbox.put_nowait(report)
        if self.faults.strikes(Fault.DUPLICATE_REPORT):
            listener.inbox.put_nowait(report)
        listener.release()

    # -- the port -----------------------------------------------------------------------------------------------------

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """Take the order, unless a fault strikes."""
        return await self._request(lambda: self.take(order), order.client_order_id)

    async def cancel(self, client_order_id: str) -> None:
        """Cancel an open order, unless a fault strikes."""
        await self._request(lambda: self.end(client_order_id), client_order_id)

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """The order; absence is never stale, because it is proof."""
        found = await self._ask(lambda ledger: ledger.orders.get(client_order_id))
        return found or self.ledger.orders.get(client_order_id)

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """Orders that may still trade."""
        return await self._ask(Ledger.open_orders)

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """All orders from `since` on."""
        return await self._ask(
            lambda ledger: tuple(o for o in ledger.orders.values() if since is None or o.submitted_at >= since)
        )

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """All executions from `since` on, and what was taken back."""
        return await self._ask(lambda ledger: tuple(f for f in ledger.fills if since is None or f.at >= since))

    async def lists_from(self) -> datetime | None:
        """None: the ledger forgets nothing."""
        return None

    def recall(self, commissions: Mapping[str, Decimal]) -> None:
        """Every fill is told the same way whenever it is."""

    async def adjustments(self, since: datetime | None = None) -> tuple[Adjustment, ...]:
        """All entries that are no trades, from `since` on."""
        return await self._ask(lambda ledger: tuple(a for a in ledger.adjustments if since is None or a.at >= since))

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """Positions that are not zero."""
        return await self._ask(Ledger.positions)

    async def account(self) -> BrokerAccount:
        """Balances at the market's prices."""
        return await self._ask(Ledger.account)

    async def market_time(self) -> datetime:
        """The simulated time."""
        return await self._ask(lambda _: self.now)

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """The market's prices."""
        return await self._ask(lambda _: self.trades_of(symbols))

    async def tradability(self, symbols: Iterable[str]) -> Mapping[str, Tradability]:
        """What may be done in each known symbol."""
        return await self._ask(lambda _: {s: self.tradability_of(s) for s in symbols if s in self.prices})

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

    # -- requests under faults ----------------------------------------------------------------------------------------

    async def _request(self, act: Callable[[], Told], about: str) -> Told:
        """Carry a request that changes something, and its answer."""
        self._arrivals()
        if self.faults.strikes(Fault.LOST_REQUEST):
            await self._no_answer(about)
        if self.faults.strikes(Fault.LATE_REQUEST):
            self._send_late(act)
            await self._no_answer(about)
        is_slow = self.faults.strikes(Fault.SLOW_ANSWER)
        try:
            await self._delay(is_slow)
        except asyncio.CancelledError:
            self._send_late(act)  # its client gave up, but it is on its way
            raise
        told = act()
        await self._delay(is_slow)
        if self.faults.strikes(Fault.LOST_ANSWER):
            await self._no_answer(about)
        return told

    async def _ask(self, read: Callable[[Ledger], Told]) -> Told:
        """Carry a question and its answer."""
        self._arrivals()
        await self._delay(self.faults.strikes(Fault.SLOW_ANSWER))
        if self.faults.strikes(Fault.REFUSED_READ):
            await self._no_answer("a question")
        is_stale = self.before is not None and self.faults.strikes(Fault.STALE_READ)
        return read(self.before if self.before is not None and is_stale else self.ledger)

    async def _no_answer(self, about: str) -> NoReturn:
        if self._timeout_seconds:
            await asyncio.sleep(self._timeout_seconds)
        raise BrokerUnclear(f"no answer for {about}")

    async def _delay(self, is_slow: bool) -> None:
        if is_slow and self._slow_seconds:
            await asyncio.sleep(self.faults.random.uniform(0.0, self._slow_seconds))

    def _send_late(self, act: Callable[[], object]) -> None:
        def arrive() -> None:
            try:
                act()
            except BrokerRefused:
                return  # nobody is there to hear it

        self._late.append(_Late(self.faults.random.randint(0, LATE_BY_REQUESTS), arrive))

    def _arrivals(self) -> None:
        """Another request arrives: late ones that were to come before it do."""
        for late in self._late:
            late.requests -= 1
        due = [late for late in self._late if late.requests < 0]
        self._late = [late for late in self._late if late.requests >= 0]
        for late in due:
            late.arrive()
