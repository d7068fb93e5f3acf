"""One connection to TWS or IB Gateway: requests with their answers, and nothing half-read.

ib_async's client frames and writes messages; its decoder is made strict: a message that cannot be read ends the
connection (the library would log and skip it, and a list would seem complete), and numbers become Decimals of their text.
A request that is not answered in time ends the connection too, so that no late answer is taken for another's and nothing
that still waits in the client's queue is ever sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from ib_async import Client, CommissionReport, ExecutionFilter
from ib_async.decoder import Decoder

from execution_daemon.brokers import ib_codes as codes
from execution_daemon.brokers.ib_wire import Status
from execution_daemon.brokers.port import BrokerUnclear

LIVE = -1  # the request id of executions that were not asked for
READ_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
log = logging.getLogger("bifrost.brokers.ib")


class Listener(Protocol):
    """Hears what TWS says unasked."""

    def on_order(self, contract: Any, order: Any, status: str) -> None: ...
    def on_status(self, perm_id: int, status: Status) -> None: ...
    def on_execution(self, contract: Any, fill: Any) -> None: ...
    def on_commission(self, exec_id: str, commission: Decimal) -> None: ...
    def on_error(self, order_id: int, code: int, text: str) -> None: ...


class TwsError(Exception):
    """TWS answered a request with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


@dataclasses.dataclass(slots=True)
class _Ask:
    done: asyncio.Future[list[Any]]
    rows: list[Any] = dataclasses.field(default_factory=list)

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.rows)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Strict(Decoder):  # type: ignore[misc]  # the library is followed as Any
    """The library's decoder without its silence, and with exact numbers."""

    def interpret(self, fields: list[str]) -> None:
        try:
            self.handlers[int(fields[0])](fields)
        except READ_ERRORS as error:
            self.wrapper.garbled(fields, error)

    def wrap(self, methodName: str, types: list[type], skip: int = 2) -> Callable[[list[str]], None]:  # noqa: N803
        def handler(fields: list[str]) -> None:
            method = getattr(self.wrapper, methodName, None)
            if method:
                method(*(_typed(kind, field) for kind, field in zip(types, fields[skip:], strict=False)))

        return handler

    def parse(self, obj: Any) -> None:
        for field in dataclasses.fields(obj):
            kind, value = type(field.default), getattr(obj, field.name)
            if kind in {int, float, bool}:
                setattr(obj, field.name, _typed(kind, value) if value else field.default)

    def priceSizeTick(self, fields: list[str]) -> None:  # noqa: N802
        self.wrapper.tick(int(fields[2]), int(fields[3]), Decimal(fields[4]))

    def commissionReport(self, fields: list[str]) -> None:  # noqa: N802
        self.wrapper.commissionReport(CommissionReport(fields[2], Decimal(fields[3]), fields[4]))

    def position(self, fields: list[str]) -> None:
        self.wrapper.position(fields[2], fields[4], Decimal(fields[-2]), Decimal(fields[-1]))


def _typed(kind: type, value: Any) -> Any:
    if kind is str:
        return value
    if kind is float:
        return Decimal(value or 0)
    return kind(int(value or 0))


