"""The real client against a loopback server that speaks Alpaca's market data API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.alpaca import AlpacaProvider
from bifrost_assets.market_data.providers.base import (
    BarProvider,
    Listing,
    MinuteProvider,
    SymbolBars,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.spool import resuming
from bifrost_assets.market_data.providers.ticks import QUOTE_SCHEMA, TRADE_SCHEMA, TickProvider
from bifrost_core.calendar import session_of
from bifrost_core.errors import ProviderError, SettingsError
from bifrost_core.settings import Settings
from tests.bifrost_assets.market_data.alpaca_server import AlpacaServer, alpaca_server, bar, day_bar
from tests.bifrost_assets.market_data.vendor_server import Answer

FIRST, LAST = date(2013, 2, 14), date(2013, 2, 19)
DAYS = [date(2013, 2, 14), date(2013, 2, 15), date(2013, 2, 19)]
BARS = "/v2/stocks/bars"


@pytest.fixture
def vendor() -> Iterator[AlpacaServer]:
    with alpaca_server() as vendor:
        for symbol in ("AAPL", "IBM"):
            vendor.bars["1Day"][symbol] = [day_bar(day) for day in DAYS]
            vendor.list_asset(symbol)
        yield vendor


@pytest.fixture
def configured(vendor: AlpacaServer, hasty: Callable[..., Settings]) -> Callable[..., Settings]:
    def settings(**changes: object) -> Settings:
        urls = {"alpaca_data_url": vendor.url, "alpaca_assets_url": vendor.url}
        keys = {"alpaca_key_id": "key", "alpaca_secret_key": "secret", "alpaca_requests_per_second": 1000}
        return hasty(**{"provider": "alpaca", **urls, **keys, **changes})

    return settings


@pytest.fixture
def provider(configured: Callable[..., Settings]) -> AlpacaProvider:
    return AlpacaProvider(configured())


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


def dividend(symbol: str, ex_date: date, rate: float, paid: date) -> dict[str, Any]:
    more = {"special": False, "foreign": False, "process_date": paid.isoformat(), "payable_date": paid.isoformat()}
    return {"symbol": symbol, "ex_date": ex_date.isoformat(), "rate": rate, **more}


def split(symbol: str, ex_date: date, new: float, old: float) -> dict[str, Any]:
    day = ex_date.isoformat()
    return {"symbol": symbol, "ex_date": day, "process_date": day, "new_rate": new, "old_rate": old}


def test_many_symbols_come_in_one_request_with_one_payload(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """A night of 500 symbols would take 500 requests, and hold 500 copies of the answer."""
    fetched = provider.fetch(["AAPL", "IBM"], FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["AAPL", "IBM"]
    assert fetched.loaded[0].bars.rows() == [(day, 10.0, 11.0, 9.0, 10.5, 1000.0, None) for day in DAYS]
    [bars] = [one for one in vendor.asked if one.path == BARS]
    assert bars.query["adjustment"] == "raw"
    assert bars.query["feed"] == "iex"
    assert fetched.loaded[0].payload.sha256 == fetched.loaded[1].payload.sha256
    [page, actions] = json.loads(fetched.loaded[0].payload.body)
    assert page["bars"]["AAPL"][0]["c"] == 10.5
    assert actions["corporate_actions"] == {}


def test_pages_are_followed_to_the_end(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Everything after the first page would be missing, and look like sessions without trading."""
    vendor.page_rows = 2
    fetched = provider.fetch(["AAPL", "IBM"], FIRST, LAST)
    assert [one.bars.height for one in fetched.loaded] == [3, 3]
    assert len([one for one in vendor.asked if one.path == BARS]) == 3


