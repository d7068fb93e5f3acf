"""The real yfinance client against a loopback server: one-minute bars of the last weeks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bifrost_assets.market_data.providers.base import MinuteProvider, SymbolError, SymbolMinutes
from bifrost_assets.market_data.providers.yahoo import YahooProvider
from bifrost_core.calendar import Session, sessions_between
from bifrost_core.settings import Settings
from tests.bifrost_assets.market_data.vendor_server import Answer
from tests.bifrost_assets.market_data.yahoo_server import Listed, YahooServer, yahoo_server

MINUTE = timedelta(minutes=1)


def recent_sessions() -> list[Session]:
    """Sessions of the last four weeks that are over."""
    now = datetime.now(UTC)
    some = sessions_between("XNYS", now.date() - timedelta(days=28), now.date())
    return [one for one in some if one.close_at < now]


def minutes_of(session: Session) -> list[tuple[Any, ...]]:
    """The first two minutes, the last one, and the row that Yahoo puts at the close."""
    starts = [session.open_at, session.open_at + MINUTE, session.close_at - MINUTE, session.close_at]
    return [(at, 10.0, 11.0, 9.0, 10.5 + n, 100 * n) for n, at in enumerate(starts)]


@pytest.fixture
def vendor() -> Iterator[YahooServer]:
    with yahoo_server() as vendor:
        days = [(s.session, 10.0, 11.0, 9.0, 10.5, 1000, 10.5) for s in recent_sessions()]
        vendor.listed["AAPL"] = Listed(days, minutes=[row for s in recent_sessions() for row in minutes_of(s)])
        yield vendor


@pytest.fixture
def provider(vendor: YahooServer, hasty: Callable[..., Settings]) -> YahooProvider:
    return YahooProvider(hasty(yahoo_url=vendor.url))


def fetched(provider: YahooProvider, symbol: str, first: date, last: date) -> SymbolMinutes:
    [one] = provider.fetch_minutes([symbol], first, last)
    assert isinstance(one, SymbolMinutes), one
    return one


def test_weeks_are_asked_for_in_portions_and_put_together(provider: YahooProvider, vendor: YahooServer) -> None:
    """Yahoo refuses more than eight days at once; and the closing row would be a minute after the close."""
    sessions = recent_sessions()
    assert isinstance(provider, MinuteProvider)
    aapl = fetched(provider, "AAPL", sessions[0].session, sessions[-1].session)
    expected = [row for s in sessions for row in minutes_of(s)[:3]]
    assert aapl.bars.rows() == [(*row[:5], float(row[5])) for row in expected]
    portions = json.loads(aapl.payload.body)
    assert len(portions) == len([one for one in vendor.asked if one.query.get("interval") == "1m"]) > 2


def test_one_session_is_one_answer(provider: YahooProvider) -> None:
    """The payload of an ordinary night would not be what Yahoo sent."""
    last = recent_sessions()[-1].session
    aapl = fetched(provider, "AAPL", last, last)
    assert aapl.bars.height == 3
    assert json.loads(aapl.payload.body)["chart"]["result"][0]["meta"]["dataGranularity"] == "1m"


def test_nothing_old_is_answered_from_memory(provider: YahooProvider, vendor: YahooServer) -> None:
    """yfinance remembers answers about the past, so a correction would not be seen before the process ends."""
    day = recent_sessions()[0]
    fetched(provider, "AAPL", day.session, day.session)
    vendor.listed["AAPL"].minutes[0] = (day.open_at, 10.0, 11.0, 9.0, 10.75, 100)
    assert fetched(provider, "AAPL", day.session, day.session).bars["close"][0] == 10.75


def test_minutes_without_a_trade_are_no_bars_and_null_volume_stays_null(
    provider: YahooProvider, vendor: YahooServer
) -> None:
    """A thin stock would have hundreds of rows a day in quarantine; a missing volume would be 0 shares."""
    day = recent_sessions()[-1]
    rows = vendor.listed["AAPL"].minutes
    here = len(rows) - 4
    rows[here] = (*rows[here][:5], None)
    rows[here + 1] = (rows[here + 1][0], None, None, None, None, None)
    bars = fetched(provider, "AAPL", day.session, day.session).bars
    assert bars["start_at"].to_list() == [day.open_at, day.close_at - MINUTE]
    assert bars["volume"].to_list() == [None, 200.0]


def test_a_split_after_the_window_is_taken_back_out(provider: YahooProvider, vendor: YahooServer) -> None:
    """Minutes before a split would be in other shares than the daily bars beside them."""
    first, *_, last = recent_sessions()
    vendor.listed["AAPL"].splits = [(last.session, 4, 1)]
    bars = fetched(provider, "AAPL", first.session, first.session).bars
    assert bars.row(0)[1:] == (40.0, 44.0, 36.0, 42.0, 0.0)
    assert fetched(provider, "AAPL", last.session, last.session).bars["open"].to_list() == [10.0] * 3


def test_pence_become_pounds(provider: YahooProvider, vendor: YahooServer) -> None:
    """Minutes would be a hundred times the daily bars."""
    vendor.listed["AAPL"].currency = "GBp"
    day = recent_sessions()[-1].session
    assert fetched(provider, "AAPL", day, day).bars["open"].to_list() == [0.1] * 3


def test_sessions_older_than_yahoo_keeps_are_refused_without_asking(
    provider: YahooProvider, vendor: YahooServer
) -> None:
    """Yahoo's refusal would be found out symbol by symbol, and taken for an unknown symbol."""
    first = datetime.now(UTC).date() - timedelta(days=40)
    errors = provider.fetch_minutes(["AAPL", "IBM"], first, first)
    assert [one.symbol for one in errors] == ["AAPL", "IBM"]
    assert all(isinstance(one, SymbolError) and "last 30 days" in one.problem for one in errors)
    assert vendor.asked == []


def test_one_bad_symbol_among_many(provider: YahooProvider, vendor: YahooServer) -> None:
    """A night's minutes would be lost with one symbol."""
    vendor.broken["KO"] = Answer(503)
    day = recent_sessions()[-1].session
    good, unknown, down = provider.fetch_minutes(["AAPL", "NOPE", "KO"], day, day)
    assert isinstance(good, SymbolMinutes)
    assert isinstance(unknown, SymbolError)
    assert isinstance(down, SymbolError)
    assert (unknown.is_transient, down.is_transient) == (False, True)