class Link:
    """A connection. After `closed` is set it is never used again."""

    defaultTimezone = UTC  # the decoder gives executions in it

    def __init__(self, listener: Listener, timeout_seconds: float) -> None:
        self.closed = asyncio.Event()
        self.is_upstream_lost = False
        self.commissions: dict[str, Decimal] = {}
        self._listener = listener
        self._timeout_seconds = timeout_seconds
        self._asked: dict[int | str, _Ask] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._statuses: dict[int, Status] = {}
        self._reason = "the connection was closed"
        self.client = Client(self)
        self.client.decoder = _Strict(self, 0)

    async def connect(self, host: str, port: int, client_id: int) -> None:
        """Connect and wait until TWS takes requests. Raises BrokerUnclear."""
        try:
            await self.client.connectAsync(host, port, client_id, self._timeout_seconds)
        except (OSError, TimeoutError) as error:
            self.closed.set()
            raise BrokerUnclear(
                f"TWS at {host}:{port} does not take client {client_id}: {type(error).__name__} {error}".strip(),
                "Check that TWS or IB Gateway runs with its API enabled, and that no other client has this id",
            ) from error

    def drop(self, reason: str) -> None:
        """End the connection; everything that waits is unclear."""
        if not self.closed.is_set():
            log.warning("connection to TWS dropped: %s", reason)
            self._reason = reason
            self.client.disconnect()
            self._end()

    def _end(self) -> None:
        self.closed.set()
        for asked in list(self._asked.values()):
            asked.fail(BrokerUnclear(f"TWS: {self._reason}"))

    def require_synchronized(self) -> None:
        """Raises BrokerUnclear unless TWS is connected to IBKR: its lists are stale or empty otherwise."""
        if self.closed.is_set() or self.is_upstream_lost:
            raise BrokerUnclear("TWS is not connected to IBKR", "Wait until it is, then look again")

    # -- requests -----------------------------------------------------------------------------------------------------

    async def ask(self, send: Callable[[int], None], seconds: float | None = None) -> list[Any]:
        """The rows that answer a request with an id. Raises TwsError, BrokerUnclear."""
        self._require_open()
        number = self.client.getReqId()
        return await self._answer(number, lambda: send(number), seconds)

    async def list(self, name: str, send: Callable[[], None]) -> list[Any]:
        """The rows of a list whose messages carry no request id: one at a time, so that they cannot mix."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            self._require_open()
            return await self._answer(name, send, None)

    def _require_open(self) -> None:
        if self.closed.is_set():
            raise BrokerUnclear(f"TWS: {self._reason}")

    async def _answer(self, key: int | str, send: Callable[[], None], seconds: float | None) -> list[Any]:
        asked = self._asked[key] = _Ask(asyncio.get_running_loop().create_future())
        try:
            send()
            async with asyncio.timeout(seconds or self._timeout_seconds):
                return await asked.done
        except (TimeoutError, OSError) as error:
            self.drop(f"request {key} was not answered in time")
            raise BrokerUnclear(f"TWS did not answer request {key}") from error
        finally:
            del self._asked[key]

    async def current_time(self) -> datetime:
        """TWS's clock, UTC, whole seconds."""
        rows = await self.list("time", self.client.reqCurrentTime)
        return datetime.fromtimestamp(rows[0], UTC)

    async def open_orders(self) -> list[Any]:
        """(contract, order, status) of every open order of every client."""
        rows = await self.list("open", self.client.reqAllOpenOrders)
        return [(c, o, self._statuses.get(o.permId, Status(st.status, Decimal(0), Decimal(0)))) for c, o, st in rows]

    async def completed_orders(self) -> list[Any]:
        """(contract, order, order state) of the day's ended orders, of every client and of TWS itself."""
        return await self.list("completed", lambda: self.client.reqCompletedOrders(False))

    async def executions(self) -> list[Any]:
        """(contract, execution) of the day's executions, of every client."""
        return await self.ask(lambda number: self.client.reqExecutions(number, ExecutionFilter()))

    async def positions(self) -> list[Any]:
        """(account, symbol, quantity, average cost)."""
        rows = await self.list("positions", self.client.reqPositions)
        self.client.cancelPositions()
        return rows

    # -- what the decoder calls ---------------------------------------------------------------------------------------

    def garbled(self, fields: list[str], error: Exception) -> None:
        self.drop(f"message {fields[:1]} cannot be read: {type(error).__name__} {error}")

    def connectAck(self) -> None:  # noqa: N802
        """The handshake is done."""

    def setEventsDone(self) -> None:  # noqa: N802
        self._end()

    def connectionClosed(self) -> None:  # noqa: N802
        self._end()

    def error(self, number: int, code: int, text: str, _json: str = "") -> None:
        if code in codes.UPSTREAM_LOST:
            self.is_upstream_lost = True
        elif code in {codes.UPSTREAM_RESTORED, codes.UPSTREAM_RESTORED_WITHOUT_DATA}:
            self.drop("TWS is connected to IBKR again: read everything anew")
        elif codes.FIRST_NOTICE <= code <= codes.LAST_NOTICE:
            log.info("TWS: %s %s", code, text)
        elif number in self._asked:
            self._asked[number].fail(TwsError(code, text))
        else:
            log.info("TWS about %s: %s %s", number, code, text)
            self._listener.on_error(number, code, text)

    def _row(self, key: int | str, row: Any) -> None:
        if key in self._asked:
            self._asked[key].rows.append(row)

    def _finish(self, key: int | str) -> None:
        if key in self._asked:
            self._asked[key].finish()

    def currentTime(self, seconds: int) -> None:  # noqa: N802
        self._row("time", seconds)
        self._finish("time")

    def openOrder(self, _number: int, contract: Any, order: Any, state: Any) -> None:  # noqa: N802
        self._row("open", (contract, order, state))
        self._listener.on_order(contract, order, state.status)

    def orderStatus(  # noqa: N802
        self, _number: int, status: str, filled: Decimal, _left: Decimal, avg_px: Decimal, perm_id: int, *_: Any
    ) -> None:
        self._statuses[perm_id] = Status(status, filled, avg_px)
        self._listener.on_status(perm_id, self._statuses[perm_id])

    def openOrderEnd(self) -> None:  # noqa: N802
        self._finish("open")

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:  # noqa: N802
        self._row("completed", (contract, order, state))

    def completedOrdersEnd(self) -> None:  # noqa: N802
        self._finish("completed")

    def execDetails(self, number: int, contract: Any, fill: Any) -> None:  # noqa: N802
        self._row(number, (contract, fill))
        if number == LIVE:
            self._listener.on_execution(contract, fill)

    def execDetailsEnd(self, number: int) -> None:  # noqa: N802
        self._finish(number)

    def commissionReport(self, report: Any) -> None:  # noqa: N802
        self.commissions[report.execId] = report.commission
        self._listener.on_commission(report.execId, report.commission)

    def position(self, account: str, symbol: str, qty: Decimal, cost: Decimal) -> None:
        self._row("positions", (account, symbol, qty, cost))

    def positionEnd(self) -> None:  # noqa: N802
        self._finish("positions")

    def accountSummary(self, number: int, account: str, tag: str, value: str, currency: str) -> None:  # noqa: N802
        self._row(number, (account, tag, value, currency))

    def accountSummaryEnd(self, number: int) -> None:  # noqa: N802
        self._finish(number)

    def contractDetails(self, number: int, details: Any) -> None:  # noqa: N802
        self._row(number, details)

    def contractDetailsEnd(self, number: int) -> None:  # noqa: N802
        self._finish(number)

    def tick(self, number: int, kind: int, value: Any) -> None:
        self._row(number, (kind, value))

    tickGeneric = tickSize = tickString = tick  # noqa: N815

    def tickSnapshotEnd(self, number: int) -> None:  # noqa: N802
        self._finish(number)
