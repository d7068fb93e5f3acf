"""Risk: both sides of every edge, precedence, and what is missing denies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.limits import DEFAULT_LIMITS, Limit, LimitCode, Limits
from bifrost_core.trading.risk import (
    CONTROLS,
    PUBLISHED,
    Context,
    DayState,
    Exposure,
    Parent,
    Proposal,
    Quote,
    Resting,
    Restriction,
    RiskCode,
    SessionHours,
    Shape,
    SymbolFacts,
    Tally,
    Tradable,
    TradingState,
    batch_refusal,
    decide,
    trading_state,
)
from bifrost_core.trading.targets import BatchCode, Target, TargetBatch
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce

D = Decimal
OPEN = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2013, 2, 20, 21, 0, tzinfo=UTC)
NOW = OPEN + timedelta(hours=1)
SECOND = timedelta(seconds=1)
VALUES = {
    LimitCode.PRICE_STALE: 3600,
    LimitCode.PRICE_JUMP: 1000,
    LimitCode.PRICE_COLLAR: 100,
    LimitCode.QUOTE_COLLAR: 50,
    LimitCode.PERIOD_COLLAR: 2000,
    LimitCode.MAX_ORDER_QTY: 120,
    LimitCode.MAX_ORDER_VALUE: 10_000,
    LimitCode.MAX_ADV: "0.1",
    LimitCode.MAX_POSITION: 15_000,
    LimitCode.MAX_GROSS: "1.5",
    LimitCode.MAX_NET: "1.25",
    LimitCode.MAX_LEVERAGE: "1",
    LimitCode.MAX_CONCENTRATION: "0.6",
    LimitCode.MAX_SECTOR: "0.75",
    LimitCode.BUYING_POWER: "1.25",
    LimitCode.DAILY_LOSS_REDUCE: "0.05",
    LimitCode.DAILY_LOSS_HALT: "0.1",
    LimitCode.DRAWDOWN_REDUCE: "0.2",
    LimitCode.DRAWDOWN_HALT: "0.3",
    LimitCode.MAX_DAILY_VALUE: 50_000,
    LimitCode.MAX_DAILY_ORDERS: 10,
    LimitCode.REPEATED_EXECUTIONS: 3,
    LimitCode.SIMILAR_ORDER: 10,
    LimitCode.SHORT_LOCATE: "0.5",
    LimitCode.SHORT_SALE_PRICE: "0.1",
    LimitCode.SESSION_CLOSED: 3600,
    LimitCode.NOT_RECONCILED: 600,
    LimitCode.CLOCK_SKEW: 5,
    LimitCode.SIGNAL_STALE: 3,
    LimitCode.MESSAGE_BACKLOG: 20,
    LimitCode.MAX_WEIGHT_JUMP: "0.5",
    LimitCode.MAX_TARGETS: 2,
}
LIMITS = Limits(Limit(code, D(str(value)), "") for code, value in VALUES.items())
ORDER = Proposal(
    "id", "paper", ("m",), "AAPL", Side.BUY, D(100), D(100), NOW - timedelta(hours=2), CLOSE, as_of=date(2013, 2, 19)
)
SALE = replace(ORDER, side=Side.SELL)
QUOTE = Quote(D(100), NOW - timedelta(minutes=10), D("99.9"), D("100.1"))
EQUITY = D(20_000)
SHORTABLE = Tradable(is_shortable=True, available_to_short=D(1_000))
FACTS = SymbolFacts(D(100), D(100), D(10_000), "tech")


@dataclass
class Scene:
    """A context that accepts ORDER, and what a test changes in it."""

    equity: Decimal | None = EQUITY
    tally: dict[str, Any] = field(default_factory=dict)
    quote: Quote | None = QUOTE
    facts: SymbolFacts = FACTS
    tradable: Tradable | None = SHORTABLE
    others: dict[str, Any] = field(default_factory=dict)

    def context(self) -> Context:
        tally = {"prices": {"AAPL": D(100), "IBM": D(200)}, "sectors": {"AAPL": "tech", "IBM": "tech"}, **self.tally}
        known = {
            "now": NOW,
            "limits": LIMITS,
            "equity": self.equity,
            "tally": Tally(**tally),
            "day": DayState(D(20_000), D(20_000), D(20_000)),
            "session": SessionHours(date(2013, 2, 20), OPEN, CLOSE),
            "reconciled_at": NOW,
            "clock_skew": D(0),
            "last_trades": {"AAPL": self.quote} if self.quote else {},
            "tradable": {"AAPL": self.tradable} if self.tradable else {},
            "facts": {"AAPL": self.facts},
            **self.others,
        }
        return Context(**known)


def code(order: Proposal = ORDER, **scene: Any) -> RiskCode | None:
    denied = decide(order, Scene(**scene).context())
    return denied.code if denied else None


def other(order: Proposal = ORDER, **others: Any) -> RiskCode | None:
    """The outcome with these fields of the context instead of the sound ones."""
    return code(order, others=others)


def tallied(order: Proposal = ORDER, equity: int = 20_000, **tally: Any) -> RiskCode | None:
    """The outcome with these fields of the tally instead of the sound ones."""
    return code(order, equity=D(equity), others={"day": DayState(D(equity), D(equity))}, tally=tally)


def raised(*codes: LimitCode) -> dict[str, Any]:
    """Limits without bite for `codes`, so that another control is seen."""
    return {"limits": LIMITS.with_rows(Limit(c, D(10**9), "") for c in codes)}


def held(symbol: str, shares: int, buying: int = 0, selling: int = 0) -> dict[str, Exposure]:
    return {symbol: Exposure(D(shares), D(buying), D(selling))}


def limited(price: str, order: Proposal = ORDER, **terms: Any) -> Proposal:
    return replace(order, terms=Terms(OrdType.LIMIT, limit_price=D(price), **terms))


def test_a_sound_order_passes():
    """Nothing would ever be traded."""
    assert code() is None


def edges(passes: Any, denies: Any, expected: RiskCode) -> None:
    assert passes is None
    assert denies is expected


# ------------------------------------------------------------------------------------------------------- gates


@pytest.mark.parametrize("switch", [("global", "*"), ("account", "paper"), ("symbol", "AAPL"), ("strategy", "m")])
def test_kill_switch_in_each_scope(switch):
    """A switch that does not stop its scope is worse than none."""
    assert other(kill_switches={switch}) is RiskCode.KILL_SWITCH


@pytest.mark.parametrize("switch", [("account", "live"), ("symbol", "IBM"), ("strategy", "n"), ("global", "AAPL")])
def test_kill_switch_of_another_scope(switch):
    """One symbol's switch must not stop the shop."""
    assert other(kill_switches={switch}) is None


