"""Which bars are refused, and that every other one is kept."""

from __future__ import annotations

from datetime import date, timedelta
from math import inf, nan

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_assets.market_data.bars import in_schema, sift
from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_core.errors import ProviderError

DAY = date(2013, 2, 15)  # a Friday; Monday the 18th was a holiday
SCHEMA = {"symbol": pl.String, **BAR_SCHEMA}
SESSIONS = [date(2013, 2, 14), DAY, date(2013, 2, 19), date(2013, 2, 20)]
GOOD = {
    "symbol": "IBM",
    "session": DAY,
    "open": 10.0,
    "high": 12.0,
    "low": 9.0,
    "close": 11.0,
    "volume": 100.0,
    "vendor_adj_close": 11.0,
}


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([GOOD | row for row in rows], schema=SCHEMA)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"session": None}, "the session is missing"),
        ({"close": None}, "a price or the volume is missing"),
        ({"volume": None}, "a price or the volume is missing"),
        ({"open": nan}, "a price or the volume is not a finite number"),
        ({"high": inf}, "a price or the volume is not a finite number"),
        ({"low": -9.0}, "a price is not positive"),
        ({"low": 0.0}, "a price is not positive"),
        ({"volume": -1.0}, "the volume is negative"),
        ({"low": 10.5}, "low and high do not bound open and close"),
        ({"high": 10.5}, "low and high do not bound open and close"),
        ({"session": date(2013, 2, 21)}, "the session is not over"),
        ({"session": date(2013, 2, 16)}, "the exchange does not trade on weekends"),
        ({"session": date(2013, 2, 18)}, "the exchange did not trade on that day"),
    ],
)
def test_a_bad_bar_is_held_with_its_reason_and_the_good_one_kept(change: dict[str, object], reason: str) -> None:
    """A bad row would reach the warehouse, or take the good ones down with it."""
    sifted = sift(frame({"session": SESSIONS[0]}, change), SESSIONS, SESSIONS[-1])
    assert sifted.good["session"].to_list() == [SESSIONS[0]]
    assert sifted.bad["reason"].to_list() == [reason]


def test_a_missing_adjusted_close_is_no_fault() -> None:
    """Providers without adjusted prices could not be used."""
    assert sift(frame({"vendor_adj_close": None}), SESSIONS, SESSIONS[-1]).good.height == 1


def test_one_of_equal_rows_stays() -> None:
    """A session sent twice would break the key, or be lost."""
    sifted = sift(frame({}, {}), SESSIONS, SESSIONS[-1])
    assert sifted.good.height == 1
    assert sifted.bad["reason"].to_list() == ["the session has the same bar twice"]


def test_no_one_of_contradicting_rows_is_believed() -> None:
    """Which of two bars is right would be decided by their order."""
    sifted = sift(frame({}, {"close": 10.0}), SESSIONS, SESSIONS[-1])
    assert sifted.good.is_empty()
    assert sifted.bad["reason"].to_list() == ["the session has different bars"] * 2


def test_a_bad_row_does_not_condemn_a_good_one_of_its_session() -> None:
    """A null row beside the real one, as Yahoo sends before the close is final, would cost the session."""
    sifted = sift(frame({}, {"close": None}), SESSIONS, SESSIONS[-1])
    assert sifted.good.height == 1


def test_a_changed_format_is_said() -> None:
    """A renamed column would be a KeyError from somewhere inside polars."""
    with pytest.raises(ProviderError, match="no column close"):
        in_schema(frame({}).drop("close"))
    with pytest.raises(ProviderError, match="not numbers and dates"):
        in_schema(frame({}).with_columns(close=pl.lit("eleven")))


values = st.one_of(st.none(), st.floats(-10, 100), st.sampled_from([nan, inf, 0.0, 10.0]))
rows = st.fixed_dictionaries(
    {name: values for name in BAR_SCHEMA if name != "session"}
    | {"symbol": st.sampled_from(["IBM", "MSFT"])}
    | {"session": st.one_of(st.none(), st.integers(0, 9).map(lambda n: DAY + timedelta(days=n)))}
)


@given(st.lists(rows, max_size=12))
def test_every_row_is_good_or_bad_never_both_or_neither(drawn: list[dict[str, object]]) -> None:
    """A row that fits no rule would vanish: nothing may be dropped silently."""
    sifted = sift(pl.DataFrame(drawn, schema=SCHEMA), SESSIONS, SESSIONS[-1])
    assert sifted.good.height + sifted.bad.height == len(drawn)
    assert sifted.bad["reason"].null_count() == 0
    assert sifted.good["session"].is_in(SESSIONS).all()
    assert sifted.good.select(pl.struct("symbol", "session").is_unique().all()).item()
    good = sifted.good
    assert (good["low"] > 0).all()
    assert (good["high"] >= good["low"]).all()
