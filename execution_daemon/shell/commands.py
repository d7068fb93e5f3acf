"""What a person may have the daemon do: stop, cancel, close, order, amend, and release a batch from quarantine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid5

from bifrost_core.errors import BrokerError
from bifrost_core.provenance import content_hash
from bifrost_core.settings import Settings
from bifrost_core.trading.orders import Order, OrdStatus
from bifrost_core.trading.risk import RiskCode, SessionHours
from bifrost_core.trading.terms import Release
from execution_daemon.brokers.port import BrokerUnclear
from execution_daemon.core.book import Amend, Book, CancelAsked
from execution_daemon.core.contingencies import all_due
from execution_daemon.core.inputs import Market
from execution_daemon.core.intents import Ask, Work, decide_all, last_prices
from execution_daemon.core.manual import (
    Decision,
    Desk,
    ManualOrder,
    amended,
    asked_for,
    closing,
    one_of,
    replacement_id,
)
from execution_daemon.core.worked import VWAP_SLICES, Pace, schedule_of
from execution_daemon.errors import NotReady
from execution_daemon.shell.bookkeeper import Bookkeeper
from execution_daemon.shell.committer import Committer
from execution_daemon.shell.inbox import Inbox
from execution_daemon.shell.market import MarketReader
from execution_daemon.shell.slicer import Slicer

log = logging.getLogger("bifrost.daemon.commands")
NAMESPACE = UUID("6c1d0f0e-5b0a-5c59-9f0c-0a8f4f6f6d2b")
AMENDS_MAX = 3  # of an order whose cancel the broker refuses each time: then it is canceled, not replaced


class Commands:
    """Each runs as one job of the inbox. Raises BrokerError for what makes no sense or cannot be asked now.

    Nothing is decided before `may_send`, the first clean reconciliation; what only cancels may be asked at any time.
    """

    def __init__(
        self,
        keeper: Bookkeeper,
        reader: MarketReader,
        committer: Committer,
        slicer: Slicer,
        inbox: Inbox,
        may_send: asyncio.Event,
        settings: Settings,
    ) -> None:
        self._keeper = keeper
        self._reader = reader
        self._committer = committer
        self._slicer = slicer
        self._inbox = inbox
        self._may_send = may_send
        self._amending: set[str] = set()
        self._participation = Decimal(str(settings.participation))
        keeper.on_amend = self._amend_by_group

    async def cancel_all(self, actor: str, reason: str, symbol: str | None = None) -> list[str]:
        """Cancel every open order (of the symbol) and end its parents; returns the ids of the orders."""
        return await self._inbox.ask(lambda: self._cancel_all(actor, reason, None if symbol is None else {symbol}))

    async def _cancel_all(
        self, actor: str, reason: str, symbols: Collection[str] | None, but: UUID | None = None
    ) -> list[str]:
        """Of all orders, or those in `symbols`; those of the command `but` are left."""
        now, why = self._keeper.clock.now(), f"canceled by {actor}: {reason}"
        for parent in list(self._keeper.book.parents.values()):
            if parent.is_working and (symbols is None or parent.symbol in symbols):
                await self._slicer.end(parent, now, why)
        open_orders = [
            o
            for o in self._keeper.book.open_orders()
            if (symbols is None or o.ticket.symbol in symbols) and o.ticket.batch_id != but
        ]
        # held ones first, or the end of what they wait for would release them
        keys = [o.ticket.client_order_id for o in sorted(open_orders, key=lambda o: not o.ticket.is_held)]
        for key in keys:
            await self._keeper.apply(CancelAsked(key, now, why))
        log.warning("%s canceled %d orders: %s", actor, len(keys), reason)
        return keys

    async def flatten(
        self, actor: str, reason: str, command_id: UUID, symbols: Sequence[str] | None = None
    ) -> list[Decision]:
        """Cancel what is open and close every position (of the symbols) with orders that can only reduce.

        Ids follow from `command_id`: asked again it leaves its own orders alone, and adds none.
        """

        async def work() -> list[Decision]:
            self._require_reconciled()
            wanted = None if symbols is None else set(symbols)
            await self._cancel_all(actor, reason, wanted, but=command_id)
            market = await self._market()
            desk = self._desk(market, command_id)
            asks = tuple(closing(desk, self._keeper.book, wanted))
            return await self._decide(self._without_cancelled(), asks, market)

        return await self._inbox.ask(work)

    def _without_cancelled(self) -> Book:
        """The book as it will be: what is being canceled counts no more, or it would stand in its own way."""
        book = self._keeper.book
        kept = {k: o for k, o in book.orders.items() if o.status.is_terminal or not o.is_cancel_wanted}
        return replace(book, orders=kept)

    async def submit(self, request: ManualOrder, actor: str, command_id: UUID) -> list[Decision]:
        """Decide on an order and its legs; ids follow from `command_id`, so that a retry adds nothing."""

        async def work() -> list[Decision]:
            self._require_reconciled()
            market = await self._market(self._symbols_of(request))
            desk = await self._scheduled(self._desk(market, command_id), request)
            asks = asked_for(desk, self._keeper.book, request)
            log.info("%s orders %s %s %s", actor, request.side, request.qty, request.symbol)
            return await self._decide(self._keeper.book, asks, market)

        return await self._inbox.ask(work)

    async def submit_one_of(self, requests: Sequence[ManualOrder], actor: str, command_id: UUID) -> list[Decision]:
        """Decide on orders of which one cancels the others; each is decided on its own."""

        async def work() -> list[Decision]:
            self._require_reconciled()
            market = await self._market(set[str]().union(*map(self._symbols_of, requests)))
            asks = one_of(self._desk(market, command_id), self._keeper.book, requests)
            log.info("%s orders one of %s", actor, ", ".join(f"{r.side} {r.qty} {r.symbol}" for r in requests))
            return await self._decide(self._keeper.book, asks, market)

        return await self._inbox.ask(work)

    async def _scheduled(self, desk: Desk, request: ManualOrder) -> Desk:
        if not request.schedule:
            return desk
        session = desk.market.session.session
        profiles = await self._keeper.store.volume_profiles([request.symbol], session, VWAP_SLICES)
        pace = Pace(self._participation, profiles, request.end_at)
        return replace(desk, schedule=schedule_of(request.schedule, desk.market, request.symbol, pace))

    def _symbols_of(self, request: ManualOrder) -> set[str]:
        later = set[str]().union(*(self._symbols_of(one) for one in request.then)) if request.then else set()
        return {request.symbol} | later

    async def cancel(self, client_order_id: str, actor: str, reason: str) -> None:
        """Cancel one order, and what waits for it; exits wait on, for as many shares as it has executed."""

        async def work() -> None:
            self._order(client_order_id)
            why, now = f"canceled by {actor}: {reason}", self._keeper.clock.now()
            for waiting in list(self._keeper.book.waiting_for(client_order_id)):
                link = waiting.ticket.contingency
                if link is not None and link.release is Release.EXECUTED:
                    continue
                await self._keeper.apply(CancelAsked(waiting.ticket.client_order_id, now, why))
            await self._keeper.apply(CancelAsked(client_order_id, now, why))

        await self._inbox.ask(work)

    async def amend(
        self,
        client_order_id: str,
        qty: Decimal | None,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        actor: str,
        command_id: UUID,
    ) -> list[Decision]:
        """Cancel and replace: a replacement is durable and held until the original has ended."""

        async def work() -> list[Decision]:
            self._require_reconciled()
            log.info("%s amends %s", actor, client_order_id)
            return await self._amend(client_order_id, qty, limit_price, stop_price, command_id)

        return await self._inbox.ask(work)

    async def _amend(
        self,
        key: str,
        qty: Decimal | None,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        command_id: UUID | None,
    ) -> list[Decision]:
        """Without a command it is the order's group that asks. Asked again, it says what was decided."""
        command = command_id or self._command_of_the_group(key, qty)
        if done := self._keeper.book.orders.get(replacement_id(self._keeper.store.account, command, key)):
            ticket = done.ticket
            return [Decision(ticket.client_order_id, ticket.symbol, ticket.side, ticket.order_qty, "accepted",
                             RiskCode.ACCEPTED, "")]  # fmt: skip
        order = self._amendable(key)
        market = await self._market({order.ticket.symbol})
        desk = self._desk(market, command)
        ask = replace(amended(desk, self._keeper.book, order, qty, limit_price, stop_price), command_id=command_id)
        others = {k: o for k, o in self._keeper.book.orders.items() if k != key}
        # that its end is waited for has the core ask for the original's cancel
        return await self._decide(replace(self._keeper.book, orders=others), (ask,), market)

    def _command_of_the_group(self, key: str, qty: Decimal | None) -> UUID:
        """Another one once a replacement has ended because the broker did not cancel the order.

        Raises BrokerError when that has happened too often.
        """
        known = ((order, order.ticket.contingency) for order in self._keeper.book.orders.values())
        ends = sum(1 for o, link in known if link and link.after == key and link.replaces and o.status.is_terminal)
        if ends >= AMENDS_MAX:
            raise BrokerError(f"the broker refused {ends} times to cancel {key}", "It is asked to cancel it again")
        return uuid5(NAMESPACE, content_hash([key, "group", qty, ends]))

    async def _amend_by_group(self, amend: Amend) -> None:
        """Another order of the group was executed: replace what is left, or cancel it where that is denied.

        While nothing may be decided, or the broker does not answer, it is left for the next `settle_groups`.
        """
        if not self._may_send.is_set():
            return
        key = amend.client_order_id
        if key in self._amending:
            return  # its replacement is being committed: that the order is still there is no news
        self._amending.add(key)
        try:
            decisions = await self._amend(key, amend.qty, None, None, None)
            is_replaced = decisions[0].outcome == "accepted"
        except BrokerUnclear as error:
            log.warning("%s is amended once the broker answers: %s", key, error)
            return
        except BrokerError as error:
            log.warning("%s cannot be amended, and is canceled: %s", key, error)
            is_replaced = False
        finally:
            self._amending.discard(key)
        if not is_replaced:
            why = "another order of its group was executed, and its replacement was denied"
            await self._keeper.apply(CancelAsked(key, self._keeper.clock.now(), why))

    async def settle_groups(self) -> None:
        """Ask again for what the orders' groups owe each other and could not be asked for then."""
        for due in tuple(all_due(self._keeper.book, self._keeper.clock.now())):
            if isinstance(due, Amend):
                await self._amend_by_group(due)

    async def release_batch(self, batch_id: UUID, actor: str, reason: str) -> None:
        """Let a quarantined batch be decided again: what it was doubted for no longer counts."""

        async def work() -> None:
            if not await self._keeper.store.release_batch(batch_id, reason, actor, self._keeper.clock.now()):
                raise BrokerError(f"batch {batch_id} is not in quarantine", "GET /state lists what waits")

        await self._inbox.ask(work)

    def _require_reconciled(self) -> None:
        if not self._may_send.is_set():
            what = "the book has not been found to agree with the broker's ledger since the daemon started"
            raise NotReady(what, "Wait until GET /ready answers 200; POST /cancel-all works before")

    def _order(self, key: str) -> Order:
        order = self._keeper.book.orders.get(key)
        if order is None or order.status.is_terminal:
            raise BrokerError(f"no open order has the id {key}", "GET /orders lists them")
        return order

    def _amendable(self, key: str) -> Order:
        """The open order. Raises BrokerError where a replacement would be one too many, or leave others behind."""
        order = self._order(key)
        if order.status is OrdStatus.HELD and order.reserved_value:
            raise BrokerError(f"order {key} opens, and waits for another", "Cancel it and order anew")
        if order.is_cancel_wanted:
            raise BrokerError(f"order {key} is being canceled", "Wait for its end, or amend what replaces it then")
        if parent := order.ticket.parent_id:
            raise BrokerError(f"order {key} is a slice, sized by the schedule of {parent}", "Cancel it, or all of them")
        if waiting := list(self._keeper.book.waiting_for(key)):
            names = ", ".join(one.ticket.client_order_id for one in waiting)
            raise BrokerError(f"orders wait for {key}: {names}", "Cancel it, which ends them, and order anew")
        return order

    async def _market(self, symbols: Collection[str] = ()) -> Market:
        """Of `symbols` and of everything in the book: what is held and working counts in every decision."""
        return await self._reader.market(self._keeper.book.symbols.union(symbols), await self._session())

    async def _session(self) -> SessionHours:
        session = await self._keeper.store.session_from(await self._keeper.clock.read())
        if session is None:
            raise BrokerError("reference.sessions has no session to trade in", "Load the calendar: bifrost nightly")
        return session

    def _desk(self, market: Market, command_id: UUID) -> Desk:
        return Desk(self._keeper.store.account, command_id, market)

    async def _decide(self, book: Book, asks: Sequence[Ask], market: Market) -> list[Decision]:
        symbols = self._keeper.book.symbols.union(ask.ticket.symbol for ask in asks)
        controls = await self._reader.controls(market, symbols)
        decided = decide_all(book, asks, market, controls, last_prices(market), self._keeper.to_send.qsize())
        reasons = await self._committer.commit(decided, market.now)
        return _decisions(decided, reasons)


def _decisions(decided: Work, reasons: Mapping[str, str]) -> list[Decision]:
    found = []
    for intent in decided.intents:
        ticket = intent.ticket
        code = reasons[ticket.client_order_id]
        outcome = "accepted" if code == RiskCode.ACCEPTED else "denied"
        detail = intent.denied.detail if intent.denied else ""
        found.append(
            Decision(ticket.client_order_id, ticket.symbol, ticket.side, ticket.order_qty, outcome, code, detail)
        )
    return found