def test_a_long_window_is_asked_for_in_portions_of_about_a_page(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """The payload of each symbol would hold ten years of 100 others."""
    provider.fetch(["AAPL", "IBM", "KO", "PEP", "XOM"], date(2003, 1, 2), LAST)
    assert [len(one.query["symbols"].split(",")) for one in vendor.asked if one.path == BARS] == [3, 2]


def test_splits_and_dividends_are_passed_on_as_they_were_on_the_day(
    provider: AlpacaProvider, vendor: AlpacaServer
) -> None:
    """A total return would lack the dividends that are paid weeks after the window, and every split."""
    vendor.actions = {
        "forward_splits": [split("AAPL", DAYS[1], 7, 1), split("IBM", DAYS[1], 3, 2)],
        "reverse_splits": [split("AAPL", DAYS[2], 1, 10)],
        "stock_dividends": [{**dividend("IBM", DAYS[2], 0.05, DAYS[2])}],
        "cash_dividends": [
            dividend("AAPL", DAYS[0], 2.65, DAYS[0] + timedelta(days=30)),
            dividend("AAPL", DAYS[0], 0.35, DAYS[0] + timedelta(days=30)),
            dividend("AAPL", date(2013, 5, 9), 3.05, date(2013, 5, 16)),
        ],
    }
    aapl, ibm = provider.fetch(["AAPL", "IBM"], FIRST, LAST).loaded
    assert aapl.actions is not None
    assert aapl.actions.rows() == [
        (DAYS[0], "cash_dividend", 3.0),
        (DAYS[1], "split", 7.0),
        (DAYS[2], "split", 0.1),
    ]
    assert ibm.actions is not None
    assert ibm.actions.rows() == [(DAYS[1], "split", 1.5), (DAYS[2], "split", 1.05)]


def test_a_dividend_that_is_paid_in_the_future_is_there_today(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Alpaca files it under the day of payment: asked until today, it would come weeks late."""
    today = datetime.now(UTC).date()
    last = provider.latest_session()
    vendor.bars["1Day"]["AAPL"] = [day_bar(last)]
    vendor.actions = {"cash_dividends": [dividend("AAPL", last, 0.25, today + timedelta(days=40))]}
    actions = bars_of(provider, "AAPL", last, last).actions
    assert actions is not None
    assert actions.rows() == [(last, "cash_dividend", 0.25)]


def test_a_split_between_two_fetches_changes_no_bar(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Bars are asked for as they were traded: a vendor's restatement must not reach them."""
    before = bars_of(provider, "AAPL").bars
    vendor.actions = {"forward_splits": [split("AAPL", date(2014, 6, 9), 7, 1)]}
    after = bars_of(provider, "AAPL")
    assert after.bars.equals(before)
    assert after.actions is not None
    assert after.actions.is_empty()


@pytest.mark.parametrize(
    "days",
    [
        pytest.param([date(2013, 3, 8), date(2013, 3, 11)], id="clocks go forward"),
        pytest.param([date(2013, 11, 1), date(2013, 11, 4)], id="clocks go back"),
        pytest.param([date(2013, 11, 27), date(2013, 11, 29), date(2013, 12, 2)], id="Thanksgiving and a half day"),
    ],
)
def test_sessions_and_minutes_over_clock_changes_and_holidays(
    provider: AlpacaProvider, vendor: AlpacaServer, days: list[date]
) -> None:
    """Half of the year's bars would be a day or an hour off."""
    vendor.bars["1Day"]["AAPL"] = [day_bar(day) for day in days]
    sessions = [session_of("XNYS", day) for day in days]
    minute = timedelta(minutes=1)
    regular = [at for s in sessions for at in (s.open_at, s.close_at - minute)]
    around = [at for s in sessions for at in (s.open_at - minute, s.close_at)]
    vendor.bars["1Min"]["AAPL"] = [bar(at) for at in sorted([*regular, *around])]
    assert bars_of(provider, "AAPL", days[0], days[-1]).bars["session"].to_list() == days
    assert isinstance(provider, MinuteProvider)
    [minutes] = provider.fetch_minutes(["AAPL"], days[0], days[-1])
    assert isinstance(minutes, SymbolMinutes)
    assert minutes.bars["start_at"].to_list() == regular


def test_null_volume_stays_null(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """A gap would become a claim."""
    vendor.bars["1Day"]["AAPL"][1]["v"] = None
    assert bars_of(provider, "AAPL").bars["volume"].to_list() == [1000.0, None, 1000.0]


def test_a_symbol_that_is_refused_does_not_sink_the_others(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Alpaca refuses the whole request because of one misspelt symbol in it."""
    vendor.invalid = {"CSP1", "X Y"}
    fetched = provider.fetch(["AAPL", "CSP1", "X Y", "IBM"], FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["AAPL", "IBM"]
    assert {one.symbol for one in fetched.failed} == {"CSP1", "X Y"}
    assert not any(one.is_transient for one in fetched.failed)
    good, bad = provider.fetch_minutes(["AAPL", "CSP1"], FIRST, LAST)
    assert isinstance(good, SymbolMinutes)
    assert isinstance(bad, SymbolError)


def test_unknown_symbol_is_an_error_of_that_symbol(provider: AlpacaProvider) -> None:
    """Alpaca leaves it out of its answer, which would look like a day without trading."""
    failed = failure(provider, "SPX")
    assert "does not know SPX" in failed.problem
    assert "BIFROST_BENCHMARK" in failed.problem
    assert not failed.is_transient


def test_a_partial_answer_keeps_what_is_there(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """A symbol that has not traded yet today would lose the sessions before."""
    vendor.bars["1Day"]["IBM"].pop()
    ibm = bars_of(provider, "IBM")
    assert (ibm.bars.height, ibm.listed_to) == (2, None)


def test_a_delisted_symbol_says_until_when(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Its missing bars would be reported as a failure every night from then on."""
    vendor.bars["1Day"]["IBM"].pop()
    vendor.list_asset("IBM", status="inactive")
    ibm = bars_of(provider, "IBM")
    assert (ibm.bars.height, ibm.listed_to) == (2, DAYS[1])
    vendor.bars["1Day"]["IBM"].clear()
    failed = failure(provider, "IBM")
    assert "no longer traded" in failed.problem
    assert not failed.is_transient


def test_a_renamed_symbol_is_named_with_what_to_do(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Nobody would know why its bars stopped."""
    change = {"old_symbol": "FB", "new_symbol": "META", "process_date": "2022-06-09"}
    vendor.actions = {"name_changes": [change]}
    failed = failure(provider, "FB")
    assert failed.renamed_to == "META"
    assert "bifrost reference rename FB META --on 2022-06-09" in failed.problem
    assert not failed.is_transient


def test_listings(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """An instrument would be registered under no name, or a coin as a share."""
    vendor.list_asset("BTCUSD", **{"class": "crypto"})
    answers = provider.listings(["AAPL", "BTCUSD", "NOPE"])
    assert answers["AAPL"] == Listing("AAPL", "AAPL Inc. Common Stock", "equity", "USD", None)
    problems = {s: a.problem for s, a in answers.items() if isinstance(a, SymbolError)}
    assert "crypto" in problems["BTCUSD"]
    assert "does not know NOPE" in problems["NOPE"]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Answer(502, "text/html", b"<html></html>"), id="502"),
        pytest.param(Answer(429, headers={"Retry-After": "0"}), id="429"),
        pytest.param(Answer(200, "text/html", b"<html></html>"), id="HTML"),
        pytest.param(Answer(body=b'{"bars": {"AAPL": [{"c": 1'), id="truncated"),
        pytest.param(Answer(resets=True), id="reset"),
    ],
)
def test_what_may_pass_is_tried_again(provider: AlpacaProvider, vendor: AlpacaServer, first: Answer) -> None:
    """A hiccup of the vendor's would cost every symbol its session."""
    vendor.before = [first]
    assert bars_of(provider, "AAPL").bars.height == 3
    assert len([one for one in vendor.asked if one.path == BARS]) == 2


def test_a_rate_limit_that_names_its_end_is_waited_for(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Alpaca sends no Retry-After but the time at which its limit is reset."""
    end = int(datetime.now(UTC).timestamp()) + 1
    vendor.before = [Answer(429, headers={"X-Ratelimit-Reset": str(end)})]
    assert bars_of(provider, "AAPL").bars.height == 3
    assert datetime.now(UTC).timestamp() >= end


@pytest.mark.parametrize("answer", [Answer(503), Answer(200, "text/html", b"<html></html>")], ids=["503", "HTML"])
@pytest.mark.parametrize("path", [BARS, "/v1/corporate-actions"])
def test_a_server_that_stays_bad_is_given_up(
    provider: AlpacaProvider, vendor: AlpacaServer, answer: Answer, path: str
) -> None:
    """Bars without their splits would be taken for bars without splits; or the run would never end."""
    vendor.broken[path] = answer
    fetched = provider.fetch(["AAPL", "IBM"], FIRST, LAST)
    assert fetched.loaded == ()
    assert all(one.is_transient and "3 times" in one.problem for one in fetched.failed)
    assert len([one for one in vendor.asked if one.path == path]) == 3


def test_a_hang_ends(configured: Callable[..., Settings], vendor: AlpacaServer) -> None:
    """One silent connection would hold the night's load for ever."""
    vendor.before = [Answer(hangs=True)]
    provider = AlpacaProvider(configured(provider_timeout_seconds=0.3, provider_tries=1))
    [failed] = provider.fetch(["AAPL"], FIRST, LAST).failed
    assert "does not answer" in failed.problem
    assert failed.is_transient


def test_wrong_keys_are_named_and_not_tried_again(configured: Callable[..., Settings], vendor: AlpacaServer) -> None:
    """Retries lock an account, and the reason would be lost among them."""
    [failed] = AlpacaProvider(configured(alpaca_key_id="other")).fetch(["AAPL"], FIRST, LAST).failed
    assert "403 (forbidden.)" in failed.problem
    assert "BIFROST_ALPACA_KEY_ID" in failed.problem
    assert "other" not in failed.problem
    assert not failed.is_transient
    assert len(vendor.asked) == 1


def test_missing_keys_are_asked_for(configured: Callable[..., Settings]) -> None:
    """The first request would be sent without any."""
    provider = provider_of(configured(alpaca_key_id=None))
    with pytest.raises(SettingsError, match="BIFROST_ALPACA_KEY_ID"):
        provider.fetch(["AAPL"], FIRST, LAST)


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(
    configured: Callable[..., Settings], vendor: AlpacaServer
) -> None:
    """A backfill of years would begin anew with every failure."""
    vendor.page_rows = 2
    with pytest.raises(RuntimeError), resuming(one := AlpacaProvider(configured())):
        one.fetch(["AAPL", "IBM"], FIRST, LAST)
        raise RuntimeError
    asked = len(vendor.asked)
    again = AlpacaProvider(configured())
    with resuming(again):
        assert len(again.fetch(["AAPL", "IBM"], FIRST, LAST).loaded) == 2
    assert len(vendor.asked) == asked
    again.fetch(["AAPL", "IBM"], FIRST, LAST)
    assert len(vendor.asked) == 2 * asked


START = datetime(2013, 2, 14, 14, 30, tzinfo=UTC)


def test_trades_come_page_by_page(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """A busy day of one share would not fit into memory, or lose its sub-second order."""
    row = {"t": "2013-02-14T14:30:02.183456789Z", "x": "D", "p": 159.07, "s": 1, "c": ["@", "T"], "i": 151, "z": "C"}
    rows = [row, {**row, "t": "2013-02-14T14:30:16.91Z", "s": 2, "i": 168}, {**row, "t": "2013-02-14T14:31:00Z"}]
    vendor.ticks["trades"] = {"AAPL": rows}
    vendor.page_rows = 1
    assert isinstance(provider, TickProvider)
    pages = list(provider.fetch_trades(["AAPL"], START, START + timedelta(minutes=1)))
    assert [page.height for page in pages] == [1, 1, 0]  # the end is not part of the window
    trades = pl.concat(pages)
    assert trades.schema == pl.Schema(TRADE_SCHEMA)
    at = datetime(2013, 2, 14, 14, 30, 2, 183456, tzinfo=UTC)
    assert trades.row(0) == ("AAPL", at, 159.07, 1.0, "D", ["@", "T"], 151, "C")


def test_quotes_of_many_symbols(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """Bid and ask would be mixed up, or one symbol's quotes with another's."""
    row = {"t": "2013-02-14T14:30:00.000059Z", "ax": "K", "ap": 158.65, "as": 1, "bx": "Q", "bp": 159.52, "bs": 4}
    vendor.ticks["quotes"] = {
        "AAPL": [{**row, "c": ["R"], "z": "C"}],
        "IBM": [{**row, "ap": 830, "c": ["R"], "z": "A"}],
    }
    [quotes] = provider.fetch_quotes(["AAPL", "IBM"], START, START + timedelta(minutes=1))
    assert quotes.schema == pl.Schema(QUOTE_SCHEMA)
    at = datetime(2013, 2, 14, 14, 30, 0, 59, tzinfo=UTC)
    assert quotes.row(0) == ("AAPL", at, 159.52, 4.0, "Q", 158.65, 1.0, "K", ["R"], "C")
    assert quotes["ask_price"].to_list() == [158.65, 830.0]


def test_refused_ticks_raise_with_what_to_do(provider: AlpacaProvider, vendor: AlpacaServer) -> None:
    """A feed that is not subscribed to would look like a day without trades."""
    message = b'{"message": "subscription does not permit querying recent SIP data"}'
    vendor.broken["/v2/stocks/trades"] = Answer(403, body=message)
    with pytest.raises(ProviderError, match="BIFROST_ALPACA_FEED"):
        next(provider.fetch_trades(["AAPL"], START, START + timedelta(minutes=1)))
