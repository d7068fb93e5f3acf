"""One look at the market and at what stands against trading: what every decision is made from."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from decimal import Decimal

from bifrost_core.trading.risk import Quote, SessionHours, Tradable
from execution_daemon.brokers.port import Broker, LastTrade, Tradability
from execution_daemon.core.inputs import Controls, Market
from execution_daemon.shell.clock import MarketClock
from execution_daemon.shell.store import Store

Look = tuple[Market, Controls]


class MarketReader:
    """Asks the broker for prices and the warehouse for limits. Raises BrokerUnclear where the broker is silent."""

    def __init__(self, broker: Broker, store: Store, clock: MarketClock) -> None:
        self._broker = broker
        self._store = store
        self._clock = clock

    async def market(self, symbols: Collection[str], session: SessionHours) -> Market:
        """Last trades of `symbols`; the clock is read after them, so that none is of the future."""
        wanted = sorted(symbols)
        trades, tradable = await asyncio.gather(self._broker.last_trade(wanted), self._broker.tradability(wanted))
        now = await self._clock.read()
        return Market(
            now=now,
            session=session,
            last_trades={symbol: _quote(trade) for symbol, trade in trades.items()},
            tradable={symbol: _tradable(known) for symbol, known in tradable.items()},
            clock_skew=await self._skew(),
        )

    async def _skew(self) -> Decimal:
        """Seconds between this machine's clock and the broker's; zero where the broker's is the only clock."""
        if not self._clock.is_system:
            return Decimal(0)
        theirs = await self._broker.market_time()
        return Decimal(repr(abs((self._clock.now() - theirs).total_seconds())))

    async def controls(self, market: Market, symbols: Collection[str]) -> Controls:
        """What stands against orders in `symbols`."""
        facts = await self._store.facts(market.session.session, symbols)
        return await self._store.controls(market.session.session, market.now, facts)

    async def look(self, symbols: Collection[str], session: SessionHours) -> Look:
        """Both; what is known from before the session is read while the broker is asked."""
        known = asyncio.ensure_future(self._store.facts(session.session, symbols))
        try:
            market = await self.market(symbols, session)
        finally:
            facts = await known
        return market, await self._store.controls(session.session, market.now, facts)


def _quote(trade: LastTrade) -> Quote:
    return Quote(trade.price, trade.at, trade.bid, trade.ask, trade.volume)


def _tradable(known: Tradability) -> Tradable:
    return Tradable(
        known.is_tradable, known.is_halted, known.is_shortable, known.is_short_restricted, known.available_to_short
    )
