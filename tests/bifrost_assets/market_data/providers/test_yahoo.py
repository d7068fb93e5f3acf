"""The real yfinance client against a loopback server that speaks the chart API: daily bars and listings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest

from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import BarProvider, Listing, SymbolBars, SymbolError
from bifrost_assets.market_data.providers.politeness import BURST
from bifrost_assets.market_data.providers.yahoo import AT_ONCE_MAX
from bifrost_core.settings import Settings
from tests.bifrost_assets.market_data.vendor_server import Answer
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
def provider(vendor: YahooServer, hasty: Callable[..., Settings]) -> BarProvider:
    return provider_of(hasty(provider="yahoo", yahoo_url=vendor.url))


def bars_of(provider: BarProvider, symbol: str, first: date = FIRST, last: date = LAST) -> SymbolBars:
    fetched = provider.fetch([symbol], first, last)
    assert fetched.failed == ()
    return fetched.loaded[0]


def failure(provider: BarProvider, symbol: str) -> SymbolError:
    """The error of `symbol`, asked for together with a good one, which must not suffer."""
    fetched = provider.fetch(["AAPL", symbol], FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["AAPL"]
    [failed] = fetched.failed
    assert failed.symbol == symbol
    return failed


def test_bars_and_payload_come_from_one_answer(provider: BarProvider, vendor: YahooServer) -> None:
    """A row could not be shown to come from the payload stored with it."""
    aapl = bars_of(provider, "AAPL")
    assert aapl.bars.rows() == [(*row[:5], float(row[5]), row[6]) for row in FLAT]
    assert aapl.payload.content_type == "application/json"
    assert aapl.payload.body == vendor.chart("AAPL", {"interval": "1d"}).body
    assert (aapl.listed_from, aapl.listed_to) == (date(1990, 1, 2), None)


def test_only_the_window_is_returned(provider: BarProvider) -> None:
    """Bars of sessions that nobody asked for would be stored with this load."""
    one = bars_of(provider, "AAPL", date(2013, 2, 15), date(2013, 2, 15))
    assert one.bars["session"].to_list() == [date(2013, 2, 15)]


def test_later_splits_are_taken_back_out(provider: BarProvider, vendor: YahooServer) -> None:
    """Yahoo restates all history at a split; stored as unadjusted, it would disagree with what was traded."""
    vendor.listed["KO"] = Listed(
        [
            (date(2013, 2, 14), 50.0, 51.0, 49.0, 50.5, 2000, 50.5),
            (date(2013, 2, 15), 50.0, 51.0, 49.0, 50.25, 3000, 50.25),
        ],
        splits=[(date(2013, 2, 15), 2, 1)],
    )
    ko = bars_of(provider, "KO")
    before, after = ko.bars.rows(named=True)
    assert (before["close"], before["volume"], before["vendor_adj_close"]) == (101.0, 1000.0, 50.5)
    assert (after["close"], after["volume"]) == (50.25, 3000.0)
    assert ko.actions is not None
    assert ko.actions.rows() == [(date(2013, 2, 15), "split", 2.0)]


def test_a_split_after_the_window_is_taken_back_out_too(provider: BarProvider, vendor: YahooServer) -> None:
    """A backfill of old sessions would store prices in today's shares, and an action of another window."""
    vendor.listed["KO"] = Listed([*FLAT, (date(2020, 8, 31), 6.0, 6.5, 5.5, 6.0, 10, 6.0)], [(date(2020, 8, 31), 4, 1)])
    ko = bars_of(provider, "KO")
    assert ko.bars["close"].to_list() == [42.0, 46.0, 48.0]
    assert ko.actions is not None
    assert ko.actions.is_empty()


@pytest.mark.parametrize(("new", "old"), [(2, 1), (3, 1), (50, 1), (1, 15), (3, 2)])
def test_a_split_between_two_fetches_changes_no_bar(
    provider: BarProvider, vendor: YahooServer, new: int, old: int
) -> None:
    """Every split would make a new vintage of the whole history, each with the vendor's rounding in it."""

    def as_float32(price: float) -> float:
        import numpy as np

        return float(np.float32(price))

    traded = [(day, 3206.17, 3306.48, 3104.93, 3206.01, 3000 * old, 3206.01) for day, *_ in FLAT]
    vendor.listed["CMG"] = Listed([(day, *map(as_float32, prices), n, adj) for day, *prices, n, adj in traded])
    before = bars_of(provider, "CMG").bars.drop("vendor_adj_close")
    ratio = new / old
    restated = [
        (day, *(as_float32(price / ratio) for price in prices), round(n * ratio), adj / ratio)
        for day, *prices, n, adj in traded
    ]
    vendor.listed["CMG"] = Listed(restated, splits=[(date(2024, 6, 26), new, old)])
    assert bars_of(provider, "CMG").bars.drop("vendor_adj_close").equals(before)
    assert before.row(0) == (FIRST, 3206.17, 3306.48, 3104.93, 3206.01, 3000.0 * old)


