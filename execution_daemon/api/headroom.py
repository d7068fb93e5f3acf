"""How full the limits are that fill up: what is used now, in each limit's own unit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from bifrost_core.errors import BrokerError
from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk import Tally
from execution_daemon.api.context import Context
from execution_daemon.core.book import Book

BROKER_SECONDS = 1.0
PLACES = Decimal("0.000001")


async def used_of(here: Context) -> Mapping[str, Decimal]:
    """By limit code. Of a book that is not loaded, or whose prices the broker does not tell, less is known."""
    used = await _of_the_day(here)
    try:
        parts = here.daemon.parts
        used[LimitCode.MESSAGE_BACKLOG] = Decimal(parts.keeper.to_send.qsize())
        book = parts.keeper.book
        async with asyncio.timeout(BROKER_SECONDS):
            trades = await here.daemon.broker.last_trade(book.exposures())
    except (BrokerError, TimeoutError, OSError):
        return used
    return used | of_book(book, {symbol: trade.price for symbol, trade in trades.items()})


async def _of_the_day(here: Context) -> dict[str, Decimal]:
    """Orders and their value in the session that is on, or comes next."""
    at = here.daemon.clock.last
    if at is None:
        return {}
    params = {"account": here.settings.account, "mic": here.settings.exchange, "at": at}
    row = await here.warehouse.row("day", params)
    return {LimitCode.MAX_DAILY_ORDERS: row["orders"], LimitCode.MAX_DAILY_VALUE: row["value"]} if row else {}


def of_book(book: Book, prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What the book uses of its exposure limits, counting the worst of working and unknown orders; `prices` in USD.

    Empty where a symbol that counts has no price: nothing is said rather than something too small.
    """
    reserved = sum((order.reserved_value for order in book.open_orders()), ZERO)
    tally = Tally(exposures=dict(book.exposures()), prices=prices, reserved=reserved)
    equity = book.holdings.equity(prices)
    if tally.unpriced or equity is None:
        return {}
    largest = max((e.worst * prices.get(symbol, ZERO) for symbol, e in tally.exposures.items()), default=ZERO)
    usd = {
        LimitCode.MAX_GROSS: tally.gross,
        LimitCode.MAX_NET: max(abs(tally.if_bought), abs(tally.if_sold)),
        LimitCode.MAX_CONCENTRATION: largest,
    }
    used: dict[str, Decimal] = {LimitCode.MAX_POSITION: largest.quantize(PLACES)}
    if equity > 0:
        used |= {code: (value / equity).quantize(PLACES) for code, value in usd.items()}
    return used


def left(limit: Decimal, used: Decimal | None) -> Decimal | None:
    """What is left of a limit; below zero where the book is over it, None where nothing is known to be used."""
    return None if used is None else limit - used
