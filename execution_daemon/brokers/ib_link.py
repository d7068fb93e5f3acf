"""One connection to TWS or IB Gateway: requests with their answers, and nothing half-read.

ib_async's client frames and writes messages. A message that cannot be read ends the connection, and so does a request
that is not answered in time: no late answer is taken for another's, and nothing that still waits to be written is ever
sent. TWS lets a client id in again only when it is done with the connection that had it: what is read on the next
connection is read after everything that the last one was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from ib_async import Client, ExecutionFilter

from execution_daemon.brokers import ib_codes as codes
from execution_daemon.brokers.ib_decoder import TIMEZONE, StrictDecoder
from execution_daemon.brokers.ib_wire import Status
from execution_daemon.brokers.port import BrokerUnclear

LIVE = -1  # the request id of executions that were not asked for
SUMMARY = "TotalCashValue,NetLiquidation,BuyingPower"
log = logging.getLogger("bifrost.brokers.ib")
logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # what it has to say is raised or logged here

Rows = list[Any]


class Listener(Protocol):
    """Hears what TWS says unasked. A ValueError that it raises counts as a message that cannot be read."""

    def on_order(self, order: Any, status: str) -> None: ...
    def on_status(self, order_id: int, client_id: int, perm_id: int, status: Status) -> None: ...
    def on_execution(self, contract: Any, fill: Any) -> None: ...
    def on_commission(self, exec_id: str) -> None: ...
    def on_error(self, order_id: int, code: int, text: str) -> None: ...
    def on_end(self) -> None: ...


class TwsError(Exception):
    """TWS answered a request with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


