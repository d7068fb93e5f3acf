"""Risk: both sides of every edge, precedence, and what is missing denies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.limits import DEFAULT_LIMITS, Limit, LimitCode, Limits
from bifrost_core.trading.risk import CONTROLS, Context, Exposure, Proposal, Quote, RiskCode, decide
from bifrost_core.trading.terms import Side

NOW = datetime(2013, 2, 20, 14, 0, tzinfo=UTC)
D = Decimal
LIMITS = Limits(
    [
        Limit(LimitCode.PRICE_STALE, D(3600), "seconds"),
        Limit(LimitCode.PRICE_COLLAR, D(100), "bps"),
        Limit(LimitCode.MAX_ORDER_VALUE, D(10_000), "usd"),
        Limit(LimitCode.MAX_POSITION, D(15_000), "usd"),
        Limit(LimitCode.MAX_GROSS, D("1.5"), "equity_fraction"),
    ]
)
ORDER = Proposal(
    "id", "paper", ("m",), "AAPL", Side.BUY, D(100), D(100), NOW - timedelta(minutes=30), NOW + timedelta(hours=7)
)
CONTEXT = Context(
    now=NOW,
    limits=LIMITS,
    equity=D(20_000),
    exposures={},
    prices={"AAPL": D(100), "IBM": D(200)},
    last_trades={"AAPL": Quote(D(100), NOW - timedelta(minutes=10))},
)


def code(order: Proposal = ORDER, **changes: object) -> RiskCode | None:
    denied = decide(order, replace(CONTEXT, **changes))  # type: ignore[arg-type]
    return denied.code if denied else None


def without(dropped: LimitCode) -> Limits:
    values = {c: LIMITS.value(c) for c in LimitCode}
    return Limits(Limit(c, v, "") for c, v in values.items() if v is not None and c is not dropped)


def held(symbol: str, shares: int, buying: int = 0, selling: int = 0) -> dict[str, Exposure]:
    return {symbol: Exposure(D(shares), D(buying), D(selling))}


def test_a_sound_order_passes():
    """Nothing would ever be traded."""
    assert code() is None


@pytest.mark.parametrize("switch", [("global", "*"), ("account", "paper"), ("symbol", "AAPL"), ("strategy", "m")])
def test_kill_switch_in_each_scope(switch):
    """A switch that does not stop its scope is worse than none."""
    assert code(kill_switches={switch}) is RiskCode.KILL_SWITCH


@pytest.mark.parametrize("switch", [("account", "live"), ("symbol", "IBM"), ("strategy", "n"), ("global", "AAPL")])
def test_kill_switch_of_another_scope(switch):
    """One symbol's switch must not stop the shop."""
    assert code(kill_switches={switch}) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (ORDER.valid_from - timedelta(microseconds=1), RiskCode.SIGNAL_INVALID),
        (ORDER.valid_from, None),
        (ORDER.valid_until - timedelta(microseconds=1), None),
        (ORDER.valid_until, RiskCode.SIGNAL_INVALID),
    ],
)
def test_validity_edges(now, expected):
    """Yesterday's signal traded today, or tomorrow's too early."""
    assert code(now=now, last_trades={"AAPL": Quote(D(100), now)}) is expected


def test_duplicates_blocks_and_restrictions():
    """Each stops the order under its own code."""
    assert code(known_ids={"id"}) is RiskCode.DUPLICATE_ORDER
    assert code(blocked={"AAPL": "x"}) is RiskCode.SYMBOL_BLOCKED
    assert code(blocked={"*": "x"}) is RiskCode.SYMBOL_BLOCKED
    assert code(blocked={"IBM": "x"}) is None
    assert code(restricted={"AAPL": ""}) is RiskCode.RESTRICTED
    assert code(restricted={"IBM": "x"}) is None


@pytest.mark.parametrize("bad", [None, D("NaN"), D("Infinity"), D(0), D(-1)])
def test_unusable_prices_and_quantities_deny(bad):
    """NaN passes every comparison that is written the wrong way round."""
    assert code(replace(ORDER, reference_price=bad)) is RiskCode.PRICE_MISSING
    if bad is not None:
        assert code(replace(ORDER, qty=bad)) is RiskCode.PRICE_MISSING
    trades = {} if bad is None else {"AAPL": Quote(bad, NOW)}
    assert code(last_trades=trades) is RiskCode.PRICE_MISSING


@pytest.mark.parametrize(
    ("age_seconds", "expected"),
    [(3600, None), (3601, RiskCode.PRICE_STALE), (-5, None), (-6, RiskCode.PRICE_STALE)],
)
def test_staleness_edges(age_seconds, expected):
    """A price of the day before yesterday, or of tomorrow, is no price."""
    at = NOW - timedelta(seconds=age_seconds)
    assert code(last_trades={"AAPL": Quote(D(100), at)}) is expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("101", None), ("101.01", RiskCode.PRICE_COLLAR), ("99", None), ("98.99", RiskCode.PRICE_COLLAR)],
)
def test_collar_edges(reference, expected):
    """100 bps of a last trade of 100 is one dollar, either way."""
    order = replace(ORDER, reference_price=D(reference), qty=D(50))
    assert code(order) is expected


