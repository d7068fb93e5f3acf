"""What is asked of an order before it is taken: that the market, the asset and the position allow it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from bifrost_core.calendar import Session
from bifrost_core.trading.costs import TICK
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.terms import TRAILING, Side, TimeInForce
from execution_daemon.paper_exchange import quote_matching, refusals
from execution_daemon.paper_exchange.books import Books
from execution_daemon.paper_exchange.market import Market
from execution_daemon.paper_exchange.refusals import NewOrder, Refused
from execution_daemon.paper_exchange.working import NOT_YET, Live, accepts

CLOSING_ORDERS_UNTIL = timedelta(minutes=10)  # before the close, as at Alpaca


@dataclass(frozen=True, slots=True)
class AssetRules:
    """What may be done in a symbol now."""

    is_tradable: bool
    is_halted: bool
    is_shortable: bool
    is_easy_to_borrow: bool
    is_fractionable: bool
    is_short_restricted: bool
    available_to_short: Decimal | None


def asset_rules(market: Market, books: Books, symbol: str, now: datetime) -> AssetRules | None:
    """The rules of a listed symbol: what an administrator said, else that it can be traded, shorted and divided."""
    listed = market.instrument(symbol)
    if listed is None:
        return None
    said = books.asset(symbol)
    is_tradable = listed.is_tradable
    restricted = said.is_short_restricted
    return AssetRules(
        is_tradable=is_tradable,
        is_halted=said.is_halted,
        is_shortable=is_tradable if said.is_shortable is None else said.is_shortable,
        is_easy_to_borrow=is_tradable if said.is_easy_to_borrow is None else said.is_easy_to_borrow,
        is_fractionable=is_tradable if said.is_fractionable is None else said.is_fractionable,
        is_short_restricted=market.is_short_restricted(symbol, now) if restricted is None else restricted,
        available_to_short=said.available_to_short,
    )


def check(market: Market, books: Books, order: NewOrder, now: datetime) -> NewOrder:
    """The order as it is taken, or Refused."""
    refusals.check_listed(order, market.instrument(order.symbol))
    if order.trail_percent is not None:
        order = _with_offset(market, order, now)
    refusals.check_form(order)
    session, _ = market.session_at(now)
    _check_time(order, session, now)
    rules = asset_rules(market, books, order.symbol, now)
    if rules is not None:
        _check_asset(market, books, order, rules, now)
    if order.terms.post_only and session is not None and _would_take(market, order, now):
        raise Refused(422, 42210000, f"post-only order would trade at once: limit {order.terms.limit_price}")
    return order


def first_state(market: Market, order: NewOrder, now: datetime) -> Live:
    """A trailing stop begins to follow from the last trade."""
    if order.terms.order_type not in TRAILING:
        return NOT_YET
    return Live(high_water=_last(market, order.symbol, now))


def _with_offset(market: Market, order: NewOrder, now: datetime) -> NewOrder:
    percent = order.trail_percent
    if percent is None or not percent.is_finite() or not 0 < percent < 100:
        raise refusals.malformed("trail_percent must be between 0 and 100")
    if order.terms.order_type not in TRAILING or order.terms.trail_offset is not None:
        raise refusals.malformed("trail_percent goes with trailing stops, instead of trail_price")
    offset = (_last(market, order.symbol, now) * percent / 100).quantize(TICK, ROUND_HALF_UP)
    return replace(order, terms=replace(order.terms, trail_offset=offset))


def _last(market: Market, symbol: str, now: datetime) -> Decimal:
    price = market.price(symbol, now)
    if price is None:
        raise Refused(422, 42210000, f"{symbol} has no price yet: a trailing stop has nothing to follow")
    return price


def _check_time(order: NewOrder, session: Session | None, now: datetime) -> None:
    if session is None:
        return
    if order.terms.time_in_force is TimeInForce.OPG:
        raise Refused(422, 42210000, f"opg orders are not taken after the open of {session.session}")
    if order.terms.time_in_force is TimeInForce.CLS and now >= session.close_at - CLOSING_ORDERS_UNTIL:
        raise Refused(422, 42210000, f"cls orders are not taken in the last 10 minutes of {session.session}")


def _check_asset(market: Market, books: Books, order: NewOrder, rules: AssetRules, now: datetime) -> None:
    if order.qty != order.qty.to_integral_value() and not rules.is_fractionable:
        raise Refused(422, 42210000, f"asset {order.symbol} is not fractionable: send whole shares")
    closable = max(-order.side.sign * books.position(order.symbol).qty, ZERO)
    if order.terms.reduce_only and not closable:
        raise Refused(422, 42210000, f"reduce-only order in {order.symbol}: there is no position it would reduce")
    if closable and order.qty > closable:
        raise refusals.insufficient_shares(order.qty, closable)
    if order.side is Side.SELL and not closable:
        _check_short(market, books, order, rules, now)


def _check_short(market: Market, books: Books, order: NewOrder, rules: AssetRules, now: datetime) -> None:
    if not rules.is_shortable:
        raise Refused(422, 42210000, f"asset {order.symbol} cannot be sold short")
    if rules.available_to_short is not None:
        working = sum((o.leaves for o in books.orders_of(order.symbol) if o.side is Side.SELL), ZERO)
        free = rules.available_to_short - working - max(-books.position(order.symbol).qty, ZERO)
        if order.qty > free:
            raise Refused(403, 40310000, f"only {max(free, ZERO)} shares of {order.symbol} can be borrowed")
    if rules.is_short_restricted and not _is_above_bid(market, order, now):
        raise Refused(
            422, 42210000, f"short sale of {order.symbol} restricted (Rule 201): the limit must exceed the bid"
        )


def _is_above_bid(market: Market, order: NewOrder, now: datetime) -> bool:
    quote, limit = market.standing_quote(order.symbol, now), order.terms.limit_price
    bid = quote.bid if quote is not None else market.price(order.symbol, now)
    return limit is not None and bid is not None and limit > bid


def _would_take(market: Market, order: NewOrder, now: datetime) -> bool:
    quote = market.standing_quote(order.symbol, now)
    shown = market.price(order.symbol, now) if quote is None else quote_matching.opposite(order.side, quote)
    return shown is not None and accepts(order.side, order.terms.limit_price, shown)