def test_dividends_are_as_paid_on_the_day(provider: BarProvider, vendor: YahooServer) -> None:
    """Yahoo divides old dividends by later splits: 0.42 a share would become 0.105 beside a price of 42."""
    vendor.listed["KO"] = Listed(
        FLAT,
        splits=[(date(2013, 2, 19), 4, 1)],
        dividends=[(date(2013, 2, 15), 0.105), (date(2013, 2, 19), 0.11)],
    )
    actions = bars_of(provider, "KO").actions
    assert actions is not None
    assert actions.rows() == [
        (date(2013, 2, 15), "cash_dividend", 0.42),
        (date(2013, 2, 19), "cash_dividend", 0.11),
        (date(2013, 2, 19), "split", 4.0),
    ]


def test_pence_become_pounds(provider: BarProvider, vendor: YahooServer) -> None:
    """Stored as pounds, a London price would be a hundred times too high, and so would every position."""
    vendor.listed["SHEL-L"] = Listed(
        [(day, 2000.0, 2050.5, 1990.0, 2010.25, 1000, 1950.0) for day in (FIRST, LAST)],
        currency="GBp",
        zone="Europe/London",
        dividends=[(LAST, 25.0)],
    )
    shell = bars_of(provider, "SHEL.L")
    assert shell.bars.row(0) == (FIRST, 20.0, 20.505, 19.9, 20.1025, 1000.0, 19.5)
    assert shell.actions is not None
    assert shell.actions.rows() == [(LAST, "cash_dividend", 0.25)]
    listing = provider.listings(["SHEL.L"])["SHEL.L"]
    assert isinstance(listing, Listing)
    assert listing.currency == "GBP"


def test_a_dividend_in_pounds_beside_prices_in_pence(provider: BarProvider, vendor: YahooServer) -> None:
    """It would be divided by a hundred once too often."""
    vendor.listed["SHEL-L"] = Listed(FLAT, currency="GBp", zone="Europe/London", dividends=[(LAST, 0.25, "GBP")])
    actions = bars_of(provider, "SHEL.L").actions
    assert actions is not None
    assert actions.rows() == [(LAST, "cash_dividend", 0.25)]


def test_a_dividend_in_another_currency_is_left_to_the_adjusted_closes(
    provider: BarProvider, vendor: YahooServer
) -> None:
    """Dollars would be taken for pounds."""
    vendor.listed["SHEL-L"] = Listed(FLAT, currency="GBp", zone="Europe/London", dividends=[(LAST, 0.344, "USD")])
    assert bars_of(provider, "SHEL.L").actions is None


def test_index_is_asked_under_yahoos_name(provider: BarProvider, vendor: YahooServer) -> None:
    """The benchmark is SPX here and ^GSPC there."""
    vendor.listed["^GSPC"] = Listed(FLAT, kind="INDEX")
    answers = provider.listings(["SPX", "AAPL"])
    assert answers["SPX"] == Listing("SPX", "^GSPC Incorporated", "index", "USD", date(1990, 1, 2))
    assert isinstance(answers["AAPL"], Listing)
    assert answers["AAPL"].asset_class == "equity"


def test_what_cannot_be_traded_is_refused(provider: BarProvider, vendor: YahooServer) -> None:
    """A currency pair or a future would be traded as if it were a share."""
    vendor.listed["ES=F"] = Listed(FLAT, kind="FUTURE")
    answer = provider.listings(["ES=F"])["ES=F"]
    assert isinstance(answer, SymbolError)
    assert "FUTURE" in answer.problem
    assert not answer.is_transient


def test_null_volume_stays_null(provider: BarProvider, vendor: YahooServer) -> None:
    """yfinance turns a null volume into 0 shares, which is a claim and not a gap."""
    row = FLAT[1]
    vendor.listed["KO"] = Listed([FLAT[0], (*row[:5], None, row[6]), FLAT[2]])
    assert bars_of(provider, "KO").bars["volume"].to_list() == [1000.0, None, 2000.0]


def test_null_prices_stay_null(provider: BarProvider, vendor: YahooServer) -> None:
    """A row of nulls that vanished could not be quarantined."""
    vendor.listed["KO"] = Listed([FLAT[0], (FLAT[1][0], None, None, None, None, None, None), FLAT[2]])
    assert bars_of(provider, "KO").bars["close"].to_list() == [10.5, None, 12.0]