def test_reconciliation_gate():
    """Orders on a book that nobody has compared with the broker's for too long."""
    edges(other(reconciled_at=NOW - 600 * SECOND), other(reconciled_at=NOW - 601 * SECOND), RiskCode.NOT_RECONCILED)
    assert other(reconciled_at=None) is RiskCode.NOT_RECONCILED


def test_clock_skew():
    """Ages and validity mean nothing when two clocks differ."""
    edges(other(clock_skew=D(-5)), other(clock_skew=D("-5.001")), RiskCode.CLOCK_SKEW)
    assert other(clock_skew=None) is other(clock_skew=D("NaN")) is RiskCode.CLOCK_SKEW


def test_a_blocked_symbol_and_a_blocked_account():
    """An order without an answer may be filled already."""
    assert other(blocked={"AAPL": "x"}) is other(blocked={"*": "x"}) is RiskCode.SYMBOL_BLOCKED
    assert other(blocked={"IBM": "x"}) is None


def in_force(kind: TimeInForce) -> Proposal:
    return replace(
        ORDER, terms=Terms(time_in_force=kind), valid_from=NOW - timedelta(days=1), valid_until=CLOSE + SECOND
    )


@pytest.mark.parametrize(
    ("kind", "passes", "denies"),
    [
        (TimeInForce.DAY, CLOSE - SECOND, CLOSE),
        (TimeInForce.DAY, OPEN - 3600 * SECOND, OPEN - 3601 * SECOND),
        (TimeInForce.OPG, OPEN - 121 * SECOND, OPEN - 120 * SECOND),
        (TimeInForce.CLS, CLOSE - 601 * SECOND, CLOSE - 600 * SECOND),
        (TimeInForce.IOC, OPEN, OPEN - SECOND),
        (TimeInForce.FOK, OPEN, OPEN - SECOND),
    ],
)
def test_session_edges(kind, passes, denies):
    """An order for an auction that has begun, or a session that is over, is refused or, worse, kept for tomorrow."""

    def at(now: datetime) -> RiskCode | None:
        return code(in_force(kind), quote=replace(QUOTE, at=now), others={"now": now, "reconciled_at": now})

    edges(at(passes), at(denies), RiskCode.SESSION_CLOSED)
    assert other(replace(ORDER, as_of=None), session=None) is RiskCode.SESSION_CLOSED


@pytest.mark.parametrize("state", [None, Tradable(is_halted=True), Tradable(is_tradable=False)])
def test_a_halted_symbol(state):
    """Orders into a halt are executed at whatever price trading resumes."""
    assert code(tradable=state) is RiskCode.SYMBOL_HALTED
    assert code(tradable=Tradable()) is None


