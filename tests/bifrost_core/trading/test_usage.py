"""What is used of each limit is what its control compares."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk import DayState, Quote, SymbolFacts
from bifrost_core.trading.risk.usage import usage
from bifrost_core.trading.terms import Side
from tests.bifrost_core.trading.test_risk import NOW, Scene, held

D = Decimal
OF_ONE_ORDER = {
    "PRICE_COLLAR", "QUOTE_COLLAR", "MAX_ORDER_QTY", "MAX_ORDER_VALUE", "SIMILAR_ORDER", "SHORT_LOCATE", "SIGNAL_STALE",
    "MIN_TRADE_VALUE",
}  # fmt: skip
OF_ONE_BATCH = {"MAX_GROSS_JUMP", "MAX_WEIGHT_JUMP", "MAX_TARGETS"}
OF_THE_SENDER = {"MESSAGE_RATE", "MESSAGE_BURST", "CANCEL_RESERVE"}
BUSY = Scene(
    equity=D(20_000),
    tally={
        "exposures": held("AAPL", 50, buying=30, selling=100) | held("IBM", 0),
        "reserved": D(3_000),
        "value": D(4_000),
        "orders": 7,
        "backlog": 2,
        "executions": {("AAPL", Side.BUY): 2, ("IBM", Side.SELL): 3},
    },
    quote=Quote(D(96), NOW - timedelta(seconds=30)),
    facts=SymbolFacts(D(100), D(80), D(10_000), "tech"),
    others={"day": DayState(D(25_000), D(40_000), D(19_000)), "reconciled_at": NOW - timedelta(seconds=60)},
)


def test_each_limit_that_fills_up_is_reckoned():
    """A gauge that is not what the control compares says that there is room where there is none."""
    assert usage(BUSY.context()) == {
        LimitCode.MAX_POSITION: D(8_000),
        LimitCode.MAX_GROSS: D("0.4"),
        LimitCode.MAX_NET: D("0.4"),
        LimitCode.MAX_LEVERAGE: D("0.1"),
        LimitCode.MAX_CONCENTRATION: D("0.4"),
        LimitCode.MAX_SECTOR: D("0.4"),
        LimitCode.BUYING_POWER: D("0.4"),
        LimitCode.DAILY_LOSS_REDUCE: D("0.24"),
        LimitCode.DAILY_LOSS_HALT: D("0.24"),
        LimitCode.DRAWDOWN_REDUCE: D("0.525"),
        LimitCode.DRAWDOWN_HALT: D("0.525"),
        LimitCode.MAX_DAILY_VALUE: D(4_000),
        LimitCode.MAX_DAILY_ORDERS: D(7),
        LimitCode.REPEATED_EXECUTIONS: D(3),
        LimitCode.MESSAGE_BACKLOG: D(2),
        LimitCode.MAX_ADV: D("0.01"),
        LimitCode.NOT_RECONCILED: D(60),
        LimitCode.CLOCK_SKEW: D(0),
        LimitCode.SESSION_CLOSED: D(0),
        LimitCode.PRICE_STALE: D(30),
        LimitCode.PRICE_JUMP: D(400),
        LimitCode.PERIOD_COLLAR: D(2_000),
        LimitCode.SHORT_SALE_PRICE: D("0.04"),
    }


def test_the_others_are_about_one_order_or_one_batch():
    """A new limit has a headroom, or somebody has said why not."""
    assert set(LimitCode) - set(usage(BUSY.context())) == OF_ONE_ORDER | OF_ONE_BATCH | OF_THE_SENDER


@pytest.mark.parametrize(
    ("scene", "unknown"),
    [
        ({"tally": BUSY.tally | {"prices": {}}}, {"MAX_POSITION", "MAX_GROSS", "BUYING_POWER"}),
        ({"equity": None}, {"MAX_GROSS", "DAILY_LOSS_HALT", "DRAWDOWN_REDUCE"}),
        ({"quote": None}, {"PRICE_STALE", "PRICE_JUMP", "PERIOD_COLLAR", "SHORT_SALE_PRICE"}),
        ({"facts": SymbolFacts()}, {"MAX_ADV", "PRICE_JUMP", "PERIOD_COLLAR", "SHORT_SALE_PRICE"}),
        ({"others": {"reconciled_at": None, "clock_skew": None, "session": None}},
         {"NOT_RECONCILED", "CLOCK_SKEW", "SESSION_CLOSED"}),
    ],
)  # fmt: skip
def test_what_is_not_known_is_left_out(scene, unknown):
    """Nothing rather than a number that is too small."""
    assert unknown & set(usage(replace(BUSY, **scene).context())) == set()


def test_a_gain_uses_nothing_of_a_limit_on_losses():
    """A headroom above the limit would be read as one that somebody raised."""
    rich = replace(BUSY, equity=D(50_000), others={"day": DayState(D(25_000), D(40_000), D(50_000))})
    assert usage(rich.context())[LimitCode.DAILY_LOSS_HALT] == 0
