"""A market to trade in: the five packaged real symbols, and generated ones beside them for batches of any size.

Generated symbols are named GEN0001 and so on, here and everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from bifrost_core.calendar import Session, sessions_between
from bifrost_core.warehouse.warehouse import Warehouse

REAL = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
FIRST, LAST = date(2012, 11, 1), date(2013, 3, 1)  # where the packaged bars end
FIRST_TRADED = date(2013, 1, 15)
SEED = 20_130_220
NO_PAYLOAD = "0" * 64

Bar = tuple[float, float, float, float, float]  # open, high, low, close, volume


@dataclass(frozen=True)
class Market:
    """Sessions to trade in, and every symbol's close by session."""

    sessions: tuple[Session, ...]
    closes: Mapping[str, Mapping[date, Decimal]]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.closes)

    def known_before(self, session: Session) -> dict[str, Decimal]:
        """The closes of the last session before `session`."""
        return {symbol: closes[max(d for d in closes if d < session.session)] for symbol, closes in self.closes.items()}


def build(owner: Warehouse, mic: str, generated: int) -> Market:
    """Write instruments, sessions and bars into an empty warehouse."""
    sessions = sessions_between(mic, FIRST, LAST)
    days = [s.session for s in sessions]
    bars = {**dict(_real(days)), **dict(_generated(days, generated))}
    with owner.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
            " values (%s, %s, 'equity', %s, 'USD')",
            [(symbol, symbol, mic) for symbol in bars],
        )
        cursor.executemany(
            "insert into reference.sessions values (%s, %s, %s, %s, %s)",
            [(mic, s.session, s.open_at, s.close_at, s.is_half_day) for s in sessions],
        )
        cursor.executemany(
            "insert into raw.daily_bars (instrument_id, session, ingested_at, available_at, open, high, low, close,"
            " volume, provider, payload_sha256) select instrument_id, %s, now(), now(), %s, %s, %s, %s, %s, 'chaos', %s"
            " from reference.instruments where symbol = %s",
            [(day, *bar, NO_PAYLOAD, symbol) for symbol, series in bars.items() for day, bar in series.items()],
        )
    closes = {
        symbol: {day: Decimal(str(round(bar[3], 6))) for day, bar in series.items()} for symbol, series in bars.items()
    }
    return Market(tuple(s for s in sessions if s.session >= FIRST_TRADED), closes)


def _real(days: list[date]) -> Iterator[tuple[str, dict[date, Bar]]]:
    from bokeh_sampledata import stocks

    for symbol in REAL:
        data = getattr(stocks, symbol)
        rows = zip(*(data[k] for k in ("date", "open", "high", "low", "close", "volume")), strict=True)
        by_day = {date.fromisoformat(day): tuple(numbers) for day, *numbers in rows}
        yield symbol, {day: by_day[day] for day in days if day in by_day}


def _generated(days: list[date], count: int) -> Iterator[tuple[str, dict[date, Bar]]]:
    rng = random.Random(SEED)
    for number in range(1, count + 1):
        close, series = rng.uniform(20, 200), {}
        for day in days:
            open_ = round(close * rng.uniform(0.99, 1.01), 2)
            close = round(open_ * rng.uniform(0.98, 1.02), 2)
            high, low = round(max(open_, close) * 1.005, 2), round(min(open_, close) * 0.995, 2)
            series[day] = (open_, high, low, close, float(rng.randint(1_000_000, 5_000_000)))
        yield f"GEN{number:04d}", series


BEFORE_OPEN = timedelta(minutes=30)