# ----------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "expected"),
    [
        (NOW, CLOSE, None),
        (NOW + SECOND, CLOSE, RiskCode.SIGNAL_INVALID),
        (NOW, NOW + SECOND, None),
        (NOW - SECOND, NOW, RiskCode.SIGNAL_INVALID),
    ],
)
def test_validity_edges(valid_from, valid_until, expected):
    """Yesterday's signal traded today, or tomorrow's too early."""
    assert code(replace(ORDER, valid_from=valid_from, valid_until=valid_until)) is expected


def test_a_parent_whose_time_ends_before_the_open_is_denied():
    """It could not be stored: the daemon stopped over one order that somebody had mistyped."""
    before = {"now": OPEN - SECOND}
    parent = replace(ORDER, is_parent=True, valid_from=OPEN - timedelta(hours=3), valid_until=OPEN)
    assert code(parent, others=before) is RiskCode.SIGNAL_INVALID
    assert code(replace(parent, is_parent=False), others=before) is not RiskCode.SIGNAL_INVALID
    assert code(replace(parent, valid_until=OPEN + SECOND), others=before) is not RiskCode.SIGNAL_INVALID


def test_signal_age():
    """A pipeline that has stood still for days is traded as if it had looked at the market."""
    edges(
        code(replace(ORDER, as_of=date(2013, 2, 17))),
        code(replace(ORDER, as_of=date(2013, 2, 16))),
        RiskCode.SIGNAL_STALE,
    )
    assert code(replace(ORDER, as_of=date(2013, 2, 21))) is RiskCode.SIGNAL_STALE  # it knows the future
    assert code(replace(ORDER, as_of=None)) is None  # a person's order


def test_an_id_is_used_once():
    """The same order twice."""
    edges(tallied(known_ids={"other"}), tallied(known_ids={"id"}), RiskCode.DUPLICATE_ORDER)


def batch(*weights: str) -> TargetBatch:
    targets = tuple(Target(f"S{n}", D(w), D(10), {}) for n, w in enumerate(weights))
    return TargetBatch(None, "paper", ("m",), date(2013, 2, 19), NOW, CLOSE, targets, "", len(targets), "", "", "")  # type: ignore[arg-type]


def refused(new: TargetBatch, last: TargetBatch | None = None, limits: Limits = LIMITS) -> BatchCode | None:
    found = batch_refusal(new, last, limits)
    return found.code if found else None


def test_batch_edges():
    """A book with a thousand names in it, or one name that comes from nothing to everything, is a bug's."""
    assert refused(batch("0.5", "0.1")) is None
    assert refused(batch("0.1", "0.1", "0.1")) is BatchCode.TOO_MANY_TARGETS
    assert refused(batch("0.51")) is BatchCode.WEIGHT_JUMP
    assert refused(batch("0.51"), batch("0.01")) is None
    assert refused(batch("-0.3"), batch("0.21")) is BatchCode.WEIGHT_JUMP
    assert refused(batch("0.1"), limits=Limits([])) is BatchCode.TOO_MANY_TARGETS


# ------------------------------------------------------------------------------------------------------ losses


@pytest.mark.parametrize(
    ("code_", "day", "passes", "denies"),
    [
        (RiskCode.DAILY_LOSS_REDUCE, DayState(D(20_000), D(20_000)), 19_001, 19_000),
        (RiskCode.DAILY_LOSS_HALT, DayState(D(20_000), D(20_000)), None, 18_000),
        (RiskCode.DRAWDOWN_REDUCE, DayState(D(20_000), D(25_000)), 20_001, 20_000),
        (RiskCode.DRAWDOWN_HALT, DayState(D(17_500), D(25_000)), None, 17_500),
        (RiskCode.DAILY_LOSS_REDUCE, DayState(D(20_000), D(20_000), D(19_000)), None, 20_000),  # it was there today
    ],
)
def test_loss_edges(code_, day, passes, denies):
    """The day that should have ended at five percent."""
    small = replace(ORDER, qty=D(10))
    if passes is not None:
        assert code(small, equity=D(passes), others={"day": day}) is None
    assert code(small, equity=D(denies), others={"day": day}) is code_


def test_reducing_takes_what_reduces_and_halted_nothing():
    """A losing book must still be sold, until somebody has said stop to everything."""
    book = {"exposures": held("AAPL", 100)}
    day = {"day": DayState(D(20_000), D(20_000))}
    assert code(SALE, equity=D(19_000), tally=book, others=day) is None
    assert code(replace(SALE, qty=D(101)), equity=D(19_000), tally=book, others=day) is RiskCode.DAILY_LOSS_REDUCE
    assert code(SALE, equity=D(18_000), tally=book, others=day) is RiskCode.DAILY_LOSS_HALT


