"""Splits and dividends, read off adjusted closes."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_assets.market_data.actions import derive_actions
from bifrost_assets.market_data.providers import provider_of
from bifrost_core.settings import load_settings

FIRST = date(2013, 1, 2)


def bars(closes: list[float], adjusted: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "instrument_id": [1] * len(closes),
            "session": [FIRST + timedelta(days=n) for n in range(len(closes))],
            "close": closes,
            "vendor_adj_close": adjusted,
        }
    )


def sample_actions(symbol: str) -> dict[date, tuple[str, float]]:
    provider = provider_of(load_settings())
    [one] = provider.fetch([symbol], date(2000, 1, 3), date(2013, 3, 1)).loaded
    found = derive_actions(one.bars.with_columns(instrument_id=pl.lit(1)), provider.price_unit)
    return {row["ex_session"]: (row["kind"], row["price_factor"]) for row in found.to_dicts()}


def test_the_known_splits_come_out_as_splits_of_exactly_one_half() -> None:
    """AAPL 2000 and 2005, MSFT 2003: a split taken for a dividend, or for 0.4999, distorts all prices before it."""
    apple, microsoft = sample_actions("AAPL"), sample_actions("MSFT")
    assert {day: a for day, a in apple.items() if a[0] == "split"} == {
        date(2000, 6, 21): ("split", 0.5),
        date(2005, 2, 28): ("split", 0.5),
    }
    assert {day: a for day, a in microsoft.items() if a[0] == "split"} == {date(2003, 2, 18): ("split", 0.5)}


def test_the_special_dividend_is_a_dividend() -> None:
    """Microsoft's 3.08 USD of November 2004 is a tenth of the price, and no 10-for-9 split."""
    kind, factor = sample_actions("MSFT")[date(2004, 11, 15)]
    assert kind == "cash_dividend"
    assert factor == pytest.approx(1 - 3.08 / 29.97, abs=3e-3)


def test_quarterly_dividends_are_found_and_nothing_else() -> None:
    """IBM paid 52 dividends in these years; Google and Facebook none."""
    ibm = sample_actions("IBM")
    assert len(ibm) == 52
    assert all(kind == "cash_dividend" and 0.98 < factor < 1 for kind, factor in ibm.values())
    assert sample_actions("GOOG") == sample_actions("FB") == {}


@given(st.lists(st.integers(500, 20_000), min_size=2, max_size=40), st.floats(0.05, 1))
def test_rounding_to_cents_is_no_action(cents: list[int], level: float) -> None:
    """A vendor that rounds adjusted closes to cents would give a 'dividend' on every session."""
    closes = [c / 100 for c in cents]
    assert derive_actions(bars(closes, [round(c * level, 2) for c in closes]), 0.01).is_empty()


def test_a_split_is_found_through_rounding_to_cents() -> None:
    """The factor of a rounded split is 0.50013, which would leave a trace in every return around it."""
    closes = [90.13, 91.27, 45.41, 45.77]
    adjusted = [round(c * f, 2) for c, f in zip(closes, (0.25, 0.25, 0.5, 0.5), strict=True)]
    [row] = derive_actions(bars(closes, adjusted), 0.01).to_dicts()
    assert (row["ex_session"], row["kind"], row["price_factor"]) == (FIRST + timedelta(days=2), "split", 0.5)


def test_a_later_session_never_changes_what_was_found() -> None:
    """An action that depends on the future would be look-ahead in every return."""
    provider = provider_of(load_settings())
    [one] = provider.fetch(["IBM"], date(2000, 1, 3), date(2013, 3, 1)).loaded
    history = one.bars.with_columns(instrument_id=pl.lit(1))
    until = date(2006, 8, 8)
    known = derive_actions(history.filter(pl.col("session") <= until), provider.price_unit)
    whole = derive_actions(history, provider.price_unit)
    assert known.equals(whole.filter(pl.col("ex_session") <= until))


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_adjusted_closes_come_out_as_the_vendors(symbol: str) -> None:
    """Thirteen years of factors, each rounded, multiply: an action missed or found twice shows in all prices before it.

    The vendor's closes are adjusted for what came after the sample as well, which is one factor for all of them.
    """
    provider = provider_of(load_settings())
    [one] = provider.fetch([symbol], date(2000, 1, 3), date(2013, 3, 1)).loaded
    history = one.bars.with_columns(instrument_id=pl.lit(1))
    factors = derive_actions(history, provider.price_unit).select(session="ex_session", factor="price_factor")
    later = pl.col("factor").fill_null(1.0).cum_prod(reverse=True).shift(-1, fill_value=1.0)
    ours = history.join(factors, on="session", how="left", maintain_order="left").select(later * pl.col("close"))
    vendors = history["vendor_adj_close"] * (history["close"][-1] / history["vendor_adj_close"][-1])
    gap = (ours.to_series() / vendors - 1).abs().max()
    assert isinstance(gap, float)
    assert gap < 1e-4
