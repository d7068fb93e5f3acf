"""How full the limits are that fill up: what is used now, in each limit's own unit."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bifrost_core.errors import BrokerError
from bifrost_core.trading import risk
from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.risk import Quote, SessionHours
from bifrost_core.trading.risk.usage import usage
from execution_daemon.api.context import Context
from execution_daemon.core.inputs import Market, context
from execution_daemon.core.intents import last_prices
from execution_daemon.shell.risk_inputs import RiskInputs

BROKER_SECONDS = 1.0
PLACES = Decimal("0.000001")


async def used_of(here: Context) -> Mapping[str, Decimal]:
    """By limit code, of what a decision would be made from now; nothing before the book is loaded.

    Where the broker does not answer, what depends on prices is left out.
    """
    clock = here.daemon.clock
    try:
        sender = here.daemon.parts.sender
    except BrokerError:
        return {}
    session = None if clock.last is None else await _session(here, clock.now())
    if session is None:
        return {}
    used = usage(await _known(here, clock.now(), session))
    tokens = sender.throttle.tokens(asyncio.get_running_loop().time())
    used[LimitCode.MESSAGE_BURST] = Decimal(sender.throttle.burst - tokens)
    return {code: value.quantize(PLACES) for code, value in used.items()}


async def _session(here: Context, at: datetime) -> SessionHours | None:
    row = await here.warehouse.row("session_from", {"mic": here.settings.exchange, "now": at})
    return SessionHours(**row) if row else None


async def _known(here: Context, at: datetime, session: SessionHours) -> risk.Context:
    """What decisions are made from, read over the control plane's own connections."""
    account = {"account": here.settings.account, "mic": here.settings.exchange}

    async def rows(name: str, **params: Any) -> list[dict[str, Any]]:
        return await here.warehouse.rows(name, {**account, **params})

    keeper, inputs = here.daemon.parts.keeper, RiskInputs(rows)
    symbols = keeper.book.exposures().keys()
    facts = await inputs.facts(session.session, symbols)
    controls = await inputs.controls(Limits(()), (), session.session, at, facts)
    market = await _market(here, at, session, symbols)
    return context(keeper.book, market, controls, last_prices(market), keeper.to_send.qsize())


async def _market(here: Context, at: datetime, session: SessionHours, symbols: Collection[str]) -> Market:
    """Last trades and the difference of the clocks, where the broker answers soon."""
    broker, clock = here.daemon.broker, here.daemon.clock
    try:
        async with asyncio.timeout(BROKER_SECONDS):
            trades = await broker.last_trade(symbols)
            theirs = await broker.market_time() if clock.is_system else clock.now()
    except (BrokerError, TimeoutError, OSError):
        return Market(at, session, {}, {}, clock_skew=None)
    skew = Decimal(repr((clock.now() - theirs).total_seconds()))
    return Market(at, session, {s: Quote(trade.price, trade.at) for s, trade in trades.items()}, {}, skew)


def left(limit: Decimal, used: Decimal | None) -> Decimal | None:
    """What is left of a limit; below zero where the book is over it, None where nothing is known to be used."""
    return None if used is None else limit - used