@pytest.mark.parametrize("equity", [None, D("NaN")])
def test_an_unknown_equity_reduces(equity):
    """What cannot be measured may be lost already; but it must be possible to get out."""
    assert code(equity=equity) is RiskCode.DAILY_LOSS_REDUCE
    assert code(SALE, equity=equity, tally={"exposures": held("AAPL", 100)}) is None


@pytest.mark.parametrize(
    ("equity", "state"),
    [(19_001, "active"), (19_000, "reducing"), (18_001, "reducing"), (18_000, "halted"), (None, "reducing")],
)
def test_trading_state(equity, state):
    """What the operator is shown must be what the controls do."""
    day = DayState(D(20_000), D(20_000))
    assert trading_state(None if equity is None else D(equity), day, LIMITS) is TradingState(state)
    assert trading_state(D(20_000), day, Limits([])) is TradingState.HALTED


# ------------------------------------------------------------------------------------------------------ prices


@pytest.mark.parametrize("bad", [None, D("NaN"), D("Infinity"), D(0), D(-1)])
def test_unusable_prices_and_quantities_deny(bad):
    """NaN passes every comparison that is written the wrong way round."""
    assert code(replace(ORDER, reference_price=bad)) is RiskCode.PRICE_MISSING
    if bad is not None:
        assert code(replace(ORDER, qty=bad)) is RiskCode.PRICE_MISSING
    assert code(quote=None if bad is None else Quote(bad, NOW)) is RiskCode.PRICE_MISSING


@pytest.mark.parametrize(
    ("age", "expected"), [(3600, None), (3601, RiskCode.PRICE_STALE), (-5, None), (-6, RiskCode.PRICE_STALE)]
)
def test_staleness_edges(age, expected):
    """A price of the day before yesterday, or of tomorrow, is no price."""
    assert code(quote=replace(QUOTE, at=NOW - age * SECOND)) is expected


@pytest.mark.parametrize(
    ("close", "expected"),
    [("90.9091", None), ("90.9", RiskCode.PRICE_JUMP), ("111.2", RiskCode.PRICE_JUMP), (None, RiskCode.PRICE_JUMP)],
)
def test_jump_edges(close, expected):
    """A bad print, or a split nobody told us of."""
    facts = replace(FACTS, previous_close=None if close is None else D(close))
    assert code(facts=facts) is expected
    assert code(SALE, facts=facts, tally={"exposures": held("AAPL", 100)}) is None  # a crash must be sold into


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (replace(ORDER, reference_price=D(101), qty=D(50)), None),
        (replace(ORDER, reference_price=D("101.01"), qty=D(50)), RiskCode.PRICE_COLLAR),
        (replace(ORDER, reference_price=D(99)), None),
        (replace(ORDER, reference_price=D("98.99")), RiskCode.PRICE_COLLAR),
        (limited("101.01", replace(ORDER, qty=D(50))), RiskCode.PRICE_COLLAR),
        (limited("50"), None),  # a patient limit harms nobody
    ],
)
def test_collar_edges(order, expected):
    """100 bps of a last trade of 100 is one dollar, either way."""
    assert code(order, quote=replace(QUOTE, ask=D(102))) is expected


@pytest.mark.parametrize(
    ("order", "bid", "ask", "expected"),
    [
        (ORDER, "98", "99.51", None),  # 100 is 49 bps above it
        (ORDER, "98", "99.5", RiskCode.QUOTE_COLLAR),
        (SALE, "100.5", "102", None),
        (SALE, "100.51", "102", RiskCode.QUOTE_COLLAR),
        (ORDER, "98", None, RiskCode.QUOTE_COLLAR),
        (ORDER, "98", "NaN", RiskCode.QUOTE_COLLAR),
    ],
)
def test_quote_edges(order, bid, ask, expected):
    """The last trade is fine, and the market has left it behind."""
    quote = replace(QUOTE, bid=D(bid), ask=None if ask is None else D(ask))
    book = {"exposures": held("AAPL", 100)} if order is SALE else {}
    assert code(order, quote=quote, tally=book) is expected
    assert code(order, quote=replace(quote, bid=None, ask=None), tally=book, others={"has_quotes": False}) is None


@pytest.mark.parametrize(
    ("mean", "expected"),
    [("83.34", None), ("83.33", RiskCode.PERIOD_COLLAR), ("125", None), ("125.01", RiskCode.PERIOD_COLLAR),
     (None, RiskCode.PERIOD_COLLAR)],
)  # fmt: skip
def test_period_edges(mean, expected):
    """A price that crept away day by day never jumps."""
    assert code(facts=replace(FACTS, period_mean=None if mean is None else D(mean))) is expected


