"""What the market did: sessions, bars, minutes and corporate actions, read from the warehouse as bifrost_reader.

The exchange is told a session's whole bar and must not let it out early: `last_trade` is the only way prices leave
this module for clients, and it gives nothing made after the time it is asked about. Clients are told what was printed,
in the shares of its day, as at Alpaca; what the exchange itself decides with an earlier price is in the shares of the
time it decides at: `price`, `standing_quote`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import psycopg

from bifrost_core.calendar import Session
from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.paper_exchange.tape import Bar, Minute, Quote

SQL = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "sql").glob("*.sql"))}
LOOK_BACK_SESSIONS = 10
LARGEST_SPLIT_TERM = 1000
CIRCUIT_BREAKER = Decimal("0.90")  # Rule 201 of Regulation SHO: a fall by 10 % since the last close
KNOWN_TO = 6  # decimals of a dividend that was announced; more say that it was read off rounded prices
TICK_DIGITS = 6
BEFORE_OPEN = timedelta(hours=5, minutes=30)  # corporate actions: 04:00 in New York
UNSPLIT = Fraction(1)


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
        self._minutes: dict[date, Mapping[str, tuple[Minute, ...]]] = {}
        self._splits: dict[date, Mapping[str, Fraction]] = {}
        self._quotes: dict[str, tuple[Quote, ...]] = {}

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

    def minutes(self, session: date) -> Mapping[str, tuple[Minute, ...]]:
        """One-minute bars of one session by symbol, in order; empty for symbols that have none stored."""
        if session not in self._minutes:
            found: dict[str, list[Minute]] = {}
            for symbol, start_at, *numbers in self._reader.rows("minutes", {"session": session}):
                found.setdefault(symbol, []).append(Minute(start_at, _bar(*numbers)))
            if not found and not self.bars(session):
                return {}
            self._minutes[session] = {symbol: tuple(minutes) for symbol, minutes in found.items()}
        return self._minutes[session]

    def splits(self, session: date) -> Mapping[str, Fraction]:
        """Splits whose first session is `session`: the factor for earlier prices, 1/2 for two-for-one."""
        if session not in self._splits:
            rows = self._actions(session, "split")
            found = {symbol: Fraction(factor).limit_denominator(LARGEST_SPLIT_TERM) for symbol, factor, _ in rows}
            if not self.bars(session):
                return found  # the news of a live session's splits may come as late as its bars
            self._splits[session] = found
        return self._splits[session]

    def factor(self, symbol: str, since: datetime, until: datetime) -> Fraction:
        """What a price of `since` is multiplied by to be in the shares of `until`: splits count from their dawn on."""
        sessions = self._covering(until)
        first, end = (bisect_right(sessions, at, key=dawn) for at in (since, until))
        return prod((self.splits(s.session).get(symbol, UNSPLIT) for s in sessions[first:end]), start=UNSPLIT)

    def dividends(self, session: date) -> Mapping[str, Decimal | None]:
        """Cash a share of those who held at the last close before `session`; None where only a factor is known."""
        return {symbol: _announced(value) for symbol, _, value in self._actions(session, "cash_dividend")}

    def _actions(self, session: date, kind: str) -> list[tuple[Any, ...]]:
        return self._reader.rows("actions", {"session": session, "kind": kind})

    # -- recorded books -----------------------------------------------------------------------------------------------

    def record(self, symbol: str, quotes: Iterable[Quote]) -> None:
        """Add quotes of a recorded book; one of the same time is replaced."""
        merged = {quote.at: quote for quote in (*self._quotes.get(symbol, ()), *quotes)}
        self._quotes[symbol] = tuple(merged[at] for at in sorted(merged))

    def forget_recordings(self) -> None:
        """Drop all recorded books."""
        self._quotes.clear()

    def quotes(self, symbol: str, session: Session) -> tuple[Quote, ...]:
        """The recorded quotes of a session, in order."""
        recorded = self._quotes.get(symbol, ())
        first = bisect_left(recorded, session.open_at, key=lambda quote: quote.at)
        return recorded[first : bisect_right(recorded, session.close_at, key=lambda quote: quote.at)]

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """The recorded best bid and offer at `at`, as they were shown."""
        recorded = self._quotes.get(symbol, ())
        i = bisect_right(recorded, at, key=lambda quote: quote.at)
        return recorded[i - 1] if i else None

    def standing_quote(self, symbol: str, at: datetime) -> Quote | None:
        """The same with its bid and ask in the shares of `at`: it may be of a session before a split."""
        quote = self.quote(symbol, at)
        if quote is None:
            return None
        factor = self.factor(symbol, quote.at, at)
        return replace(quote, bid=in_new_shares(quote.bid, factor), ask=in_new_shares(quote.ask, factor))

    # -- prices -------------------------------------------------------------------------------------------------------

    def last_trade(self, symbol: str, at: datetime) -> Trade | None:
        """The last price printed at or before `at`, unadjusted."""
        sessions = self._covering(at)
        i = bisect_right(sessions, at, key=lambda s: s.open_at)
        for session in reversed(sessions[max(i - LOOK_BACK_SESSIONS, 0) : i]):
            if trade := self._last_of(symbol, session, at):
                return trade
        return None

    def price(self, symbol: str, at: datetime, shares_at: datetime | None = None) -> Decimal | None:
        """The price of the last trade at `at` in the shares of `shares_at`, which is `at` where it is not given."""
        trade = self.last_trade(symbol, at)
        return None if trade is None else in_new_shares(trade.price, self.factor(symbol, trade.at, shares_at or at))

    def _last_of(self, symbol: str, session: Session, at: datetime) -> Trade | None:
        if quotes := [quote for quote in self.quotes(symbol, session) if quote.at <= at]:
            last = quotes[-1]
            return Trade((last.bid + last.ask) / 2 if last.last is None else last.last, last.at)
        if minutes := self.minutes(session.session).get(symbol):
            known = [minute for minute in minutes if minute.end_at <= at]
            return (
                Trade(known[-1].bar.close, known[-1].end_at) if known else Trade(minutes[0].bar.open, session.open_at)
            )
        bar = self.bars(session.session).get(symbol)
        if bar is None:
            return None
        return Trade(bar.close, session.close_at) if session.close_at <= at else Trade(bar.open, session.open_at)

    def volume(self, symbol: str, at: datetime) -> tuple[datetime, Decimal] | None:
        """The open of the session that `at` is in or after, and the shares printed in it so far.

        None where they are not known: a day's bar alone tells its volume only once the session is over.
        """
        sessions = self._covering(at)
        i = bisect_right(sessions, at, key=lambda s: s.open_at)
        if not i:
            return None
        session = sessions[i - 1]
        if quotes := self.quotes(symbol, session):
            return session.open_at, sum((q.last_size for q in quotes if q.last_size and q.at <= at), Decimal(0))
        if minutes := self.minutes(session.session).get(symbol):
            return session.open_at, sum((m.bar.volume for m in minutes if m.end_at <= at), Decimal(0))
        bar = self.bars(session.session).get(symbol)
        return (session.open_at, bar.volume) if bar is not None and session.close_at <= at else None

    def is_short_restricted(self, symbol: str, at: datetime) -> bool:
        """Rule 201: the price fell by 10 % since the close before, today so far, or on the session before today."""
        sessions = self._covering(at)
        i = bisect_right(sessions, at, key=lambda s: s.open_at)
        recent = sessions[max(i - LOOK_BACK_SESSIONS, 0) : i]
        closes = [self.bars(session.session).get(symbol) for session in recent]
        falls = [
            self._low_of(symbol, session, at) <= self._close_in(session, symbol, before) * CIRCUIT_BREAKER
            for before, bar, session in zip(closes, closes[1:], recent[1:], strict=False)
            if before is not None and bar is not None
        ]
        is_open = bool(recent) and at < recent[-1].close_at
        return any(falls[-2:] if is_open else falls[-1:])

    def _close_in(self, session: Session, symbol: str, before: Bar) -> Decimal:
        """The close of the bar before `session` in the session's shares: a split is no fall."""
        return in_new_shares(before.close, self.splits(session.session).get(symbol, UNSPLIT))

    def _low_of(self, symbol: str, session: Session, at: datetime) -> Decimal:
        """The lowest price of a session that was printed by `at`."""
        bar = self.bars(session.session)[symbol]
        if session.close_at <= at:
            return bar.low
        known = [m.bar.low for m in self.minutes(session.session).get(symbol, ()) if m.end_at <= at]
        return min(known, default=bar.open)

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


def dawn(session: Session) -> datetime:
    """When the session's corporate actions take effect, before anybody can send an order in the new shares."""
    return session.open_at - BEFORE_OPEN


def in_new_shares(price: Decimal, factor: Fraction) -> Decimal:
    """The price of an old share in new ones: exact where nothing was split."""
    return price if factor == UNSPLIT else price * factor.numerator / factor.denominator


def _bar(open_: float, high: float, low: float, close: float, volume: float) -> Bar:
    o, h, lo, c = (Decimal(repr(round(price, TICK_DIGITS))) for price in (open_, high, low, close))
    return Bar(o, h, lo, c, Decimal(int(volume)))


def _announced(value: float | None) -> Decimal | None:
    """The amount as it was announced; None where it was not, but derived from prices that were rounded."""
    if value is None or value <= 0 or abs(value - round(value, KNOWN_TO)) > 1e-9:
        return None
    return Decimal(repr(round(value, KNOWN_TO)))


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
