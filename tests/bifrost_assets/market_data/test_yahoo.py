"""The real yfinance client against a loopback server that speaks the chart API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import BarProvider, Listing, SymbolError
from bifrost_core.settings import load_settings
from tests.bifrost_assets.market_data.yahoo_server import Listed, YahooServer, yahoo_server

FIRST, LAST = date(2013, 2, 14), date(2013, 2, 19)
FLAT = [
    (date(2013, 2, 14), 10.0, 11.0, 9.0, 10.5, 1000, 10.5),
    (date(2013, 2, 15), 10.5, 12.0, 10.0, 11.5, 1500, 11.5),
    (date(2013, 2, 19), 11.5, 12.5, 11.0, 12.0, 2000, 12.0),
]


@pytest.fixture
def vendor() -> Iterator[YahooServer]:
    with yahoo_server() as vendor:
        vendor.listed["AAPL"] = Listed(FLAT)
        yield vendor


@pytest.fixture
def provider(vendor: YahooServer, tmp_path: Path) -> BarProvider:
    return provider_of(load_settings(home=tmp_path, provider="yahoo", yahoo_url=vendor.url))


def failure(provider: BarProvider, symbol: str) -> SymbolError:
    fetched = provider.fetch(["AAPL", symbol], FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["AAPL"]
    [failed] = fetched.failed
    assert failed.symbol == symbol
    return failed


def test_bars_and_payload_come_from_one_answer(provider: BarProvider, vendor: YahooServer) -> None:
    """A row could not be shown to come from the payload stored with it."""
    fetched = provider.fetch(["AAPL"], FIRST, LAST)
    [aapl] = fetched.loaded
    assert aapl.bars.rows() == [(*row[:5], float(row[5]), row[6]) for row in FLAT]
    assert aapl.payload.content_type == "application/json"
    assert aapl.payload.body == vendor.answer("/v8/finance/chart/AAPL")[2]
    assert aapl.listed_from == date(1990, 1, 2)


def test_only_the_window_is_returned(provider: BarProvider) -> None:
    """Bars of sessions that nobody asked for would be stored with this load."""
    [aapl] = provider.fetch(["AAPL"], date(2013, 2, 15), date(2013, 2, 15)).loaded
    assert aapl.bars["session"].to_list() == [date(2013, 2, 15)]


def test_later_splits_are_taken_back_out(provider: BarProvider, vendor: YahooServer) -> None:
    """Yahoo restates all history at a split; stored as unadjusted, it would disagree with what was traded."""
    vendor.listed["KO"] = Listed(
        [
            (date(2013, 2, 14), 50.0, 51.0, 49.0, 50.5, 2000, 50.5),
            (date(2013, 2, 15), 50.0, 51.0, 49.0, 50.25, 3000, 50.25),
        ],
        splits=[(date(2013, 2, 15), 2, 1)],
    )
    [ko] = provider.fetch(["KO"], FIRST, LAST).loaded
    before, after = ko.bars.rows(named=True)
    assert (before["close"], before["volume"], before["vendor_adj_close"]) == (101.0, 1000.0, 50.5)
    assert (after["close"], after["volume"]) == (50.25, 3000.0)


def test_a_split_after_the_window_is_taken_back_out_too(provider: BarProvider, vendor: YahooServer) -> None:
    """A backfill of old sessions would store prices in today's shares."""
    vendor.listed["KO"] = Listed([*FLAT, (date(2020, 8, 31), 6.0, 6.5, 5.5, 6.0, 10, 6.0)], [(date(2020, 8, 31), 4, 1)])
    [ko] = provider.fetch(["KO"], FIRST, LAST).loaded
    assert ko.bars["close"].to_list() == [42.0, 46.0, 48.0]


def test_index_is_asked_under_yahoos_name(provider: BarProvider, vendor: YahooServer) -> None:
    """The benchmark is SPX here and ^GSPC there."""
    vendor.listed["^GSPC"] = Listed(FLAT, kind="INDEX")
    answers = provider.listings(["SPX", "AAPL"])
    assert answers["SPX"] == Listing("SPX", "^GSPC Incorporated", "index", "USD", date(1990, 1, 2))
    assert isinstance(answers["AAPL"], Listing)
    assert answers["AAPL"].asset_class == "equity"


def test_null_volume_stays_null(provider: BarProvider, vendor: YahooServer) -> None:
    """yfinance turns a null volume into 0 shares, which is a claim and not a gap."""
    row = FLAT[1]
    vendor.listed["KO"] = Listed([FLAT[0], (*row[:5], None, row[6]), FLAT[2]])
    [ko] = provider.fetch(["KO"], FIRST, LAST).loaded
    assert ko.bars["volume"].to_list() == [1000.0, None, 2000.0]


def test_null_prices_stay_null(provider: BarProvider, vendor: YahooServer) -> None:
    """A row of nulls that vanished could not be quarantined."""
    vendor.listed["KO"] = Listed([FLAT[0], (FLAT[1][0], None, None, None, None, None, None), FLAT[2]])
    [ko] = provider.fetch(["KO"], FIRST, LAST).loaded
    assert ko.bars["close"].to_list() == [10.5, None, 12.0]


def test_unknown_symbol_is_an_error_of_that_symbol(provider: BarProvider) -> None:
    """One delisted name would sink the night's load."""
    failed = failure(provider, "NOPE")
    assert "does not know NOPE" in failed.problem
    assert not failed.is_transient


def test_a_page_instead_of_data_is_named(provider: BarProvider, vendor: YahooServer) -> None:
    """A consent or maintenance page would surface as a JSON parser's message."""
    vendor.broken["KO"] = (200, "text/html", b"<html>Will be back</html>")
    failed = failure(provider, "KO")
    assert "sent text/html for KO" in failed.problem
    assert failed.is_transient


def test_half_an_answer_is_an_error(provider: BarProvider, vendor: YahooServer) -> None:
    """Truncated JSON would be taken for an unknown symbol."""
    vendor.listed["KO"] = Listed(FLAT)
    body = vendor.answer("/v8/finance/chart/KO")[2]
    vendor.broken["KO"] = (200, "application/json", body[: len(body) // 2])
    assert "the answer for KO cannot be used" in failure(provider, "KO").problem


def test_an_empty_answer_is_an_error(provider: BarProvider, vendor: YahooServer) -> None:
    """No rows would look like a symbol that is not listed yet."""
    vendor.broken["KO"] = (200, "application/json", b'{"chart": {"result": [], "error": null}}')
    assert "KO" in failure(provider, "KO").problem


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusing_server_is_worth_another_try(provider: BarProvider, vendor: YahooServer, status: int) -> None:
    """A rate limit would be reported as a wrong symbol, and never tried again."""
    vendor.broken["KO"] = (status, "application/json", b"{}")
    failed = failure(provider, "KO")
    assert str(status) in failed.problem
    assert failed.is_transient


def test_a_server_that_is_down_is_an_error_of_every_symbol(tmp_path: Path, free_port: object) -> None:
    """A network failure would end in yfinance's exception instead of a remedy."""
    assert callable(free_port)
    url = f"http://127.0.0.1:{free_port()}"
    provider = provider_of(load_settings(home=tmp_path, provider="yahoo", yahoo_url=url))
    fetched = provider.fetch(["AAPL", "IBM"], FIRST, LAST)
    assert fetched.loaded == ()
    assert all(f"{url} does not answer" in one.problem and one.is_transient for one in fetched.failed)