# ----------------------------------------------------------------------------------------------------- conduct


def test_terms_that_make_no_sense():
    """The broker would refuse it, after it was counted as working."""
    assert code(replace(ORDER, terms=Terms(OrdType.LIMIT))) is RiskCode.TERMS_INVALID


def test_a_restriction_lets_out_and_not_in():
    """Compliance forbids the trade, not the way out, unless it says so."""
    soft, hard = {"AAPL": Restriction("x")}, {"AAPL": Restriction("x", may_close=False)}
    book = {"exposures": held("AAPL", 100)}
    assert other(restricted=soft) is other(restricted=hard) is RiskCode.RESTRICTED
    assert code(SALE, tally=book, others={"restricted": soft}) is None
    assert code(replace(SALE, qty=D(101)), tally=book, others={"restricted": soft}) is RiskCode.RESTRICTED
    assert code(SALE, tally=book, others={"restricted": hard}) is RiskCode.RESTRICTED
    assert other(restricted={"IBM": Restriction("x")}) is None


@pytest.mark.parametrize(
    ("exposure", "expected"),
    [
        (Exposure(D(100)), None),
        (Exposure(D(99)), RiskCode.REDUCE_ONLY),
        (Exposure(D(100), selling=D(1)), RiskCode.REDUCE_ONLY),  # the other sale may be filled first
        (Exposure(D(-100)), RiskCode.REDUCE_ONLY),
    ],
)
def test_reduce_only_cannot_cross_zero(exposure, expected):
    """A stop-loss that turns the position is a new bet."""
    order = replace(SALE, terms=Terms(reduce_only=True))
    assert tallied(order, exposures={"AAPL": exposure}) is expected


def test_reduce_only_that_waits_for_its_entry():
    """The exit of a bracket is decided on before there is anything to exit from."""
    order = replace(SALE, terms=Terms(reduce_only=True), awaited=D(100))
    assert tallied(order, exposures=held("AAPL", 0, buying=100)) is None
    assert tallied(replace(order, qty=D(101)), exposures=held("AAPL", 0, buying=100)) is RiskCode.REDUCE_ONLY


def test_slices_conserve_their_parent():
    """A schedule with a bug would order the parent twice."""
    child = replace(ORDER, qty=D(40), parent_id="p")
    parents = {"p": Parent("AAPL", Side.BUY, D(100))}
    book: dict[str, Any] = {"exposures": held("AAPL", 0, buying=100)}
    edges(
        code(child, tally=book | {"allotted": {"p": D(60)}}, others={"parents": parents}),
        code(child, tally=book | {"allotted": {"p": D(61)}}, others={"parents": parents}),
        RiskCode.PARENT_EXCEEDED,
    )
    assert code(child) is RiskCode.PARENT_EXCEEDED
    for wrong in (Parent("IBM", Side.BUY, D(100)), Parent("AAPL", Side.SELL, D(100))):
        assert code(child, others={"parents": {"p": wrong}}) is RiskCode.PARENT_EXCEEDED


@pytest.mark.parametrize(
    ("order", "resting", "expected"),
    [
        (limited("100"), Resting(Side.SELL, D("100.01")), None),
        (limited("100"), Resting(Side.SELL, D(100)), RiskCode.SELF_MATCH),
        (ORDER, Resting(Side.SELL, D(500)), RiskCode.SELF_MATCH),
        (limited("100"), Resting(Side.SELL, None), RiskCode.SELF_MATCH),
        (ORDER, Resting(Side.BUY, D(100)), None),
        (replace(ORDER, awaited=D(1)), Resting(Side.SELL, None), None),
        (replace(ORDER, terms=Terms(OrdType.STOP, stop_price=D(100))), Resting(Side.SELL, None), None),
    ],
)
def test_self_match_edges(order, resting, expected):
    """Trading with oneself is a wash sale, and costs two commissions."""
    assert tallied(order, resting={"AAPL": [resting]}) is expected


def test_similar_orders():
    """A loop sends the same order again under another id."""

    def seen(seconds: int, order: Proposal = ORDER) -> RiskCode | None:
        return tallied(order, alike={Shape.of(ORDER): NOW - seconds * SECOND})

    edges(seen(10), seen(9), RiskCode.SIMILAR_ORDER)
    assert seen(9, replace(ORDER, qty=D(99))) is None
    assert seen(9, replace(ORDER, qty=D("100.000000"))) is RiskCode.SIMILAR_ORDER  # as the database writes it


def test_repeated_executions():
    """A strategy that buys the same thing again and again until somebody looks."""
    edges(
        tallied(executions={("AAPL", Side.BUY): 2}),
        tallied(executions={("AAPL", Side.BUY): 3}),
        RiskCode.REPEATED_EXECUTIONS,
    )
    assert tallied(executions={("AAPL", Side.SELL): 3}) is None