@pytest.mark.parametrize(
    "days",
    [
        pytest.param([date(2013, 3, 8), date(2013, 3, 11)], id="clocks go forward"),
        pytest.param([date(2013, 11, 1), date(2013, 11, 4)], id="clocks go back"),
        pytest.param([date(2013, 2, 15), date(2013, 2, 19)], id="Presidents' Day between"),
        pytest.param([date(2013, 11, 27), date(2013, 11, 29), date(2013, 12, 2)], id="Thanksgiving and a half day"),
    ],
)
def test_sessions_are_the_days_at_the_exchange(provider: BarProvider, vendor: YahooServer, days: list[date]) -> None:
    """Half of the year's bars would be a day off, or a holiday would get one."""
    vendor.listed["KO"] = Listed([(day, *FLAT[0][1:]) for day in days])
    assert bars_of(provider, "KO", days[0], days[-1]).bars["session"].to_list() == days


def test_unknown_symbol_is_an_error_of_that_symbol(provider: BarProvider, vendor: YahooServer) -> None:
    """One misspelt name would sink the night's load, or be asked for again and again."""
    failed = failure(provider, "NOPE")
    assert "does not know NOPE" in failed.problem
    assert not failed.is_transient
    assert len(vendor.charts_asked("NOPE")) == 1


def test_a_delisted_symbol_with_history_says_until_when(provider: BarProvider, vendor: YahooServer) -> None:
    """Its missing bars would be reported as a failure every night from then on."""
    vendor.listed["TWTR"] = Listed(FLAT, traded_to=date(2013, 2, 19))
    twitter = bars_of(provider, "TWTR")
    assert twitter.bars.height == 3
    assert twitter.listed_to == date(2013, 2, 19)


def test_a_delisted_symbol_without_history_is_not_asked_for_again(provider: BarProvider, vendor: YahooServer) -> None:
    """Retries cannot bring back what is no longer traded."""
    vendor.listed["TWTR"] = Listed([(date(2012, 2, 14), *FLAT[0][1:])], traded_to=date(2012, 2, 14))
    failed = failure(provider, "TWTR")
    assert "no longer" in failed.problem
    assert "BIFROST_UNIVERSE" in failed.problem
    assert not failed.is_transient


def test_a_renamed_symbol_is_named_with_what_to_do(provider: BarProvider, vendor: YahooServer) -> None:
    """Bars of the new symbol would be stored under the old one, and the day the answers stop nobody would know why."""
    vendor.listed["FB"] = Listed(FLAT, renamed_to="META")
    failed = failure(provider, "FB")
    assert failed.renamed_to == "META"
    assert "bifrost reference rename FB META" in failed.problem
    assert not failed.is_transient
    listing = provider.listings(["FB"])["FB"]
    assert isinstance(listing, SymbolError)
    assert listing.renamed_to == "META"


def test_a_page_instead_of_data_is_named(provider: BarProvider, vendor: YahooServer) -> None:
    """A consent or maintenance page would surface as a JSON parser's message."""
    vendor.broken["KO"] = Answer(200, "text/html", b"<html>Will be back</html>")
    failed = failure(provider, "KO")
    assert "sent text/html that is no chart" in failed.problem
    assert failed.is_transient


def test_half_an_answer_is_an_error(provider: BarProvider, vendor: YahooServer) -> None:
    """Truncated JSON would be taken for an unknown symbol."""
    vendor.listed["KO"] = Listed(FLAT)
    body = vendor.chart("KO", {}).body
    vendor.broken["KO"] = Answer(body=body[: len(body) // 2])
    failed = failure(provider, "KO")
    assert "that is no chart" in failed.problem
    assert failed.is_transient


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"chart": {"result": [], "error": null}}', id="no result"),
        pytest.param(b'{"chart": {"result": [{"meta": {"symbol": "KO"}}], "error": null}}', id="only meta"),
    ],
)
def test_a_partial_answer_is_an_error(provider: BarProvider, vendor: YahooServer, body: bytes) -> None:
    """No rows would look like a symbol that is not listed yet."""
    vendor.broken["KO"] = Answer(body=body)
    assert "KO" in failure(provider, "KO").problem


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Answer(503), id="503"),
        pytest.param(Answer(429, headers={"Retry-After": "0"}), id="429"),
        pytest.param(Answer(200, "text/html", b"<html></html>"), id="HTML"),
        pytest.param(Answer(body=b'{"chart": {"resu'), id="truncated"),
        pytest.param(Answer(resets=True), id="reset"),
    ],
)
def test_what_may_pass_is_tried_again(provider: BarProvider, vendor: YahooServer, first: Answer) -> None:
    """A hiccup of the vendor's would cost a symbol its session."""
    vendor.before["AAPL"] = [first]
    assert bars_of(provider, "AAPL").bars.height == 3
    assert len(vendor.charts_asked("AAPL")) == 2


