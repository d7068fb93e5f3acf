"""What the market did: sessions, bars and splits, read from the warehouse as bifrost_reader.

The exchange is told a session's whole bar and must not let it out early: `last_trade` is the only way prices leave
this module for clients, and it gives nothing made after the time it is asked about.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg

from bifrost_core.calendar import Session
from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.paper_exchange.matching import Bar

SQL = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "sql").glob("*.sql"))}
LOOK_BACK_SESSIONS = 10
LARGEST_SPLIT_TERM = 1000
TICK_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Instrument:
    """A listed symbol; an index is published, not traded."""

    instrument_id: int
    symbol: str
    name: str
    asset_class: str

    @property
    def is_tradable(self) -> bool:
        """Whether orders are taken for it."""
        return self.asset_class != "index"


@dataclass(frozen=True, slots=True)
class Trade:
    """A price and when it was made."""

    price: Decimal
    at: datetime


class WarehouseReader:
    """Short read-only queries on one connection, which is made again when the server was restarted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: psycopg.Connection | None = None

    def rows(self, name: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of `sql/<name>.sql`; raises WarehouseError where the warehouse cannot be read."""
        try:
            return self._rows(name, params)
        except psycopg.OperationalError:
            self.close()  # the server went away since the last query
        except psycopg.Error as error:
            self.close()
            raise WarehouseError(
                f"the paper exchange cannot read the warehouse: {error}", "Run `bifrost db migrate`"
            ) from error
        try:
            return self._rows(name, params)
        except psycopg.Error as error:
            self.close()
            raise WarehouseError(f"the paper exchange lost the warehouse: {error}", "Run `bifrost doctor`") from error

    def _rows(self, name: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = connect(self._settings, Role.READER)
            self._connection.autocommit = True
            self._connection.execute("set statement_timeout = '10s'")
        return self._connection.execute(SQL[name].encode(), params).fetchall()

    def close(self) -> None:
        """Drop the connection; the next query makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Market:
    """Sessions, instruments, bars and splits of one exchange (`mic`)."""

    def __init__(self, settings: Settings, reader: WarehouseReader) -> None:
        self._mic = settings.exchange
        self._is_sample = settings.provider == "sample"
        self._reader = reader
        self._sessions: tuple[Session, ...] = ()
        self._instruments: dict[str, Instrument] = {}
        self._bars: dict[date, Mapping[str, Bar]] = {}

    def load(self) -> None:
        """Read sessions and instruments; raises WarehouseError where the warehouse is not there or not migrated."""
        self._load_sessions()
        self._load_instruments()

    def instrument(self, symbol: str) -> Instrument | None:
        """The instrument listed under `symbol`."""
        if symbol not in self._instruments:
            self._load_instruments()
        return self._instruments.get(symbol)

    def sessions(self, after: datetime, until: datetime) -> tuple[Session, ...]:
        """Sessions that close after `after` and open no later than a day after `until`, in order."""
        sessions = self._covering(until)
        first = bisect_right(sessions, after, key=lambda s: s.close_at)
        last = bisect_right(sessions, until + timedelta(days=1), key=lambda s: s.open_at)
        return sessions[first:last]

    def session_at(self, at: datetime) -> tuple[Session | None, Session | None]:
        """The session that is open at `at`, and the next one to open after it; None where not known."""
        if not self._sessions:
            self._load_sessions()
        sessions = self._covering(at) if self._sessions else ()  # an empty warehouse is no reason to import pandas
        i = bisect_right(sessions, at, key=lambda s: s.open_at)
        current = sessions[i - 1] if i and at < sessions[i - 1].close_at else None
        return current, sessions[i] if i < len(sessions) else None

    def bars(self, session: date) -> Mapping[str, Bar]:
        """Bars of one session by symbol: the current vintages; empty if nothing is known of it yet."""
        if session not in self._bars:
            rows = self._reader.rows("bars", {"session": session})
            bars = {symbol: _bar(*numbers) for symbol, *numbers in rows} or dict(self._sample(session))
            if not bars:
                return {}
            self._bars[session] = bars  # what has been printed is not changed by a later vintage
        return self._bars[session]

    def splits(self, session: date) -> Mapping[str, Fraction]:
        """Splits whose first session is `session`: the factor for earlier prices, 1/2 for two-for-one."""
        rows = self._reader.rows("splits", {"session": session})
        return {symbol: Fraction(factor).limit_denominator(LARGEST_SPLIT_TERM) for symbol, factor in rows}

    def last_trade(self, symbol: str, at: datetime) -> Trade | None:
        """The last open or close printed at or before `at`, unadjusted."""
        sessions = self._covering(at)
        i = bisect_right(sessions, at, key=lambda s: s.open_at)
        for session in reversed(sessions[max(i - LOOK_BACK_SESSIONS, 0) : i]):
            bar = self.bars(session.session).get(symbol)
            if bar is not None:
                is_closed = session.close_at <= at
                return Trade(bar.close, session.close_at) if is_closed else Trade(bar.open, session.open_at)
        return None

    def _covering(self, until: datetime) -> tuple[Session, ...]:
        if not self._sessions or self._sessions[-1].close_at < until:
            self._load_sessions()
        if not self._sessions or self._sessions[-1].close_at < until:
            from bifrost_core.calendar import all_sessions  # imports pandas: only for days reference.sessions lacks

            self._sessions = all_sessions(self._mic)
        return self._sessions

    def _load_sessions(self) -> None:
        loaded = tuple(Session(*row) for row in self._reader.rows("sessions", {"mic": self._mic}))
        if not self._sessions or (loaded and loaded[-1].session >= self._sessions[-1].session):
            self._sessions = loaded

    def _load_instruments(self) -> None:
        self._instruments = {row[1]: Instrument(*row) for row in self._reader.rows("instruments", {})}

    def _sample(self, session: date) -> Mapping[str, Bar]:
        """The packaged real bars, for sessions the pipeline has not loaded yet.

        A market has its prices before our nightly job has stored them: a replayed session must be traded first
        and loaded afterwards, like a live one.
        """
        return sample_bars().get(session, {}) if self._is_sample else {}


def _bar(open_: float, high: float, low: float, close: float, volume: float) -> Bar:
    o, h, lo, c = (Decimal(repr(round(price, TICK_DIGITS))) for price in (open_, high, low, close))
    return Bar(o, h, lo, c, Decimal(int(volume)))


@lru_cache(maxsize=1)
def sample_bars() -> Mapping[date, Mapping[str, Bar]]:
    """Session -> symbol -> bar from the `bokeh-sampledata` package: real unadjusted daily bars, 2000-03 to 2013-03."""
    from bokeh_sampledata import stocks

    by_session: dict[date, dict[str, Bar]] = {}
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        data = getattr(stocks, symbol)
        for day, *numbers in zip(*(data[k] for k in ("date", "open", "high", "low", "close", "volume")), strict=True):
            by_session.setdefault(date.fromisoformat(day), {})[symbol] = _bar(*numbers)
    return by_session