@pytest.mark.parametrize(
    ("available", "expected"), [("200", None), ("199", RiskCode.SHORT_LOCATE), (None, RiskCode.SHORT_LOCATE)]
)
def test_locate_edges(available, expected):
    """Half of what is available may be used: 100 shares short need 200."""
    state = Tradable(is_shortable=True, available_to_short=None if available is None else D(available))
    assert code(SALE, tradable=state) is expected
    assert code(SALE, tradable=replace(state, is_shortable=False)) is RiskCode.SHORT_LOCATE
    assert code(SALE, tradable=replace(state, available_to_short=D(0)), tally={"exposures": held("AAPL", 100)}) is None
    crossing = {"exposures": held("AAPL", 100, selling=1)}
    assert code(SALE, tradable=replace(state, available_to_short=D(1)), tally=crossing) is RiskCode.SHORT_LOCATE


@pytest.mark.parametrize(
    ("price", "expected"), [("99.91", None), ("99.9", RiskCode.SHORT_SALE_PRICE), (None, RiskCode.SHORT_SALE_PRICE)]
)
def test_rule_201_edges(price, expected):
    """A short sale at or below the best bid while the circuit breaker is on is against the law."""
    on = Tradable(is_shortable=True, is_short_restricted=True, available_to_short=D(1_000))
    order = SALE if price is None else limited(price, SALE)
    assert code(order, tradable=on) is expected
    assert code(order, tradable=replace(on, is_short_restricted=False)) is None
    assert code(order, tradable=on, tally={"exposures": held("AAPL", 100)}) is None  # no short sale
    assert code(order, tradable=on, quote=replace(QUOTE, bid=None), others={"has_quotes": False}) is (
        RiskCode.SHORT_SALE_PRICE
    )


def test_rule_201_begins_with_the_fall():
    """The broker may not have told us yet."""
    limits = raised(LimitCode.PRICE_JUMP)
    edges(
        code(SALE, facts=replace(FACTS, previous_close=D("111.11")), others=limits),
        code(SALE, facts=replace(FACTS, previous_close=D("111.12")), others=limits),
        RiskCode.SHORT_SALE_PRICE,
    )


# ------------------------------------------------------------------------------------------------------- sizes


def test_order_quantity():
    """A price where a quantity should be."""
    cheap = replace(ORDER, reference_price=D(80), qty=D(120))
    quote = Quote(D(80), NOW, D(80), D(80))
    edges(code(cheap, quote=quote, others=raised(LimitCode.PRICE_JUMP)),
          code(replace(cheap, qty=D(121)), quote=quote, others=raised(LimitCode.PRICE_JUMP)),
          RiskCode.MAX_ORDER_QTY)  # fmt: skip


def test_order_value():
    """A fat finger; a limit above the reference price counts in full."""
    edges(code(), code(replace(ORDER, qty=D(101))), RiskCode.MAX_ORDER_VALUE)
    assert code(limited("100.01")) is RiskCode.MAX_ORDER_VALUE


def test_an_order_is_worth_what_it_may_cost():
    """A stop far above the market, or a price named below it, would pass every limit of value."""
    stop = replace(ORDER, terms=Terms(OrdType.STOP, stop_price=D("100.01")))
    assert code(stop) is RiskCode.MAX_ORDER_VALUE
    at, above = (code(replace(ORDER, last_price=D(price))) for price in ("100", "100.01"))
    edges(at, above, RiskCode.MAX_ORDER_VALUE)


def test_a_parent_may_be_larger_than_an_order():
    """What is worked in slices is limited by its slices and by what the book could become."""
    parent = replace(ORDER, qty=D(121), is_parent=True)
    assert code(parent) is RiskCode.MAX_CONCENTRATION
    assert code(parent, others=raised(LimitCode.MAX_CONCENTRATION)) is None


@pytest.mark.parametrize(
    ("adv", "buying", "expected"),
    [("1000", 0, None), ("999", 0, RiskCode.MAX_ADV), ("1100", 10, None), ("1000", 1, RiskCode.MAX_ADV),
     (None, 0, RiskCode.MAX_ADV), ("NaN", 0, RiskCode.MAX_ADV)],
)  # fmt: skip
def test_participation_edges(adv, buying, expected):
    """An order that is the market moves it."""
    facts = replace(FACTS, adv=None if adv is None else D(adv))
    assert code(facts=facts, tally={"exposures": held("AAPL", 0, buying=buying)}) is expected


# ---------------------------------------------------------------------------------------------------- exposure