def test_a_server_that_asks_to_wait_is_waited_for(provider: BarProvider, vendor: YahooServer) -> None:
    """Asked again at once, a rate limit becomes a ban."""
    vendor.before["AAPL"] = [Answer(429, headers={"Retry-After": "1"})]
    assert bars_of(provider, "AAPL").bars.height == 3
    refused, answered = (one.at for one in vendor.asked if "chart" in one.path)
    assert answered - refused >= 1


def test_many_symbols_are_asked_for_at_the_set_pace(vendor: YahooServer, hasty: Callable[..., Settings]) -> None:
    """Yahoo blocks the address of whoever asks for 500 symbols in a second."""
    symbols = [f"S{n}" for n in range(BURST + 10)]
    vendor.listed = dict.fromkeys(symbols, Listed(FLAT))
    provider = provider_of(hasty(provider="yahoo", yahoo_url=vendor.url, yahoo_requests_per_second=10))
    start = time.monotonic()
    assert len(provider.fetch(symbols, FIRST, LAST).loaded) == len(symbols)
    assert vendor.asked[-1].at - start >= 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusing_server_is_given_up_after_a_bounded_number_of_tries(
    provider: BarProvider, vendor: YahooServer, status: int
) -> None:
    """A rate limit would be reported as a wrong symbol; or the server would be asked for ever."""
    vendor.broken["KO"] = Answer(status)
    failed = failure(provider, "KO")
    assert str(status) in failed.problem
    assert failed.is_transient
    assert len(vendor.charts_asked("KO")) == 3


def test_a_blocked_address_is_told_from_a_wrong_symbol(provider: BarProvider, vendor: YahooServer) -> None:
    """Somebody would correct the universe while Yahoo wants to be left alone."""
    vendor.broken["KO"] = Answer(403, "text/html", b"<html>Access denied</html>")
    failed = failure(provider, "KO")
    assert "answered 403" in failed.problem
    assert failed.is_transient


def test_a_hang_ends(vendor: YahooServer, hasty: Callable[..., Settings]) -> None:
    """One silent connection would hold the night's load for ever."""
    vendor.broken["KO"] = Answer(hangs=True)
    url, short = vendor.url, {"provider_timeout_seconds": 0.5, "provider_tries": 1}
    failed = failure(provider_of(hasty(provider="yahoo", yahoo_url=url, **short)), "KO")
    assert "does not answer" in failed.problem
    assert failed.is_transient


def test_cookies_that_do_not_come_are_done_without(vendor: YahooServer, hasty: Callable[..., Settings]) -> None:
    """Where a filter swallows the cookie servers, yfinance waits for them again with every symbol."""
    symbols = [f"S{n}" for n in range(12)]
    vendor.listed = dict.fromkeys(symbols, Listed(FLAT))
    vendor.before["S0"] = [Answer(401)]  # whereupon yfinance wants other cookies
    vendor.cookies = Answer(hangs=True)
    provider = provider_of(hasty(provider="yahoo", yahoo_url=vendor.url, provider_timeout_seconds=0.5))
    assert len(provider.fetch(symbols, FIRST, LAST).loaded) == 12
    assert len(vendor.charts_asked()) == 13
    assert 1 <= len(vendor.asked) - 13 <= AT_ONCE_MAX


def test_a_server_that_is_down_is_an_error_of_every_symbol(
    hasty: Callable[..., Settings], free_port: Callable[[], int]
) -> None:
    """A network failure would end in yfinance's exception instead of a remedy."""
    url = f"http://127.0.0.1:{free_port()}"
    fetched = provider_of(hasty(provider="yahoo", yahoo_url=url)).fetch(["AAPL", "IBM"], FIRST, LAST)
    assert fetched.loaded == ()
    assert all(f"{url} does not answer" in one.problem and one.is_transient for one in fetched.failed)


def test_the_latest_session_is_the_last_that_closed(provider: BarProvider) -> None:
    """Bars of a session that is not over would be asked for."""
    assert provider.latest_session(datetime(2013, 2, 18, 22, tzinfo=UTC)) == date(2013, 2, 15)  # Presidents' Day
