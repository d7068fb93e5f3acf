"""A TWS on the loopback interface: enough of its socket protocol for the real ib_async client, and faults.

Order of messages, codes and texts follow IBKR's documentation and logs of real sessions in public issue threads.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tests.execution_daemon.brokers import tws_wire as wire
from tests.execution_daemon.brokers.tws_book import Book
from tests.execution_daemon.brokers.tws_wire import Executed, Fields, Placed

ACCOUNT, CON_ID = "DU1234567", 272093
PLACE, CANCEL, OPEN_ORDERS, EXECUTIONS, DETAILS, ALL_OPEN, TIME = 3, 4, 5, 7, 9, 16, 49
MARKET_DATA, GLOBAL_CANCEL, POSITIONS, SUMMARY, START, COMPLETED = 1, 58, 61, 62, 71, 99
REJECTED, CANCELED = 201, 202


@dataclass
class Client:
    """One connection."""

    writer: asyncio.StreamWriter
    client_id: int = -1

    def send(self, *messages: Fields) -> None:
        if not self.writer.is_closing():
            self.writer.write(b"".join(wire.frame(message) for message in messages))


@dataclass
class Faults:
    """What goes wrong. `lost` and `cut` hold message types; each strikes once and is gone."""

    lost: set[int] = field(default_factory=set)  # never processed
    unanswered: set[int] = field(default_factory=set)  # processed, not answered
    cut_before: set[int] = field(default_factory=set)  # the connection ends, the message is not processed
    cut_after: set[int] = field(default_factory=set)  # processed, not answered, and the connection ends
    garbled: set[int] = field(default_factory=set)  # answered with something that cannot be read
    refusal: tuple[int, str] | None = None  # the next order is answered with this message only
    works_what_it_refuses: bool = False
    cancel_refusal: tuple[int, str] | None = None  # the next cancel is answered with this message only
    is_silent: bool = False  # takes everything in, says nothing
    holds_commissions: bool = False
    repeats_executions: bool = False

    def strikes(self, kind: set[int], message: int) -> bool:
        struck = message in kind
        kind.discard(message)
        return struck


class TwsServer:
    """Start with `start`, stop with `stop`; drive the market through `book`."""

    def __init__(self, symbol: str, price: Decimal, cash: Decimal, at: datetime, cap: Decimal) -> None:
        self.book = Book(symbol, price, cash, at, cap, self._tell, self._told)
        self.faults = Faults()
        self.accounts = [ACCOUNT]
        self.currency = "USD"
        self.steps = {symbol: "1"}
        self.halted, self.shortable, self.close = "0", "3.0", price
        self.no_quotes: tuple[int, str] | None = None
        self.placed: list[str] = []  # the reference of every placeOrder that was processed, in order
        self.described: list[str] = []  # the symbol of every reqContractDetails
        self.port = 0
        self._clients: list[Client] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[Executed] = []
        self._is_mute = False
        self._server: asyncio.Server | None = None
        self._handlers: dict[int, Callable[[Client, list[str]], None]] = {
            PLACE: self._place,
            CANCEL: self._cancel,
            GLOBAL_CANCEL: self._cancel_everything,
            OPEN_ORDERS: self._open_orders,
            ALL_OPEN: self._open_orders,
            COMPLETED: self._completed,
            EXECUTIONS: self._executions,
            DETAILS: self._details,
            TIME: self._time,
            POSITIONS: self._positions,
            SUMMARY: self._summary,
            MARKET_DATA: self._market_data,
        }

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """TWS is gone, and so are its connections; the book stays."""
        if self._server is not None:
            self._server.close()
        self.disconnect()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def disconnect(self) -> None:
        """Cut every connection."""
        for client in self._clients:
            client.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._greet(reader, client)
            while True:
                self._hear(client, await _message(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()
        finally:
            self._clients = [one for one in self._clients if one is not client]
            self._tasks.discard(task)

    async def _greet(self, reader: asyncio.StreamReader, client: Client) -> None:
        assert await reader.readexactly(4) == b"API\0"
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        assert (await reader.readexactly(size)).startswith(b"v157..")
        client.send([wire.SERVER_VERSION, "20130220 09:00:00 EST"])
        start = await _message(reader)
        assert start[0] == str(START)
        await self._let_in(client, int(start[2]))

    async def _let_in(self, client: Client, client_id: int) -> None:
        if any(one.client_id == client_id for one in self._clients):
            client.send(wire.error(-1, 326, "Unable to connect as the client id is already in use."))
            await client.writer.drain()
            client.writer.close()
            raise ConnectionError
        client.client_id = client_id
        self._clients.append(client)
        first = max((order.order_id for order in self.book.orders), default=0) + 1
        client.send([15, 1, ",".join(self.accounts)], [9, 1, first], wire.error(-1, 2104, "Market data farm is OK"))

    def say(self, code: int, text: str = "") -> None:
        """A message to everybody, about no request."""
        for client in self._clients:
            client.send(wire.error(-1, code, text))

    # -- requests -----------------------------------------------------------------------------------------------------

    def _hear(self, client: Client, fields: list[str]) -> None:
        kind, faults = int(fields[0]), self.faults
        if faults.is_silent or faults.strikes(faults.lost, kind):
            return
        if faults.strikes(faults.cut_before, kind):
            raise ConnectionError
        if faults.strikes(faults.garbled, kind):
            client.send([5, "x"])
            return
        is_cut = faults.strikes(faults.cut_after, kind)
        self._is_mute = is_cut or faults.strikes(faults.unanswered, kind)
        if handler := self._handlers.get(kind):
            handler(client, fields)
        self._is_mute = False
        if is_cut:
            raise ConnectionError

    def _answer(self, client: Client, *messages: Fields) -> None:
        if not self._is_mute:
            client.send(*messages)

    def _place(self, client: Client, fields: list[str]) -> None:
        if self.faults.refusal is not None:
            (code, text), self.faults.refusal = self.faults.refusal, None
            if self.faults.works_what_it_refuses:
                self._is_mute = True
                self.book.take(wire.placed(fields, client.client_id, 1000))
                self._is_mute = False
            self._answer(client, wire.error(int(fields[1]), code, text))
            return
        order = wire.placed(fields, client.client_id, 1000 + len(self.placed))
        self.placed.append(order.ref)
        self._answer(client, wire.open_order(order), wire.order_status(order))
        if reason := self.book.objection(order):
            self._answer(client, wire.error(order.order_id, REJECTED, reason))
            order.status = "Inactive"
            self._answer(client, wire.open_order(order), wire.order_status(order))
        else:
            self.book.take(order)

    def _cancel(self, client: Client, fields: list[str]) -> None:
        order_id = int(fields[2])
        if self.faults.cancel_refusal is not None:
            (code, text), self.faults.cancel_refusal = self.faults.cancel_refusal, None
            self._answer(client, wire.error(order_id, code, text))
            return
        theirs = (o for o in self.book.orders if (o.order_id, o.client_id) == (order_id, client.client_id))
        order = next(theirs, None)
        if order is None:
            self._answer(client, wire.error(order_id, 10147, "OrderId that needs to be cancelled is not found."))
        elif not order.is_open:
            text = f"OrderId that needs to be cancelled can not be cancelled, state: {order.status}."
            self._answer(client, wire.error(order_id, 10148, text))
        else:
            order.status = "PendingCancel"
            self._answer(client, wire.order_status(order))
            self.book.cancel(order)
            self._answer(client, wire.error(order_id, CANCELED, "Order Canceled - reason:"))

    def _cancel_everything(self, _client: Client, _fields: list[str]) -> None:
        for order in [one for one in self.book.orders if one.is_open]:
            self.book.cancel(order)

    def _open_orders(self, client: Client, fields: list[str]) -> None:
        is_all = int(fields[0]) == ALL_OPEN
        for order in self.book.orders:
            if order.is_open and (is_all or order.client_id == client.client_id):
                self._answer(client, wire.open_order(order), wire.order_status(order))
        self._answer(client, [53, 1])

    def _completed(self, client: Client, _fields: list[str]) -> None:
        self._answer(client, *(wire.completed_order(o) for o in self.book.orders if not o.is_open), [102])

    def _executions(self, client: Client, fields: list[str]) -> None:
        number = int(fields[2])
        done = self.book.executions
        self._answer(client, *(wire.execution(number, one) for one in done), [55, 1, number])
        self._answer(client, *(wire.commission(one) for one in done if one not in self._held and one.qty))

    def _details(self, client: Client, fields: list[str]) -> None:
        number, symbol = int(fields[2]), fields[4]
        self.described.append(symbol)
        if symbol not in self.steps:
            text = "No security definition has been found for the request"
            self._answer(client, wire.error(number, 200, text))
        else:
            details = wire.contract_details(number, symbol, CON_ID, self.steps[symbol])
            self._answer(client, details, [52, 1, number])

    def _time(self, client: Client, _fields: list[str]) -> None:
        self._answer(client, [49, 1, int(self.book.now.timestamp())])

    def _positions(self, client: Client, _fields: list[str]) -> None:
        held = self.book.held
        row = wire.position(ACCOUNT, held.symbol, CON_ID, held.qty, held.avg_cost)
        self._answer(client, row, [62, 1])  # TWS lists a position that was closed today, as zero

    def _summary(self, client: Client, fields: list[str]) -> None:
        number, book = int(fields[2]), self.book
        values = {"TotalCashValue": book.cash, "NetLiquidation": book.equity, "BuyingPower": book.buying_power}
        rows = [wire.summary(number, ACCOUNT, tag, value, self.currency) for tag, value in values.items()]
        self._answer(client, *rows, [64, 1, number])

    def _market_data(self, client: Client, fields: list[str]) -> None:
        number, is_snapshot = int(fields[2]), fields[17] == "1"
        if self.no_quotes is not None:
            self._answer(client, wire.error(number, *self.no_quotes))
        else:
            self._answer(client, *self._ticks(number, with_generic=bool(fields[16])))
        if is_snapshot:
            self._answer(client, [57, 1, number])

    def _ticks(self, number: int, with_generic: bool) -> list[Fields]:
        book = self.book
        ticks = [wire.price_tick(number, 9, self.close), wire.generic_tick(number, 49, self.halted)]
        if book.printed_at is None:
            ticks += [wire.price_tick(number, kind, Decimal(-1)) for kind in (1, 2, 4, 7)]
        else:
            cent = Decimal("0.01")
            prices = {1: book.price - cent, 2: book.price + cent, 4: book.price, 7: book.low or book.price}
            ticks += [wire.price_tick(number, kind, price) for kind, price in prices.items()]
            ticks += [wire.text_tick(number, 45, str(int(book.printed_at.timestamp())))]
            ticks += [wire.size_tick(number, 8, Decimal(1_000_000))]
        if with_generic:
            ticks += [wire.generic_tick(number, 46, self.shortable), wire.size_tick(number, 89, Decimal(500_000))]
        return ticks

    # -- what happens -------------------------------------------------------------------------------------------------

    def _to_owner(self, order: Placed, *messages: Fields) -> None:
        for client in self._clients:
            if client.client_id == order.client_id and not self._is_mute and not self.faults.is_silent:
                client.send(*messages)

    def _tell(self, order: Placed) -> None:
        """TWS says what became of an order, often twice."""
        status = wire.order_status(order)
        self._to_owner(order, wire.open_order(order), status, status)

    def _told(self, done: Executed) -> None:
        times = 2 if self.faults.repeats_executions else 1
        self._to_owner(done.order, *[wire.execution(-1, done)] * times)
        if self.faults.holds_commissions:
            self._held.append(done)
        elif done.qty:
            self._to_owner(done.order, wire.commission(done))

    def release_commissions(self) -> None:
        """The commissions that were held come."""
        self.faults.holds_commissions = False
        for done in self._held:
            self._to_owner(done.order, wire.commission(done))
        self._held = []


async def _message(reader: asyncio.StreamReader) -> list[str]:
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    return (await reader.readexactly(size)).decode().split("\0")[:-1]