@pytest.mark.parametrize(
    ("exposures", "expected"),
    [
        (held("AAPL", 50), None),
        (held("AAPL", 51), RiskCode.MAX_POSITION),
        (held("AAPL", 0, buying=51), RiskCode.MAX_POSITION),  # working and unknown orders count
        (held("AAPL", 51, selling=51), RiskCode.MAX_POSITION),  # the sale may not come about
        (held("AAPL", -400), None),  # buying back
    ],
)
def test_position_edges(exposures, expected):
    """The worst case of the symbol is what counts, not the hoped-for one."""
    assert tallied(exposures=exposures, equity=10_000_000) is expected


BOOK = {
    RiskCode.MAX_GROSS: [(held("IBM", 100), None), (held("IBM", 101), 1), (held("IBM", 0, 60, 101), 1)],
    RiskCode.MAX_NET: [(held("IBM", 75), None), (held("IBM", 76), 1), (held("IBM", 0, buying=76), 1)],
    RiskCode.MAX_LEVERAGE: [(held("IBM", 50), None), (held("IBM", 51), 1), (held("IBM", -51), 1),
                            (held("IBM", 60, selling=10), None)],
    RiskCode.MAX_SECTOR: [(held("IBM", 25), None), (held("IBM", 26), 1), (held("IBM", 25, selling=51), 1)],
    RiskCode.BUYING_POWER: [(held("IBM", 75), None), (held("IBM", 76), 1)],
}  # fmt: skip
WHOLE_BOOK = [LimitCode(c) for c in BOOK]


@pytest.mark.parametrize(("limit", "cases"), BOOK.items())
def test_whole_book_edges(limit, cases):
    """20,000 of equity; this order adds 10,000, each share of IBM 200."""
    limits = raised(*(c for c in WHOLE_BOOK if c != limit))
    for exposures, expected in cases:
        found = code(tally={"exposures": exposures}, others=limits)
        assert found is (limit if expected else None), exposures


def test_a_hedge_may_be_added_over_the_net_limit():
    """Selling short brings a book that is too long nearer to neutral."""
    limits = raised(*(c for c in WHOLE_BOOK if c != LimitCode.MAX_NET))
    assert code(SALE, tally={"exposures": held("IBM", 500)}, others=limits) is None


def test_concentration_edges():
    """One bankruptcy must not be the shop's."""
    edges(tallied(exposures=held("AAPL", 20)), tallied(exposures=held("AAPL", 21)), RiskCode.MAX_CONCENTRATION)


def test_buying_power_counts_what_is_reserved():
    """Two batches would each use the whole of what is free."""
    edges(tallied(reserved=D(15_000)), tallied(reserved=D("15000.01")), RiskCode.BUYING_POWER)


@pytest.mark.parametrize("equity", [D(0), D(-1)])
def test_the_book_needs_an_equity(equity):
    """No equity, no new exposure."""
    limits = raised(LimitCode.DAILY_LOSS_HALT, LimitCode.DRAWDOWN_HALT, LimitCode.DAILY_LOSS_REDUCE,
                    LimitCode.DRAWDOWN_REDUCE)  # fmt: skip
    assert code(equity=equity, others=limits) is RiskCode.MAX_GROSS


def test_the_book_needs_every_price():
    """A position without a price could be of any size."""
    assert tallied(exposures=held("FB", 1)) is RiskCode.MAX_GROSS


@given(st.integers(-500, 500), st.integers(0, 500), st.integers(0, 500), st.sampled_from(Side), st.integers(1, 100))
def test_reducing_is_never_denied_for_exposure_or_activity(shares, buying, selling, side, qty):
    """A book over its limits could never be brought back under them."""
    before = Exposure(D(shares), D(buying), D(selling))
    if not before.is_reduced_by(side, D(qty)):
        return
    order = replace(ORDER, side=side, qty=D(qty))
    tally = {"exposures": {"AAPL": before, **held("FB", 1)}, "value": D(10**9), "orders": 10**6, "backlog": 10**6}
    assert code(order, equity=None, tally=tally) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["AAPL", "IBM", "MSFT"]), st.sampled_from(Side), st.integers(1, 50)), max_size=12
    )
)
def test_running_sums_are_those_of_a_new_tally(orders):
    """A sum that drifts from the book denies too late, or for ever."""
    prices = {"AAPL": D(100), "IBM": D(100), "MSFT": D(100)}
    start = {"AAPL": Exposure(D(30)), "IBM": Exposure(D(-20), D(5), D(5))}
    tally = Tally(dict(start), prices, {"AAPL": "tech"})
    for number, (symbol, side, qty) in enumerate(orders):
        tally.accept(replace(ORDER, client_order_id=str(number), symbol=symbol, side=side, qty=D(qty)), NOW)
    anew = Tally(dict(tally.exposures), prices, {"AAPL": "tech"})
    for name in ("gross", "held", "settled", "if_bought", "if_sold"):
        assert getattr(tally, name) == getattr(anew, name), name
    assert {k: v for k, v in tally.by_sector.items() if v} == {k: v for k, v in anew.by_sector.items() if v}