@pytest.mark.parametrize(("qty", "expected"), [(100, None), (101, RiskCode.MAX_ORDER_VALUE)])
def test_order_value_edges(qty, expected):
    """A fat finger."""
    assert code(replace(ORDER, qty=D(qty))) is expected


@pytest.mark.parametrize(
    ("exposures", "expected"),
    [
        (held("AAPL", 50), None),
        (held("AAPL", 51), RiskCode.MAX_POSITION),
        (held("AAPL", 0, buying=51), RiskCode.MAX_POSITION),  # working orders count
        (held("AAPL", 51, selling=51), RiskCode.MAX_POSITION),  # the sale may not come about
        (held("AAPL", -400), None),  # buying back
    ],
)
def test_position_edges(exposures, expected):
    """The worst case of the symbol is what counts, not the hoped-for one."""
    assert code(exposures=exposures, equity=D(10_000_000)) is expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (held("IBM", 100), None),
        (held("IBM", 101), RiskCode.MAX_GROSS),
        (held("IBM", -101), RiskCode.MAX_GROSS),
        (held("IBM", 0, buying=60, selling=101), RiskCode.MAX_GROSS),
    ],
)
def test_gross_edges(other, expected):
    """1.5 x 20,000 = 30,000: this order's 10,000 and others' 20,000."""
    assert code(exposures=other) is expected


@pytest.mark.parametrize("equity", [None, D("NaN"), D(0), D(-1)])
def test_gross_needs_an_equity(equity):
    """No equity, no new exposure."""
    assert code(equity=equity) is RiskCode.MAX_GROSS


def test_gross_needs_every_price():
    """A position without a price could be of any size."""
    assert code(exposures=held("FB", 1)) is RiskCode.MAX_GROSS


@pytest.mark.parametrize(
    "limit",
    [
        LimitCode.PRICE_STALE,
        LimitCode.PRICE_COLLAR,
        LimitCode.MAX_ORDER_VALUE,
        LimitCode.MAX_POSITION,
        LimitCode.MAX_GROSS,
    ],
)
@pytest.mark.parametrize("value", [None, D("NaN"), D("Infinity"), D(-1)])
def test_a_missing_or_broken_limit_denies_under_its_own_code(limit, value):
    """A limit row that was never written, or holds NaN, must not mean 'unlimited'."""
    limits = without(limit)
    if value is not None:
        known = [Limit(c, v, "") for c in LimitCode if (v := limits.value(c)) is not None]
        limits = Limits([*known, Limit(limit, value, "")])
    assert code(limits=limits) is RiskCode(limit.value)


@given(st.integers(-500, 500), st.integers(0, 500), st.integers(0, 500), st.sampled_from(Side), st.integers(1, 100))
def test_reducing_is_never_denied_by_exposure_limits(shares, buying, selling, side, qty):
    """A book over its limits could never be brought back under them."""
    before = Exposure(D(shares), D(buying), D(selling))
    if before.plus(side, D(qty)).worst > before.worst:
        return
    order = replace(ORDER, side=side, qty=D(qty))
    assert code(order, exposures={"AAPL": before}, equity=D(1)) is None


@given(st.permutations(list(RiskCode)[:-1]), st.integers(1, 11))
def test_denials_come_in_order_of_precedence(shuffled, count):
    """Whatever else is wrong, the kill switch is what is reported."""
    wrong = set(shuffled[:count])
    assert decide_all_wrong(wrong) is min(wrong, key=list(RiskCode).index)


def decide_all_wrong(wrong: set[RiskCode]) -> RiskCode | None:
    """The code reported for an order at which every control of `wrong`, and no other, has something to find."""
    denials = {c: CONTROLS[c] for c in CONTROLS}
    broken = replace(
        CONTEXT,
        kill_switches={("global", "*")} if RiskCode.KILL_SWITCH in wrong else (),
        known_ids={"id"} if RiskCode.DUPLICATE_ORDER in wrong else (),
        blocked={"AAPL": "x"} if RiskCode.SYMBOL_BLOCKED in wrong else {},
        restricted={"AAPL": "x"} if RiskCode.RESTRICTED in wrong else {},
        limits=Limits(
            Limit(c, v, "")
            for c in LimitCode
            if (v := LIMITS.value(c)) is not None and c.value not in {w.value for w in wrong}
        ),
        last_trades={} if RiskCode.PRICE_MISSING in wrong else CONTEXT.last_trades,
    )
    order = replace(ORDER, valid_until=NOW) if RiskCode.SIGNAL_INVALID in wrong else ORDER
    assert list(denials) == [c for c in RiskCode if c in denials]
    found = decide(order, broken)
    return found.code if found else None


def test_every_code_has_its_control():
    """A code nobody returns is a promise nobody keeps."""
    assert set(CONTROLS) == set(RiskCode) - {RiskCode.ACCEPTED}


def test_default_limits_cover_every_code_once():
    """A new installation would deny everything for want of a row."""
    assert sorted(limit.code for limit in DEFAULT_LIMITS) == sorted(LimitCode)
