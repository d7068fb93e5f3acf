from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from bifrost_core.calendar import (
    all_sessions,
    cutoff,
    latest_closed,
    parse_session,
    session_of,
    sessions_between,
    shift,
)
from bifrost_core.errors import SettingsError

NYSE = "XNYS"
LAG = timedelta(minutes=15)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    "day",
    [
        date(2012, 10, 29),
        date(2012, 10, 30),
        date(2013, 2, 18),
        date(2001, 9, 11),
        date(2013, 3, 2),
        date(2012, 12, 25),
    ],
    ids=["hurricane Sandy", "Sandy's second day", "Presidents' Day", "11 September", "Saturday", "Christmas"],
)
def test_days_without_trading(day: date) -> None:
    """A partition for a day without a session waits for bars that never come."""
    with pytest.raises(SettingsError, match=f"{day} is no session of XNYS"):
        session_of(NYSE, day)


def test_half_day_closes_early() -> None:
    """Targets that are valid until a usual close on a half day would trade into nothing."""
    eve = session_of(NYSE, date(2012, 12, 24))
    assert eve.is_half_day
    assert eve.close_at == at(2012, 12, 24, 18)
    assert not session_of(NYSE, date(2012, 12, 26)).is_half_day


def test_daylight_saving_moves_utc_hours() -> None:
    """New York's 9:30 is 14:30 UTC in winter and 13:30 in summer: a fixed hour is wrong half the year."""
    assert session_of(NYSE, date(2013, 3, 8)).open_at == at(2013, 3, 8, 14, 30)
    assert session_of(NYSE, date(2013, 3, 11)).open_at == at(2013, 3, 11, 13, 30)
    assert session_of(NYSE, date(2013, 3, 11)).close_at == at(2013, 3, 11, 20)


def test_shift_skips_holidays_both_ways() -> None:
    """Targets of Friday before Presidents' Day trade on Tuesday."""
    assert shift(NYSE, date(2013, 2, 15), 1).session == date(2013, 2, 19)
    assert shift(NYSE, date(2013, 2, 19), -1).session == date(2013, 2, 15)
    assert shift(NYSE, date(2013, 2, 19), 0).session == date(2013, 2, 19)


@pytest.mark.parametrize(("day", "n"), [(date(2013, 2, 18), 1), (date(1999, 1, 4), -1), (date(2013, 3, 1), 10**6)])
def test_shift_off_the_calendar(day: date, n: int) -> None:
    """A silent wrap to the other end of the calendar would be a session decades away."""
    with pytest.raises(SettingsError):
        shift(NYSE, day, n)


def test_between_includes_both_ends() -> None:
    """A window that drops its last session loses the day that matters."""
    days = [s.session for s in sessions_between(NYSE, date(2013, 2, 15), date(2013, 2, 20))]
    assert days == [date(2013, 2, 15), date(2013, 2, 19), date(2013, 2, 20)]


def test_latest_closed_waits_for_the_lag() -> None:
    """A bar used before it is known is look-ahead."""
    close = session_of(NYSE, date(2013, 3, 1)).close_at
    assert latest_closed(NYSE, close + LAG, LAG).session == date(2013, 3, 1)
    assert latest_closed(NYSE, close + LAG - timedelta(microseconds=1), LAG).session == date(2013, 2, 28)
    assert cutoff(NYSE, date(2013, 3, 1), LAG) == close + LAG


def test_sessions_are_in_order_and_cover_the_sample() -> None:
    """Everything is partitioned by this list."""
    sessions = all_sessions(NYSE)
    days = [s.session for s in sessions]
    assert days == sorted(set(days))
    assert days[0] <= date(2000, 1, 3)
    assert days[-1] > datetime.now(UTC).date()
    assert all(s.open_at < s.close_at and s.open_at.tzinfo is UTC for s in sessions)


def test_unknown_exchange() -> None:
    """The setting to mend is named."""
    with pytest.raises(SettingsError, match="BIFROST_EXCHANGE"):
        all_sessions("XXXX")


def test_parse_session() -> None:
    """What a person types is a session, or an answer."""
    assert parse_session(NYSE, "2013-03-01") == date(2013, 3, 1)
    with pytest.raises(SettingsError, match="not a date"):
        parse_session(NYSE, "1 March")
    with pytest.raises(SettingsError, match="no session"):
        parse_session(NYSE, "2013-03-02")