# ---------------------------------------------------------------------------------------------------- activity


def test_activity_edges():
    """What no single order exceeds, a day of them does."""
    edges(tallied(value=D(40_000)), tallied(value=D("40000.01")), RiskCode.MAX_DAILY_VALUE)
    edges(tallied(orders=9), tallied(orders=10), RiskCode.MAX_DAILY_ORDERS)
    edges(tallied(backlog=19), tallied(backlog=20), RiskCode.MESSAGE_BACKLOG)


def test_an_accepted_order_counts_for_the_next():
    """Each of two would fit, together they do not."""
    context = Scene(others=raised(LimitCode.MAX_CONCENTRATION)).context()
    half = replace(ORDER, qty=D(80))
    assert decide(half, context) is None
    context.accept(half)
    assert context.tally.known_ids == {"id"}
    denied = decide(replace(half, client_order_id="next", qty=D(71)), context)
    assert denied is not None
    assert denied.code is RiskCode.MAX_POSITION
    assert denied.actual == D(15_100)


# --------------------------------------------------------------------------------------------- missing, precedence

REDUCIBLE = {RiskCode(c) for c in LimitCode if c.value in RiskCode.__members__}


@pytest.mark.parametrize("limit", sorted(REDUCIBLE))
@pytest.mark.parametrize("value", [None, D("NaN"), D("Infinity"), D(-1)])
def test_a_missing_or_broken_limit_denies_under_its_own_code(limit, value):
    """A limit row that was never written, or holds NaN, must not mean 'unlimited'."""
    rows = [row for row in LIMITS.rows() if row.code != limit.value]
    if value is not None:
        rows.append(Limit(LimitCode(limit), value, ""))
    order = SALE if limit in {RiskCode.SHORT_LOCATE, RiskCode.SHORT_SALE_PRICE} else ORDER
    assert code(order, others={"limits": Limits(rows)}) is limit


WRONG: dict[RiskCode, dict[str, Any]] = {
    RiskCode.KILL_SWITCH: {"kill_switches": {("global", "*")}},
    RiskCode.SYMBOL_BLOCKED: {"blocked": {"AAPL": "x"}},
    RiskCode.SYMBOL_HALTED: {"tradable": {}},
    RiskCode.PRICE_MISSING: {"last_trades": {}},
    RiskCode.RESTRICTED: {"restricted": {"AAPL": Restriction("x")}},
    RiskCode.DUPLICATE_ORDER: {"tally": Tally(known_ids={"id"}, prices={"AAPL": D(100)})},
}
SALES_ONLY = {RiskCode.SHORT_LOCATE, RiskCode.SHORT_SALE_PRICE}
BREAKABLE = [c for c in CONTROLS if c in WRONG or c in REDUCIBLE - SALES_ONLY]


@given(st.lists(st.sampled_from(BREAKABLE), min_size=1, max_size=8, unique=True))
def test_denials_come_in_order_of_precedence(wrong):
    """Whatever else is wrong, the kill switch is what is reported."""
    changes: dict[str, Any] = {"limits": Limits(row for row in LIMITS.rows() if row.code not in wrong)}
    for each in wrong:
        changes |= WRONG.get(each, {})
    assert other(**changes) is min(wrong, key=list(RiskCode).index)


def test_every_code_has_its_control_its_place_and_its_words():
    """A code nobody returns is a promise nobody keeps, and one without words is no help."""
    assert list(CONTROLS) == [c for c in RiskCode if c is not RiskCode.ACCEPTED]
    assert set(PUBLISHED) == set(RiskCode)
    assert all(words.meaning and words.remedy for words in PUBLISHED.values())


def test_default_limits_cover_every_code_once():
    """A new installation would deny everything for want of a row."""
    assert sorted(limit.code for limit in DEFAULT_LIMITS) == sorted(LimitCode)


@pytest.mark.parametrize(
    ("limit", "tighter", "looser"), [(LimitCode.MAX_GROSS, 1, 3), (LimitCode.SIMILAR_ORDER, 11, 9)]
)
def test_which_way_is_looser(limit, tighter, looser):
    """The window for similar orders is tighter when it is longer."""
    row = next(row for row in DEFAULT_LIMITS if row.code is limit)
    assert not row.is_loosened_by(D(tighter))
    assert not row.is_loosened_by(row.value)
    assert row.is_loosened_by(D(looser))