@dataclass(slots=True)
class Ask:
    """A question to TWS and the rows of its answer so far."""

    done: asyncio.Future[Rows]
    enough: Callable[[Rows], bool] | None = None
    rows: Rows = field(default_factory=list)

    def add(self, row: Any) -> None:
        self.rows.append(row)
        if self.enough and self.enough(self.rows):
            self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.rows)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Link:
    """A connection. After `closed` is set it is never used again."""

    defaultTimezone = UTC  # the decoder gives executions in it
    ib = TIMEZONE

    def __init__(self, listener: Listener, timeout_seconds: float) -> None:
        self.closed = asyncio.Event()
        self.is_upstream_lost = False
        self.commissions: dict[str, Decimal] = {}
        self.timeout_seconds = timeout_seconds
        self._listener = listener
        self._asked: dict[Hashable, Ask] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._statuses: dict[int, Status] = {}
        self._end_reason, self._end_remedy = "the connection was closed", "Look the order up by its id"
        self._client = Client(self)
        self._client.decoder = StrictDecoder(self, 0)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def connect(self, host: str, port: int, client_id: int) -> None:
        """Connect and wait until TWS takes requests. Raises BrokerUnclear."""
        connecting = asyncio.ensure_future(self._client.connectAsync(host, port, client_id, self.timeout_seconds))
        ending = asyncio.ensure_future(self.closed.wait())
        try:
            await asyncio.wait({connecting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if self.closed.is_set():
                raise OSError(self._end_reason)
            await connecting
        except (OSError, TimeoutError) as error:
            self._end()
            raise self._not_let_in(f"{host}:{port}", client_id, error) from error
        finally:
            for task in (connecting, ending):
                task.cancel()
            await asyncio.gather(connecting, ending, return_exceptions=True)

    def _not_let_in(self, where: str, client_id: int, error: Exception) -> BrokerUnclear:
        if isinstance(error, ConnectionRefusedError):
            return BrokerUnclear(
                f"no TWS or IB Gateway listens at {where}",
                "Start it, enable its API (Global Configuration, API, Settings), set BIFROST_IB_PORT to its port",
            )
        return BrokerUnclear(
            f"TWS at {where} does not let client {client_id} in: {type(error).__name__} {error}".strip(),
            f"Close the other client with id {client_id} or set BIFROST_IB_CLIENT_ID; look for a dialog that TWS shows",
        )

    def drop(self, reason: str, remedy: str = "Look the order up by its id before anything else") -> None:
        """End the connection; everything that waits is unclear."""
        if not self.closed.is_set():
            log.warning("connection to TWS dropped: %s", reason)
            self._end_reason, self._end_remedy = reason, remedy
            if transport := self._client.conn.transport:
                transport.abort()  # closing would first write what still waits
            self._client.disconnect()
            self._end()

    def _end(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            for asked in tuple(self._asked.values()):
                asked.fail(self._gone())
            self._listener.on_end()

    def _gone(self) -> BrokerUnclear:
        return BrokerUnclear(f"TWS: {self._end_reason}", self._end_remedy)

    def require_open(self) -> None:
        """Raises BrokerUnclear if the connection has ended."""
        if self.closed.is_set():
            raise self._gone()

    def require_synchronized(self) -> None:
        """Raises BrokerUnclear unless TWS is connected to IBKR: its lists are stale or empty otherwise."""
        self.require_open()
        if self.is_upstream_lost:
            raise BrokerUnclear("TWS has lost its connection to IBKR", "Wait until TWS says that it is back")

    @property
    def accounts(self) -> list[str]:
        return list(self._client.getAccounts())

    # -- questions ----------------------------------------------------------------------------------------------------

    def expect(self, key: Hashable, enough: Callable[[Rows], bool] | None = None) -> Ask:
        """A place for an answer, which `settle` clears."""
        self.require_open()
        asked = self._asked[key] = Ask(asyncio.get_running_loop().create_future(), enough)
        return asked

    def settle(self, key: Hashable) -> None:
        """Nobody waits for the answer any more."""
        if (asked := self._asked.pop(key, None)) and not asked.done.cancel() and not asked.done.cancelled():
            asked.done.exception()  # seen, so that asyncio does not complain about it

    def asked(self, key: Hashable) -> Ask | None:
        """Who waits for this answer."""
        return self._asked.get(key)

    async def ask(self, send: Callable[[int], None]) -> Rows:
        """The rows that answer a request with an id. Raises TwsError, BrokerUnclear."""
        self.require_open()
        number = self.next_id()
        return await self._answer(number, lambda: send(number))

    async def rows(self, name: str, send: Callable[[], None]) -> Rows:
        """The rows of a list whose messages carry no request id: one at a time, so that they cannot mix."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            return await self._answer(name, send)

    async def _answer(self, key: Hashable, send: Callable[[], None]) -> Rows:
        asked = self.expect(key)
        try:
            send()
            async with asyncio.timeout(self.timeout_seconds):
                return await asked.done
        except (TimeoutError, OSError) as error:
            raise BrokerUnclear(f"TWS did not answer request {key} in time") from error
        finally:
            if not asked.done.done() or asked.done.cancelled():
                self.drop(f"request {key} was not answered in time")
            self.settle(key)

    async def collect(self, send: Callable[[int], None], enough: Callable[[Rows], bool], seconds: float) -> Rows:
        """The rows that come until there are `enough`, TWS ends them, or time is up. Raises TwsError, BrokerUnclear."""
        self.require_open()
        number = self.next_id()
        asked = self.expect(number, enough)
        try:
            send(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asked.done
            return asked.rows
        finally:
            self.settle(number)

    def next_id(self) -> int:
        """A number that no request or order of this client has had."""
        return int(self._client.getReqId())

    def use_ids_above(self, order_id: int) -> None:
        """TWS wants ids of new orders above all that it has named."""
        self._client.updateReqId(order_id + 1)

    # -- requests -----------------------------------------------------------------------------------------------------

    async def current_time(self) -> datetime:
        """TWS's clock, UTC, whole seconds."""
        rows = await self.rows("time", self._client.reqCurrentTime)
        return datetime.fromtimestamp(rows[0], UTC)

    async def bind_orders(self) -> None:
        """Hear of the orders that earlier connections of this client sent."""
        await self.rows("open", self._client.reqOpenOrders)

    async def open_orders(self) -> Rows:
        """(contract, order, Status) of every open order of every client."""
        rows = await self.rows("open", self._client.reqAllOpenOrders)
        return [(c, o, self._statuses.get(o.permId) or Status(s.status, Decimal(0), Decimal(0))) for c, o, s in rows]

    async def completed_orders(self) -> Rows:
        """(contract, order, order state) of the day's ended orders, of every client and of TWS itself."""
        return await self.rows("completed", lambda: self._client.reqCompletedOrders(False))

    async def executions(self, account: str) -> Rows:
        """(contract, execution) of the day's executions, of every client."""
        return await self.ask(lambda number: self._client.reqExecutions(number, ExecutionFilter(acctCode=account)))

    async def positions(self) -> Rows:
        """(account, contract, quantity, average cost)."""
        rows = await self.rows("positions", self._client.reqPositions)
        self._client.cancelPositions()
        return rows

    async def account_summary(self) -> Rows:
        """(account, tag, value, currency)."""
        number = self.next_id()
        rows = await self._answer(number, lambda: self._client.reqAccountSummary(number, "All", SUMMARY))
        self._client.cancelAccountSummary(number)  # TWS allows two at a time
        return rows

    async def contract_details(self, contract: Any) -> Rows:
        """Every contract that matches."""
        return await self.ask(lambda number: self._client.reqContractDetails(number, contract))

    async def snapshot(self, contract: Any, enough: Callable[[Rows], bool], seconds: float) -> Rows:
        """(tick type, value) of a market data snapshot."""
        send = self._client.reqMktData
        return await self.collect(lambda number: send(number, contract, "", True, False, []), enough, seconds)

    async def ticks(self, contract: Any, generic: str, enough: Callable[[Rows], bool], seconds: float) -> Rows:
        """(tick type, value) of market data that is subscribed to until there is enough of it."""
        begun: list[int] = []

        def send(number: int) -> None:
            begun.append(number)
            self._client.reqMktData(number, contract, generic, False, False, [])

        try:
            return await self.collect(send, enough, seconds)
        finally:
            for number in begun if not self.closed.is_set() else ():
                self._client.cancelMktData(number)

    def place(self, order_id: int, contract: Any, order: Any) -> None:
        """Send an order, once."""
        self._client.placeOrder(order_id, contract, order)

    def cancel(self, order_id: int) -> None:
        """Ask to cancel an order of this client's."""
        self._client.cancelOrder(order_id)

    def cancel_everything(self) -> None:
        """Ask to cancel the orders of all clients, of all accounts of the login, by hand too."""
        self._client.reqGlobalCancel()

    # -- what the decoder calls ---------------------------------------------------------------------------------------

    def garbled(self, fields: list[str], error: Exception) -> None:
        self.drop(f"message {fields[:1]} cannot be read: {type(error).__name__} {error}")

    def connectAck(self) -> None:
        """The handshake is done."""

    def setEventsDone(self) -> None:
        self._end()

    def connectionClosed(self) -> None:
        self._end()

    def error(self, number: int, code: int, text: str, _json: str = "") -> None:
        if code in codes.UPSTREAM_LOST:
            log.warning("TWS: %s %s", code, text)
            self.is_upstream_lost = True
        elif code in codes.UPSTREAM_RESTORED:
            self.drop("TWS is connected to IBKR again: everything is read anew")
        elif code in {codes.CLIENT_ID_TAKEN, codes.SOCKET_RESET}:
            self.drop(f"{code} {text}")
        elif code in codes.NOTICES:
            log.info("TWS about %s: %s %s", number, code, text)
        elif asked := self._asked.get(number):
            asked.fail(TwsError(code, text))
        else:
            log.info("TWS about %s: %s %s", number, code, text)
            self._listener.on_error(number, code, text)

    def _row(self, key: Hashable, row: Any) -> None:
        if asked := self._asked.get(key):
            asked.add(row)

    def _finish(self, key: Hashable) -> None:
        if asked := self._asked.get(key):
            asked.finish()

    def currentTime(self, seconds: int) -> None:
        self._row("time", seconds)
        self._finish("time")

    def openOrder(self, _number: int, contract: Any, order: Any, state: Any) -> None:
        self._row("open", (contract, order, state))
        self._listener.on_order(order, state.status)

    def orderStatus(
        self,
        order_id: int,
        status: str,
        filled: Decimal,
        _left: Decimal,
        avg_px: Decimal,
        perm_id: int,
        _parent: int,
        _last_px: Decimal,
        client_id: int,
        *_: Any,
    ) -> None:
        self._statuses[perm_id] = Status(status, filled, avg_px)
        self._listener.on_status(order_id, client_id, perm_id, self._statuses[perm_id])

    def openOrderEnd(self) -> None:
        self._finish("open")

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:
        self._row("completed", (contract, order, state))

    def completedOrdersEnd(self) -> None:
        self._finish("completed")

    def execDetails(self, number: int, contract: Any, fill: Any) -> None:
        self._row(number, (contract, fill))
        if number == LIVE:
            self._listener.on_execution(contract, fill)

    def execDetailsEnd(self, number: int) -> None:
        self._finish(number)

    def commissionReport(self, report: Any) -> None:
        self.commissions[report.execId] = report.commission
        self._listener.on_commission(report.execId)

    def position(self, account: str, contract: Any, qty: Decimal, cost: Decimal) -> None:
        self._row("positions", (account, contract, qty, cost))

    def positionEnd(self) -> None:
        self._finish("positions")

    def accountSummary(self, number: int, account: str, tag: str, value: str, currency: str) -> None:
        self._row(number, (account, tag, value, currency))

    def accountSummaryEnd(self, number: int) -> None:
        self._finish(number)

    def contractDetails(self, number: int, details: Any) -> None:
        self._row(number, details)

    def contractDetailsEnd(self, number: int) -> None:
        self._finish(number)

    def tick(self, number: int, kind: int, value: Any) -> None:
        self._row(number, (kind, value))

    tickGeneric = tickSize = tickString = tick

    def tickSnapshotEnd(self, number: int) -> None:
        self._finish(number)
