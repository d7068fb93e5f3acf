"""Exchange sessions: which days trade, when they open and close, and when their bars are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bifrost_core.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

FIRST_SESSION = date(1999, 1, 4)


@dataclass(frozen=True, slots=True)
class Session:
    """One trading session of an exchange; `open_at` and `close_at` are UTC."""

    session: date
    open_at: datetime
    close_at: datetime
    is_half_day: bool


@lru_cache(maxsize=4)
def _calendar(mic: str) -> Any:
    import exchange_calendars as xcals  # imports pandas: only when a calendar is asked for

    try:
        return xcals.get_calendar(mic, start=FIRST_SESSION.isoformat(), side="left")
    except xcals.errors.InvalidCalendarName as error:
        raise SettingsError(
            f"exchange {mic!r} has no calendar", "Set BIFROST_EXCHANGE to an ISO 10383 MIC such as XNYS"
        ) from error


def _utc(stamp: pd.Timestamp) -> datetime:
    return stamp.to_pydatetime().astimezone(UTC)


@lru_cache(maxsize=4)
def all_sessions(mic: str) -> tuple[Session, ...]:
    """Every session of the exchange from 1999 to about a year ahead, in order."""
    calendar = _calendar(mic)
    schedule = calendar.schedule
    usual = (schedule["close"] - schedule["open"]).mode()[0]
    return tuple(
        Session(day.date(), _utc(row_open), _utc(row_close), (row_close - row_open) < usual)
        for day, row_open, row_close in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    )


@lru_cache(maxsize=4)
def _index(mic: str) -> dict[date, int]:
    return {s.session: i for i, s in enumerate(all_sessions(mic))}


def session_of(mic: str, day: date) -> Session:
    """The session on `day`; raises SettingsError where the exchange did not trade."""
    i = _index(mic).get(day)
    if i is None:
        raise SettingsError(f"{day} is no session of {mic}", "Ask for a day on which the exchange traded")
    return all_sessions(mic)[i]


def parse_session(mic: str, text: str) -> date:
    """The session an ISO date names; raises SettingsError for what is no date, or a day without trading."""
    try:
        return session_of(mic, date.fromisoformat(text)).session
    except ValueError as error:
        raise SettingsError(f"{text!r} is not a date", "Write it as 2013-03-01") from error


def shift(mic: str, day: date, n: int) -> Session:
    """The session `n` sessions after `day` (before, where `n` is negative)."""
    i = _index(mic).get(day)
    sessions = all_sessions(mic)
    if i is None or not 0 <= i + n < len(sessions):
        raise SettingsError(f"{mic} has no session {n:+d} from {day}", "Ask for a session the calendar covers")
    return sessions[i + n]


def sessions_between(mic: str, first: date, last: date) -> tuple[Session, ...]:
    """Sessions with first <= session <= last, in order."""
    return tuple(s for s in all_sessions(mic) if first <= s.session <= last)


def latest_closed(mic: str, now: datetime, lag: timedelta) -> Session:
    """The last session whose bars are known at `now`, that is, closed at least `lag` ago."""
    closed = [s for s in all_sessions(mic) if s.close_at + lag <= now]
    if not closed:
        raise SettingsError(f"{mic} has no closed session before {now:%Y-%m-%d}", "Check this machine's clock")
    return closed[-1]


def cutoff(mic: str, day: date, lag: timedelta) -> datetime:
    """The instant at which everything computed for session `day` looks back: its close + lag."""
    return session_of(mic, day).close_at + lag
