"""Properties of the matching rules that hold for every bar and every set of orders."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.costs import DEFAULT_COSTS
from bifrost_core.trading.terms import MARKET_DAY, OrdType, Side, Terms
from execution_daemon.paper_exchange.account import Position, after_fill, cash_change, equity
from execution_daemon.paper_exchange.matching import Liquidity, VolumeCap, after_open, at_open, shares_of
from execution_daemon.paper_exchange.tape import Bar
from execution_daemon.paper_exchange.working import Execution, WorkingOrder

CAP = VolumeCap()


def limited(price: Decimal | None) -> Terms:
    return MARKET_DAY if price is None else Terms(OrdType.LIMIT, limit_price=price)


prices = st.integers(1, 100_000).map(lambda cents: Decimal(cents) / 100)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, *between, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    first, last = draw(st.permutations(between))
    return Bar(open=first, high=high, low=low, close=last, volume=Decimal(draw(st.integers(0, 50_000))))


@st.composite
def books(draw: st.DrawFn) -> list[WorkingOrder]:
    def order(n: int) -> WorkingOrder:
        return WorkingOrder(
            order_id=f"o{n}",
            side=draw(st.sampled_from(Side)),
            leaves=Decimal(draw(st.integers(1, 5_000))),
            terms=limited(draw(st.none() | prices)),
            is_late=draw(st.booleans()),
        )

    return [order(n) for n in range(draw(st.integers(0, 8)))]


def after(book: list[WorkingOrder], executions: tuple[Execution, ...]) -> list[WorkingOrder]:
    """The orders with what is left of them."""
    done = filled(executions)
    left = ((o, o.leaves - done[o.order_id]) for o in book)
    return [replace(o, leaves=rest) for o, rest in left if rest]


def filled(executions: tuple[Execution, ...]) -> Counter[str]:
    done: Counter[str] = Counter()
    for execution in executions:
        done[execution.order_id] += execution.qty  # type: ignore[assignment]
    return done


def session(book: list[WorkingOrder], bar: Bar) -> tuple[tuple[Execution, ...], tuple[Execution, ...]]:
    """Executions of the auction and of the rest of the session."""
    opening = auction(book, bar)
    used = sum((e.qty for e in opening), Decimal(0))
    there = Liquidity(bar, shares_of(bar, CAP.session, used))
    return opening, after_open(after(book, opening), there).executions


def auction(book: list[WorkingOrder], bar: Bar) -> tuple[Execution, ...]:
    return at_open(book, Liquidity(bar, shares_of(bar, CAP.auction))).executions


@given(books(), bars())
def test_no_order_is_filled_beyond_its_quantity(book, bar):
    """The exchange would sell what nobody ordered."""
    opening, later = session(book, bar)
    ordered = {order.order_id: order.leaves for order in book}
    assert all(0 < qty <= ordered[name] for name, qty in filled(opening + later).items())
    assert all(e.qty == e.qty.to_integral_value() and e.qty > 0 for e in opening + later)


@given(books(), bars())
def test_our_share_of_the_volume_is_capped(book, bar):
    """Backtests and paper trading would assume liquidity that was not there."""
    opening, later = session(book, bar)
    assert sum(e.qty for e in opening) <= bar.volume * CAP.auction
    assert sum(e.qty for e in opening + later) <= bar.volume * CAP.session


@given(books(), bars())
def test_every_price_was_traded_and_every_limit_kept(book, bar):
    """Fills would be at prices that did not exist, or worse than allowed."""
    orders = {order.order_id: order for order in book}
    opening, later = session(book, bar)
    assert all(e.price == bar.open for e in opening)
    for execution in opening + later:
        order = orders[execution.order_id]
        assert bar.low <= execution.price <= bar.high
        if order.limit is not None:
            sign = order.side.sign
            assert sign * execution.price <= sign * order.limit


@given(books(), bars())
def test_what_came_late_trades_only_at_the_close(book, bar):
    """An order would be filled at a price made before it was sent: look-ahead."""
    opening, later = session(book, bar)
    late = {order.order_id for order in book if order.is_late}
    assert late.isdisjoint(e.order_id for e in opening)
    assert all(e.price == bar.close for e in later if e.order_id in late)


@given(books(), bars())
def test_earlier_orders_of_a_kind_are_served_first(book, bar):
    """Time priority would not hold: a later market order would take an earlier one's shares."""
    done = filled(auction(book, bar))
    market = [o for o in book if o.limit is None and not o.is_late]
    short_of = [done[o.order_id] < o.leaves for o in market]
    assert short_of == sorted(short_of)  # once one is not filled in full, no later one is
    waiting = [o.order_id for o, short in zip(market, short_of, strict=True) if short][1:]
    assert all(done[name] == 0 for name in waiting)


@given(books(), bars())
def test_cash_and_position_are_the_sum_of_the_fills(book, bar):
    """Money would appear or vanish between executions and the account."""
    sides = {order.order_id: order.side for order in book}
    position, cash, paid = Position("X", Decimal(0), Decimal(0)), Decimal(1000), Decimal(0)
    executions = [e for phase in session(book, bar) for e in phase]
    for e in executions:
        commission = DEFAULT_COSTS.commission(e.qty, e.price)
        position = after_fill(position, sides[e.order_id], e.qty, e.price)
        cash += cash_change(sides[e.order_id], e.qty, e.price, commission)
        paid += commission
    signed = [(sides[e.order_id].sign * e.qty, e.price) for e in executions]
    assert position.qty == sum(qty for qty, _ in signed)
    assert cash == 1000 - sum(qty * price for qty, price in signed) - paid
    gain = sum(qty * (bar.close - price) for qty, price in signed)
    assert equity(cash, [position], {"X": bar.close}) == 1000 + gain - paid


BAR = Bar(*map(Decimal, ("10", "12", "8", "11", "1000")))


def one(limit: str | None, side: Side = Side.BUY, is_late: bool = False) -> list[WorkingOrder]:
    return [WorkingOrder("o", side, Decimal(50), limited(None if limit is None else Decimal(limit)), is_late)]


def traded_at(book: list[WorkingOrder], bar: Bar = BAR) -> list[str]:
    return [f"{phase} {e.price}" for phase, es in zip(("open", "rest"), session(book, bar), strict=True) for e in es]


def test_each_kind_of_order_has_its_price():
    """A rule of the table in the module's docstring would be broken."""
    assert traded_at(one(None)) == ["open 10"]
    assert traded_at(one("10")) == ["open 10"]
    assert traded_at(one("9")) == ["rest 9"]
    assert traded_at(one("8")) == ["rest 8"]
    assert traded_at(one("7.99")) == []
    assert traded_at(one("11.5", Side.SELL)) == ["rest 11.5"]
    assert traded_at(one("12.01", Side.SELL)) == []
    assert traded_at(one(None, is_late=True)) == ["rest 11"]
    assert traded_at(one("10.99", is_late=True)) == []
    assert traded_at(one("11", is_late=True)) == ["rest 11"]


def test_what_the_auction_leaves_over_trades_at_the_close_or_its_limit():
    """A capped day order would be stuck, or trade above its limit."""
    big = [WorkingOrder("o", Side.BUY, Decimal(150))]
    assert [(e.qty, e.price) for phase in session(big, BAR) for e in phase] == [(100, 10), (50, 11)]
    capped = [WorkingOrder("o", Side.BUY, Decimal(150), limited(Decimal("10.5")))]
    assert [(e.qty, e.price) for phase in session(capped, BAR) for e in phase] == [(100, 10), (50, Decimal("10.5"))]
