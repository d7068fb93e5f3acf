"""The gate: what it holds, and what it lets through although it looks wrong."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_assets.market_data.quality.gate import implausible
from bifrost_assets.market_data.quality.measures import NO_ACTIONS
from bifrost_core.calendar import sessions_between
from bifrost_core.thresholds import Thresholds

LIMITS = Thresholds()
DAYS = [s.session for s in sessions_between("XNYS", date(2012, 1, 3), date(2012, 6, 29))]


def walk(count: int, start: float = 100.0) -> pl.DataFrame:
    """Bars that move one percent up and down in turn, with a fifth more or less volume."""
    closes = [start * (1.01 if n % 2 else 1.0) for n in range(count)]
    rows = [
        (DAYS[n], close * 0.998, close * 1.004, close * 0.996, close, 1e6 * (1.2 if n % 3 else 0.8) + n, close)
        for n, close in enumerate(closes)
    ]
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row").with_columns(instrument_id=pl.lit(1, pl.Int32))


def scaled(bars: pl.DataFrame, first: int, last: int, factor: float, volume: float = 1.0) -> pl.DataFrame:
    """`bars` with the prices of rows first..last multiplied."""
    hit = pl.int_range(pl.len()).is_between(first, last)
    prices = [pl.when(hit).then(pl.col(n) * factor).otherwise(pl.col(n)) for n in ("open", "high", "low", "close")]
    traded = pl.when(hit).then(pl.col("volume") * volume).otherwise(pl.col("volume"))
    return bars.with_columns(*prices, volume=traded)


def held(bars: pl.DataFrame, stored: int = 60, actions: pl.DataFrame = NO_ACTIONS) -> list[date]:
    """Sessions held of the bars after the first `stored`, which are in the warehouse."""
    rows = implausible(bars.slice(stored), bars.head(stored), actions, LIMITS)
    return rows["session"].to_list()


@pytest.mark.parametrize("factor", [1000.0, 100.0, 10.0, 0.1, 0.01, 0.001])
def test_another_unit_is_held_for_as_long_as_it_lasts(factor: float) -> None:
    """A vendor that turns to pence turns every average over the window to nonsense."""
    assert held(scaled(walk(70), 62, 65, factor)) == DAYS[62:66]


def test_a_night_alone_is_enough_for_another_unit() -> None:
    """At night nobody knows what follows."""
    assert held(scaled(walk(61), 60, 60, 100.0)) == [DAYS[60]]


@pytest.mark.parametrize(("factor", "volume"), [(0.1, 20.0), (0.48, 1.0), (0.48, 13.0), (2.0, 1.0)])
def test_a_collapse_is_let_through(factor: float, volume: float) -> None:
    """Shares do fall by half, and by nine tenths when everybody sells: the worst day is the one to have."""
    assert held(scaled(walk(70), 62, 69, factor, volume)) == []


def test_a_split_is_no_jump() -> None:
    """Every split would be held."""
    actions = pl.DataFrame([(1, DAYS[62], 0.1, 1.0)], schema=NO_ACTIONS.schema, orient="row")
    assert held(scaled(walk(70), 62, 69, 0.1, 10.0), actions=actions) == []


def test_a_split_on_a_session_without_a_bar_is_still_known() -> None:
    """After a lost session the next bar would look like a jump."""
    actions = pl.DataFrame([(1, DAYS[62], 0.1, 1.0)], schema=NO_ACTIONS.schema, orient="row")
    bars = scaled(walk(70), 62, 69, 0.1).filter(pl.col("session") != DAYS[62])
    assert held(bars, actions=actions) == []


def test_a_history_load_holds_what_the_nights_would_hold() -> None:
    """A backfill that knows the next day stores another past than the one that was traded on: a look ahead."""
    bars = scaled(scaled(walk(70), 62, 62, 1.5), 66, 66, 100.0)
    by_night = []
    for n in range(60, 70):
        stored = bars.head(n).filter(~pl.col("session").is_in(by_night))
        by_night += implausible(bars.slice(n, 1), stored, NO_ACTIONS, LIMITS)["session"].to_list()
    assert held(bars) == by_night == [DAYS[66]]


def test_the_bar_of_the_session_before_again_is_held() -> None:
    """A vendor that has no new bar and sends the old one invents a day without return."""
    bars = walk(70)
    again = bars.slice(63, 1).with_columns(session=pl.lit(DAYS[64]))
    assert held(pl.concat([bars.head(64), again, bars.slice(65)])) == [DAYS[64]]


def test_a_suspended_share_is_not_held() -> None:
    """One price and no volume for days is what a halt looks like."""
    bars, flat = walk(70), pl.int_range(pl.len()) >= 62
    frozen = [pl.when(flat).then(100.0).otherwise(pl.col(n)).alias(n) for n in ("open", "high", "low", "close")]
    assert held(bars.with_columns(*frozen, volume=pl.when(flat).then(0.0).otherwise("volume"))) == []


@pytest.mark.parametrize(("name", "factor"), [("high", 10.0), ("low", 0.1)])
def test_a_high_or_low_of_another_scale_is_held(name: str, factor: float) -> None:
    """Ranges and volatilities would be off by a thousand percent, closes would not."""
    hit = pl.int_range(pl.len()) == 64
    assert held(walk(70).with_columns(pl.when(hit).then(pl.col(name) * factor).otherwise(pl.col(name)))) == [DAYS[64]]


def test_without_any_history_the_first_bars_are_believed() -> None:
    """The first load of all would hold everything."""
    assert held(walk(3), stored=0) == []
    assert implausible(walk(0), walk(0), NO_ACTIONS, LIMITS).is_empty()


def test_what_is_held_is_what_was_sent() -> None:
    """A row that is changed on its way into quarantine is no evidence."""
    bars = scaled(walk(61), 60, 60, 100.0)
    rows = implausible(bars.slice(60), bars.head(60), NO_ACTIONS, LIMITS)
    assert rows.drop("reason").equals(bars.slice(60))
    assert rows.columns == [*bars.columns, "reason"]
