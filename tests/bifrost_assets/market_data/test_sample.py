"""The shipped bars are what they are said to be."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from bifrost_assets.market_data.bars import sift
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import Listing, SymbolError
from bifrost_core.calendar import sessions_between
from bifrost_core.errors import ProviderError
from bifrost_core.settings import load_settings

FIRST, LAST = date(2000, 1, 3), date(2013, 3, 1)
PROVIDER = provider_of(load_settings())


@pytest.mark.parametrize(
    ("symbol", "listed_from"),
    [
        ("AAPL", date(2000, 3, 1)),
        ("FB", date(2012, 5, 18)),
        ("GOOG", date(2004, 8, 19)),
        ("IBM", date(2000, 3, 1)),
        ("MSFT", date(2000, 3, 1)),
        ("SPX", date(1999, 1, 4)),
    ],
)
def test_every_session_since_the_listing_is_there_and_none_is_refused(symbol: str, listed_from: date) -> None:
    """A gap or a refused row in the demo's data would show up as a failed check of a healthy system."""
    [one] = PROVIDER.fetch([symbol], FIRST, LAST).loaded
    sessions = [s.session for s in sessions_between("XNYS", max(FIRST, listed_from), LAST)]
    bars = one.bars.with_columns(symbol=pl.lit(symbol))
    assert sift(bars, sessions, LAST).good["session"].to_list() == sessions
    assert one.listed_from == listed_from


def test_unadjusted_closes_are_those_of_the_day() -> None:
    """Adjusted prices stored as traded prices make every past order wrong."""
    [apple] = PROVIDER.fetch(["AAPL"], date(2005, 2, 25), date(2005, 2, 28)).loaded
    assert apple.bars["close"].to_list() == [88.99, 44.86]


def test_rows_come_from_their_payload() -> None:
    """The hash beside each row would prove nothing."""
    import gzip
    import io

    [ibm] = PROVIDER.fetch(["IBM"], LAST, LAST).loaded
    source = pl.read_csv(io.BytesIO(gzip.decompress(ibm.payload.body)))
    row = source.filter((pl.col("Ticker") == "IBM") & (pl.col("Date") == str(LAST)))
    assert row["Close"].to_list() == ibm.bars["close"].to_list()


def test_later_sessions_are_refused_with_the_way_out() -> None:
    """A user who waits for today's bars from the sample would get silence."""
    with pytest.raises(ProviderError, match=r"no session after 2013-03-01.*BIFROST_PROVIDER=yahoo"):
        PROVIDER.fetch(["AAPL"], LAST, date(2013, 3, 4))


def test_an_unknown_symbol_is_named_and_the_others_answer() -> None:
    """One typing error would cost the whole universe."""
    fetched = PROVIDER.fetch(["IBM", "XYZ"], LAST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["IBM"]
    assert "no symbol XYZ" in fetched.failed[0].problem
    answers = PROVIDER.listings(["SPX", "XYZ"])
    assert isinstance(answers["XYZ"], SymbolError)
    assert isinstance(answers["SPX"], Listing)
    assert answers["SPX"].asset_class == "index"


def test_the_newest_session_is_the_last_shipped_one_or_the_last_closed_one() -> None:
    """The demo would ask for sessions that the sample lacks."""
    assert PROVIDER.latest_session() == LAST
    assert PROVIDER.latest_session(datetime(2013, 2, 28, 15, tzinfo=UTC)) == date(2013, 2, 27)
