"""Interactive Brokers behind the broker port, through TWS or IB Gateway.

Nothing here sends an order twice. An order is absent when TWS's open orders, the day's completed orders and the day's
executions, all read on a synchronised connection, lack it, and nothing was ever heard of it. TWS lists one day
(executions: up to a week, if it is set so); an order sent earlier, of which it shows no trace, is unclear.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bifrost_core.settings import Settings
from execution_daemon.brokers import ib_wire as wire
from execution_daemon.brokers.ib_fills import Fills
from execution_daemon.brokers.ib_link import TwsError
from execution_daemon.brokers.ib_market import Market
from execution_daemon.brokers.ib_orders import FOREIGN_ID, Known, KnownOrders
from execution_daemon.brokers.ib_session import Endpoint, Session, WrongAccount
from execution_daemon.brokers.port import (
    Adjustment,
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerRefused,
    BrokerUnclear,
    Connected,
    ExecKind,
    ExecutionReport,
    LastTrade,
    NotListed,
    Side,
    StreamEvent,
    Tradability,
    turns,
)

RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
HEARTBEAT_SECONDS = 5.0
COMMISSION_SECONDS = 2.0
QUOTE_SECONDS = 3.0
ANSWER_SHARE = 0.8  # of the daemon's own patience: the adapter gives up first, and says why
LISTED = timedelta(hours=18)  # TWS lists what happened since midnight: absence proves nothing of what was sent before
CANCEL_ALL_SECONDS = 0.2
NEVER_SENT = "not_sent"
log = logging.getLogger("bifrost.brokers.ib")


class InteractiveBrokersBroker:
    """A client of one account. Make it on the event loop that uses it, and `close()` it. Connects when first used."""

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_seconds: float = 5.0,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        commission_seconds: float = COMMISSION_SECONDS,
        quote_seconds: float = QUOTE_SECONDS,
    ) -> None:
        self.endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._quote_seconds = quote_seconds
        self._orders = KnownOrders()
        self._fills = Fills(commission_seconds)
        self._connecting = asyncio.Lock()
        self._now: tuple[Session, Market] | None = None
        self._cancels_again_at = 0.0

    @classmethod
    def of(cls, settings: Settings, is_overseer: bool = False) -> InteractiveBrokersBroker:
        """The TWS of the settings. TWS lets each client id in once, so that an overseer has its own: the next."""
        client_id = settings.ib_client_id + is_overseer
        endpoint = Endpoint(settings.ib_host, settings.ib_port, client_id, settings.ib_account, is_overseer)
        return cls(endpoint, settings.send_timeout_seconds * ANSWER_SHARE)

    @property
    def name(self) -> str:
        """`interactive_brokers`."""
        return "interactive_brokers"

    async def close(self) -> None:
        """End the connection."""
        if self._now is not None:
            await self._now[0].close()

    async def _connected(self) -> tuple[Session, Market]:
        """The session, or a new one if it has ended. Raises BrokerUnclear."""
        async with self._connecting:
            if self._now is None or self._now[0].link.closed.is_set():
                session = Session(self.endpoint, self._orders, self._fills, self._timeout_seconds)
                await session.open(self._heartbeat_seconds)
                self._now = (session, Market(session.link, self._quote_seconds))
            return self._now

    # -- sending ------------------------------------------------------------------------------------------------------

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """placeOrder, once, after what can be known beforehand."""
        if reason := wire.objection(order):
            raise _refused(order, datetime.now(UTC), NEVER_SENT, reason)
        session, market = await self._connected()
        contract = await self._contract(order, session, market)
        if order.client_order_id in self._orders.by_name and (state := await self.find(order.client_order_id)):
            return wire.report_of(state)
        if order.terms.reduce_only:
            await self._require_reduction(order, session)
        session.link.require_synchronized()
        return await self._send(order, contract, session)

    async def _contract(self, order: BrokerOrder, session: Session, market: Market) -> Any:
        details = await market.details(order.symbol)
        if details is None:
            raise _refused(order, session.now(), "200", f"TWS knows no stock {order.symbol}")
        if reason := wire.reading("contract", lambda: wire.unsupported(order, details)):
            raise _refused(order, session.now(), NEVER_SENT, reason)
        return details.contract

    async def _require_reduction(self, order: BrokerOrder, session: Session) -> None:
        """TWS has no such flag: the order is held against the position; what else works is the daemon's to count."""
        if reason := turns(order, await self.positions()):
            raise _refused(order, session.now(), NEVER_SENT, reason)

    async def _send(self, order: BrokerOrder, contract: Any, session: Session) -> ExecutionReport:
        request, order_id = wire.order_request(order, session.account), session.link.next_id()
        key = ("order", order_id)
        answer = session.link.expect(key)
        known = self._orders.sending(order, order_id, request.tif, session.now())
        try:
            session.link.place(order_id, contract, request)
            async with asyncio.timeout(self._timeout_seconds):
                await answer.done
        except (TimeoutError, OSError) as error:
            if not known.is_seen:
                session.link.drop(f"order {order.client_order_id} was not answered")
                raise BrokerUnclear(f"TWS did not answer for {order.client_order_id} {known.text}".strip()) from error
        finally:
            session.link.settle(key)
        return await self._answer(order, known, session)

    async def _answer(self, order: BrokerOrder, known: Known, session: Session) -> ExecutionReport:
        """What TWS's answer says. A refusal is believed if the open orders do not show the order at work."""
        if known.refusal is None:
            ended = ExecKind.PENDING_NEW if known.end is None else wire.kind_of(known.end)
            return known.report(ExecKind.NEW if known.is_new_told else ended, known.updated_at)
        if await session.is_working(order.client_order_id):
            known.end, known.refusal = None, None
            raise BrokerUnclear(f"TWS refused {order.client_order_id} and shows it at work: {known.text}")
        code, text = known.refusal
        raise _refused(order, known.updated_at, str(code), text)

    async def cancel(self, client_order_id: str) -> None:
        """cancelOrder, once; looked up first unless the order is known to be open. An overseer cancels everything."""
        session, _ = await self._connected()
        if self.endpoint.is_overseer:
            self._cancel_everything(session)
            return
        known = self._orders.by_name.get(client_order_id)
        if known is None or known.end is not None or known.order_id == FOREIGN_ID:
            await self._require_open(client_order_id, session)
            known = self._orders.by_name[client_order_id]
        await self._cancel(known, session)

    def _cancel_everything(self, session: Session) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._cancels_again_at:  # one request is for all the orders that it is called for
            session.link.cancel_everything()
            self._cancels_again_at = now + CANCEL_ALL_SECONDS

    async def _require_open(self, name: str, session: Session) -> None:
        state = await self.find(name)
        if state is None:
            unknown = ExecutionReport(ExecKind.REJECTED, name, "", "", Side.BUY, session.now(), text="order not found")
            raise BrokerRefused(unknown, "135")
        known = self._orders.by_name.get(name)
        if not state.status.is_open or known is None or known.order_id == FOREIGN_ID:
            why = f"it is {state.status}" if not state.status.is_open else "another client sent it: cancel it in TWS"
            raise _refused(state, session.now(), "not_cancelable", why)

    async def _cancel(self, known: Known, session: Session) -> None:
        key = ("cancel", known.order_id)
        answer = session.link.expect(key)
        known.is_cancel_asked = True
        try:
            session.link.cancel(known.order_id)
            async with asyncio.timeout(self._timeout_seconds):
                await answer.done
        except TwsError as error:
            raise BrokerRefused(known.report(ExecKind.REJECTED, session.now(), error.text), str(error.code)) from error
        except (TimeoutError, OSError) as error:
            session.link.drop(f"the cancel of {known.name} was not answered")
            raise BrokerUnclear(f"TWS did not answer the cancel of {known.name}") from error
        finally:
            session.link.settle(key)

    # -- the ledger ---------------------------------------------------------------------------------------------------

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """The order in TWS's three lists; None only if none has it and nothing was ever heard of it."""
        session, _ = await self._connected()
        ledger = await session.ledger()
        state = wire.reading("orders", lambda: ledger.state(client_order_id))
        known = self._orders.by_name.get(client_order_id)
        if state is not None or known is None or known.refusal is not None:
            return state
        if known.is_seen or known.at < session.now() - LISTED:
            raise NotListed(
                f"TWS does not list {client_order_id}, which it may have had since {known.at.isoformat()}",
                "Look for it in TWS's Trade Log and in the account's statements",
            )
        return None

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """Every open order, of every client, by hand too."""
        return tuple(state for state in await self._states() if state.status.is_open)

    async def lists_from(self) -> datetime | None:
        """Midnight: TWS and IB Gateway list what has happened since, in a time zone that they do not name."""
        session, _ = await self._connected()
        return wire.last_midnight(session.now())

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """Every order that TWS lists, from `since` on; open ones that this process did not send always."""
        return tuple(state for state in await self._states() if since is None or state.submitted_at >= since)

    async def _states(self) -> tuple[BrokerOrderState, ...]:
        session, _ = await self._connected()
        ledger = await session.ledger()
        return wire.reading("orders", ledger.states)

    def recall(self, commissions: Mapping[str, Decimal]) -> None:
        """Of the fills whose commission came late, before this process was started, that it did."""
        self._fills.recall(commissions)

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """The executions that reqExecutions returns, from `since` on."""
        session, _ = await self._connected()
        return tuple(fill for fill in await session.executions() if since is None or fill.at >= since)

    async def adjustments(self, since: datetime | None = None) -> tuple[Adjustment, ...]:  # noqa: ARG002
        """None: TWS's API lists no dividends, splits or fees. They show as a difference in cash or positions."""
        await self._connected()
        return ()

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """reqPositions. TWS's average cost includes commissions."""
        session, _ = await self._connected()
        session.link.require_synchronized()
        rows = await session.link.positions()
        found = [row[1:] for row in rows if row[0] == session.account and row[2]]
        return wire.reading("positions", lambda: tuple(_position(*row) for row in found))

    async def account(self) -> BrokerAccount:
        """reqAccountSummary. Raises BrokerUnclear for an account that is not kept in USD."""
        session, _ = await self._connected()
        session.link.require_synchronized()
        try:
            rows = await session.link.account_summary()
        except TwsError as error:
            raise BrokerUnclear(f"TWS does not say the account's balances: {error}") from error
        ours = {tag: (value, currency) for account, tag, value, currency in rows if account == session.account}
        return wire.reading("account", lambda: _account(ours))

    async def market_time(self) -> datetime:
        """reqCurrentTime."""
        session, _ = await self._connected()
        return await session.market_time()

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """Market data snapshots; no request for no symbols."""
        names = tuple(symbols)
        return await (await self._connected())[1].last_trades(names) if names else {}

    async def tradability(self, symbols: Iterable[str]) -> Mapping[str, Tradability]:
        """Contract details, and market data for as long as it takes to hear of halts and of shares to borrow."""
        names = tuple(symbols)
        return await (await self._connected())[1].tradability(names) if names else {}

    # -- the stream ---------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[StreamEvent]:
        """What happens, for ever. Only a wrong account ends it (BrokerUnclear)."""
        failures = connections = 0
        while True:
            try:
                session, _ = await self._connected()
            except WrongAccount:
                raise
            except BrokerUnclear as error:
                log.warning("%s", error)
                await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
                failures += 1
                continue
            failures, connections = 0, connections + 1
            inbox = session.listen()
            try:
                yield Connected(connections)
                while (report := await inbox.get()) is not None:
                    yield report
            finally:
                session.leave(inbox)


def _refused(order: BrokerOrder | BrokerOrderState, at: datetime, code: str, text: str) -> BrokerRefused:
    report = ExecutionReport(
        kind=ExecKind.REJECTED,
        client_order_id=order.client_order_id,
        broker_order_id=getattr(order, "broker_order_id", ""),
        symbol=order.symbol,
        side=order.side,
        at=at,
        text=text or f"refused with code {code}",
    )
    return BrokerRefused(report, code)


def _position(contract: Any, qty: Decimal, cost: Decimal) -> BrokerPosition:
    return BrokerPosition(wire.symbol_of(contract), wire.number(qty), wire.number(cost))


def _account(values: Mapping[str, tuple[str, str]]) -> BrokerAccount:
    def amount(tag: str) -> Decimal:
        value, currency = values[tag]
        if currency != "USD":
            raise ValueError(f"{tag} is in {currency}, not in USD")
        return wire.number(value)

    return BrokerAccount(amount("TotalCashValue"), amount("NetLiquidation"), amount("BuyingPower"))
