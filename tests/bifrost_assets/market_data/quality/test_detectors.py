"""Scores look back only, name the error and not its neighbour, and say nothing of ordinary days."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.market_data.quality.detectors import ALL, OUT_OF_STEP, doubted, scored
from bifrost_assets.market_data.quality.measures import NO_ACTIONS
from bifrost_core.settings import load_settings
from bifrost_core.thresholds import Thresholds
from tests.bifrost_assets.market_data.quality.test_gate import DAYS, scaled, walk

LIMITS = Thresholds()


def reasons(bars: pl.DataFrame, actions: pl.DataFrame = NO_ACTIONS) -> dict[date, str]:
    rows = doubted(scored(bars, actions, LIMITS), LIMITS)
    return dict(rows.select("session", "reason").iter_rows())


def factors(*rows: tuple[int, float, float]) -> pl.DataFrame:
    """Split and dividend factors of instrument 1 by the number of the day."""
    return pl.DataFrame([(1, DAYS[n], s, d) for n, s, d in rows], schema=NO_ACTIONS.schema, orient="row")


def changed(at: int, **values: float) -> pl.DataFrame:
    hit = pl.int_range(pl.len()) == at
    columns = [pl.when(hit).then(value).otherwise(pl.col(name)).alias(name) for name, value in values.items()]
    return walk(70).with_columns(columns)


def test_ordinary_days_are_not_doubted() -> None:
    """A list of doubts that is always long is never read."""
    assert reasons(walk(70)) == {}


def test_a_jump_is_named_once_and_not_the_way_back() -> None:
    """The bar after an error is right, and would be withdrawn with it."""
    found = reasons(scaled(walk(70), 64, 64, 1.5))
    jump, spike = (
        "the close jumps without an action or the volume of news",
        "the close jumps, and the next bar takes it back",
    )
    assert found == {DAYS[64]: f"{jump}; {spike}"}
    assert reasons(scaled(walk(65), 64, 64, 1.5)) == {DAYS[64]: jump}, "tonight nobody knows what follows"


def test_a_jump_with_the_volume_of_news_is_believed() -> None:
    """AAPL lost half its value on 2000-09-29, at 27 times its usual volume."""
    assert reasons(scaled(walk(70), 64, 69, 0.8, 20.0)) == {}


def test_a_split_that_prices_do_not_show_is_a_jump() -> None:
    """The vendor names the split, and goes on with the old prices: every return before it is halved."""
    assert list(reasons(walk(70), factors((64, 0.5, 1.0)))) == [DAYS[64]]
    assert reasons(scaled(walk(70), 64, 69, 0.5, 2.0), factors((64, 0.5, 1.0))) == {}


@pytest.mark.parametrize(
    ("rows", "doubtful"),
    [
        (((64, 1.0, 0.99),), []),
        (((64, 1.0, 1.01),), [64]),
        (((64, 1.0, 0.7),), [64]),
        (((64, 1.0, 0.997), (65, 1.0, 1 / 0.997)), [64]),
    ],
    ids=["a dividend", "a negative one", "one of 30 %", "one that is taken back"],
)
def test_dividends_that_cannot_be(rows: tuple[tuple[int, float, float], ...], doubtful: list[int]) -> None:
    """Read off adjusted closes they are wrong closes: the adjusted close knew better."""
    assert list(reasons(walk(70), factors(*rows))) == [DAYS[n] for n in doubtful]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"volume": 1e8}, "many times the usual"),
        ({"volume": 1e4}, "small share of the usual"),
        ({"volume": 0.0}, "small share of the usual"),
        ({"high": 130.0}, "far beyond open and close"),
        ({"open": 101.0, "high": 101.0, "low": 101.0, "close": 101.0}, "one price"),
        ({"open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0}, "whole number"),
    ],
)
def test_each_kind_has_its_words(values: dict[str, float], says: str) -> None:
    """A person decides by the reason."""
    found = reasons(changed(64, **values))
    assert list(found) == [DAYS[64]]
    assert says in found[DAYS[64]]


def test_a_close_that_does_not_move_for_days_is_doubted() -> None:
    """A feed that hangs repeats its last close under new volumes."""
    hangs = pl.int_range(pl.len()).is_between(60, 64)
    bars = walk(70).with_columns(close=pl.when(hangs).then(100.1).otherwise(pl.col("close")))
    assert reasons(bars) == dict.fromkeys(DAYS[63:65], "the close has not changed for sessions")


def test_a_score_of_one_instrument_without_actions_never_looks_ahead() -> None:
    """A night would judge other than a backfill, and the false alarms of one would say nothing of the other.

    Only a spike is one by what follows it, and whoever is one is a jump already.
    """
    bars = scaled(walk(70), 40, 40, 1.3)
    whole = scored(bars, NO_ACTIONS, LIMITS)
    for n in (30, 41, 55):
        cut = scored(bars.head(n), NO_ACTIONS, LIMITS)
        assert cut.drop("spike").equals(whole.head(n).drop("spike"))


def test_a_series_a_session_late_is_named_once() -> None:
    """Every signal on it would trade on yesterday's news, and look like skill."""
    fetched = SampleProvider(load_settings()).fetch(["IBM", "SPX"], date(2010, 1, 4), date(2010, 12, 31))
    ibm, index = (one.bars.with_columns(instrument_id=pl.lit(n, pl.Int32)) for n, one in enumerate(fetched.loaded, 1))
    late = ibm.with_columns(pl.exclude("session", "instrument_id").shift(1)).slice(1)
    for bars, named in ((ibm, []), (late, [1])):
        rows = doubted(scored(pl.concat([bars, index]), NO_ACTIONS, LIMITS, benchmark=2), LIMITS)
        assert rows["instrument_id"].to_list() == named
    assert rows["reason"].to_list() == [OUT_OF_STEP.words]


def test_every_detector_has_a_name_and_words_of_its_own() -> None:
    """Two with one name would overwrite each other's column."""
    assert len({one.name for one in ALL}) == len({one.words for one in ALL}) == len(ALL)
