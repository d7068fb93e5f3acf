"""Contracts and quotes: what TWS knows of a symbol. Where it has not said something, the answer is the cautious one."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers import ib_codes as codes
from execution_daemon.brokers import ib_wire as wire
from execution_daemon.brokers.ib_link import Link, Rows, TwsError
from execution_daemon.brokers.port import BrokerUnclear, LastTrade, Tradability

BID, ASK, LAST, LOW, VOLUME, CLOSE, LAST_AT, SHORTABLE, HALTED, SHORTABLE_SHARES = 1, 2, 4, 7, 8, 9, 45, 46, 49, 89
SHORTABLE_TICKS = "236"
SHARES_AT_HAND = Decimal("2.5")  # TWS's scale: above it, at least 1,000 shares can be borrowed without a search
RULE_201 = Decimal("0.9")  # of the last close
AT_ONCE = 20  # market data requests: TWS allows 100 lines
TRADE_TICKS = frozenset({BID, ASK, LAST, LAST_AT, VOLUME})
STATE_TICKS = frozenset({SHORTABLE, HALTED, LOW, CLOSE})
log = logging.getLogger("bifrost.brokers.ib")
_T = TypeVar("_T")


class Market:
    """What one connection knows of contracts, and how it asks for quotes."""

    def __init__(self, link: Link, quote_seconds: float) -> None:
        self._link = link
        self._quote_seconds = quote_seconds
        self._details: dict[str, Any] = {}
        self._asked: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lines = asyncio.Semaphore(AT_ONCE)

    async def details(self, symbol: str) -> Any | None:
        """TWS's description of a stock; None if it has none of this name. Raises BrokerUnclear."""
        async with self._asked[symbol]:  # prices and what may be done are asked for at once, and both need it
            if symbol not in self._details:
                found = await self._look_up(symbol)
                if found is None:
                    return None
                self._details[symbol] = found
            return self._details[symbol]

    async def _look_up(self, symbol: str) -> Any | None:
        try:
            rows = await self._link.contract_details(wire.stock(symbol))
        except TwsError as error:
            if error.code == codes.UNKNOWN_CONTRACT:
                return None
            raise BrokerUnclear(f"TWS does not describe {symbol}: {error}") from error
        found = [row for row in rows if wire.symbol_of(row.contract) == symbol]
        if len(found) > 1:
            raise BrokerUnclear(f"TWS has {len(found)} stocks named {symbol}", "Leave it out of the universe")
        return found[0] if found else None

    async def last_trades(self, symbols: Iterable[str]) -> dict[str, LastTrade]:
        """The latest trade of each symbol that TWS has one of, with its time; quotes and volume where it has them."""
        return await self._each(symbols, self._last_trade)

    async def tradability(self, symbols: Iterable[str]) -> dict[str, Tradability]:
        """What may be done in each symbol that TWS knows."""
        return await self._each(symbols, self._tradability)

    async def _each(self, symbols: Iterable[str], ask: Callable[[str, Any], Awaitable[_T | None]]) -> dict[str, _T]:
        async def one(symbol: str) -> tuple[str, _T | None]:
            async with self._lines:
                details = await self.details(symbol)
                return symbol, None if details is None else await ask(symbol, details)

        found = await asyncio.gather(*(one(symbol) for symbol in dict.fromkeys(symbols)))
        return {symbol: answer for symbol, answer in found if answer is not None}

    async def _last_trade(self, symbol: str, details: Any) -> LastTrade | None:
        link = self._link
        ticks = await _quoted(symbol, link.snapshot(details.contract, _has(TRADE_TICKS), self._quote_seconds))
        price, at = _positive(ticks, LAST), ticks.get(LAST_AT)
        if price is None or at is None:
            return None
        seconds = wire.reading("time of the last trade", lambda: int(at))
        return LastTrade(
            price=price,
            at=datetime.fromtimestamp(seconds, UTC),
            bid=_positive(ticks, BID),
            ask=_positive(ticks, ASK),
            volume=_positive(ticks, VOLUME),
        )

    async def _tradability(self, symbol: str, details: Any) -> Tradability:
        waiting = self._link.ticks(details.contract, SHORTABLE_TICKS, _has(STATE_TICKS), self._quote_seconds)
        ticks = await _quoted(symbol, waiting)
        low, close = _positive(ticks, LOW), _positive(ticks, CLOSE)
        return Tradability(
            symbol=symbol,
            is_tradable=True,
            is_halted=_number(ticks, HALTED) != ZERO,
            is_shortable=(_number(ticks, SHORTABLE) or ZERO) > SHARES_AT_HAND,
            is_fractionable=wire.reading("contract", lambda: wire.size_step(details)) < 1,
            is_short_restricted=low is not None and close is not None and low <= close * RULE_201,
            available_to_short=_positive(ticks, SHORTABLE_SHARES),
        )


async def _quoted(symbol: str, waiting: Awaitable[Rows]) -> dict[int, Any]:
    """The ticks that came, the last of each type; none where the account has no market data for the symbol."""
    try:
        return dict(await waiting)
    except TwsError as error:
        if error.code not in codes.NO_QUOTE:
            raise BrokerUnclear(f"TWS does not quote {symbol}: {error}") from error
        log.warning("TWS has no market data for %s: %s", symbol, error)
        return {}


def _has(kinds: frozenset[int]) -> Callable[[Rows], bool]:
    return lambda rows: kinds <= {kind for kind, _ in rows}


def _number(ticks: dict[int, Any], kind: int) -> Decimal | None:
    return wire.reading("tick", lambda: wire.number(ticks[kind])) if kind in ticks else None


def _positive(ticks: dict[int, Any], kind: int) -> Decimal | None:
    """A price or a size; TWS says -1 or 0 where there is none."""
    found = _number(ticks, kind)
    return found if found is not None and found > 0 else None
