"""How much of each limit is used now. Limits on one order or one batch of targets do not fill up and are not here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.losses import daily_loss, drawdown
from bifrost_core.trading.risk.model import FLAT, Quote, SymbolFacts
from bifrost_core.trading.risk.numbers import bps_between, is_positive

Used = dict[LimitCode, Decimal | None]


def usage(c: Context) -> dict[LimitCode, Decimal]:
    """What is used of each limit, in its unit; one of which too little is known is left out. Below zero is none."""
    found = {**_exposure(c), **_losses(c), **_activity(c), **_time(c), **_prices(c)}
    return {code: max(value, ZERO) for code, value in found.items() if value is not None}


def _exposure(c: Context) -> Used:
    tally = c.tally
    if tally.unpriced:
        return {}
    largest = max((e.worst * tally.prices.get(symbol, ZERO) for symbol, e in tally.exposures.items()), default=ZERO)
    usd = {
        LimitCode.MAX_GROSS: tally.gross,
        LimitCode.MAX_NET: max(abs(tally.if_bought), abs(tally.if_sold)),
        LimitCode.MAX_LEVERAGE: tally.settled,
        LimitCode.MAX_CONCENTRATION: largest,
        LimitCode.MAX_SECTOR: max(tally.by_sector.values(), default=ZERO),
        LimitCode.BUYING_POWER: tally.reserved + tally.held,
    }
    equity = c.equity if is_positive(c.equity) else None
    return {LimitCode.MAX_POSITION: largest} | {code: value / equity if equity else None for code, value in usd.items()}


def _losses(c: Context) -> Used:
    lost, below = daily_loss(c.equity, c.day), drawdown(c.equity, c.day)
    return {
        LimitCode.DAILY_LOSS_REDUCE: lost,
        LimitCode.DAILY_LOSS_HALT: lost,
        LimitCode.DRAWDOWN_REDUCE: below,
        LimitCode.DRAWDOWN_HALT: below,
    }


def _activity(c: Context) -> Used:
    tally = c.tally
    return {
        LimitCode.MAX_DAILY_VALUE: tally.value,
        LimitCode.MAX_DAILY_ORDERS: Decimal(tally.orders),
        LimitCode.REPEATED_EXECUTIONS: Decimal(max(tally.executions.values(), default=0)),
        LimitCode.MESSAGE_BACKLOG: Decimal(tally.backlog),
        LimitCode.MAX_ADV: _worst(
            max(e.buying, e.selling) / adv if is_positive(adv := c.facts_of(symbol).adv) else None
            for symbol, e in tally.exposures.items()
            if e.working
        ),
    }


def _time(c: Context) -> Used:
    return {
        LimitCode.NOT_RECONCILED: _seconds(c.now - c.reconciled_at) if c.reconciled_at else None,
        LimitCode.CLOCK_SKEW: abs(c.clock_skew) if c.clock_skew is not None else None,
        LimitCode.SESSION_CLOSED: _seconds(c.session.open_at - c.now) if c.session else None,
        LimitCode.PRICE_STALE: _of_symbols(c, lambda last, _facts: _seconds(c.now - last.at)),
    }


def _prices(c: Context) -> Used:
    """How far the prices of what is held or working have moved."""
    return {
        LimitCode.PRICE_JUMP: _of_symbols(c, lambda last, facts: _away(last.price, facts.previous_close)),
        LimitCode.PERIOD_COLLAR: _of_symbols(c, lambda last, facts: _away(last.price, facts.period_mean)),
        LimitCode.SHORT_SALE_PRICE: _of_symbols(c, lambda last, facts: _fall(last.price, facts.previous_close)),
    }


def _of_symbols(c: Context, value: Callable[[Quote, SymbolFacts], Decimal | None]) -> Decimal | None:
    """The worst of what is held or working; None where it is not known of one."""
    symbols = [symbol for symbol, exposure in c.tally.exposures.items() if exposure != FLAT]
    quotes = ((c.last_trades.get(symbol), c.facts_of(symbol)) for symbol in symbols)
    return _worst(value(last, facts) if last else None for last, facts in quotes)


def _worst(values: Iterable[Decimal | None]) -> Decimal | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return max(known, default=ZERO) if len(known) == len(found) else None


def _away(price: Decimal, base: Decimal | None) -> Decimal | None:
    return bps_between(price, base) if is_positive(base) and is_positive(price) else None


def _fall(price: Decimal, base: Decimal | None) -> Decimal | None:
    return (base - price) / base if is_positive(base) and is_positive(price) else None


def _seconds(span: timedelta) -> Decimal:
    return Decimal(repr(span.total_seconds()))
