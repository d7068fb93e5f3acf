"""A warehouse that knows Facebook, IBM and the index, and the functions that the tests of reference data share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import psycopg
import pytest

from bifrost_assets.market_data.providers.base import Fetched, Listing, SymbolError
from bifrost_assets.market_data.reference import register_instruments
from bifrost_core.warehouse.warehouse import Warehouse

LISTED_FROM = {"FB": date(2012, 5, 18)}


class Directory:
    """A vendor that only knows what is listed; it counts what it is asked."""

    name = "directory"
    price_unit = 1e-6

    def __init__(self, *symbols: str) -> None:
        self.symbols = set(symbols)
        self.asked: list[str] = []

    def latest_session(self, now: datetime | None = None) -> date:
        return date(2013, 3, 1)

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        self.asked += symbols
        return {symbol: self._listing(symbol) for symbol in symbols}

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        return Fetched((), tuple(SymbolError(symbol, f"no bars of {symbol}") for symbol in symbols))

    def _listing(self, symbol: str) -> Listing | SymbolError:
        if symbol not in self.symbols:
            return SymbolError(symbol, f"{symbol} is unknown here")
        kind = "index" if symbol == "SPX" else "equity"
        return Listing(symbol, f"{symbol} Inc.", kind, "USD", LISTED_FROM.get(symbol))


@pytest.fixture
def directory() -> Directory:
    return Directory("FB", "IBM", "SPX")


@pytest.fixture
def known(warehouse: Warehouse, directory: Directory) -> Warehouse:
    """Facebook, IBM and the S&P 500 registered."""
    register(warehouse, directory, "FB", "IBM")
    return warehouse


def register(warehouse: Warehouse, directory: Directory, *symbols: str) -> Sequence[str]:
    settings = warehouse.settings.model_copy(update={"universe": symbols})
    return register_instruments(Warehouse(settings, warehouse.role), directory).added


def one(connection: psycopg.Connection, sql: str, *params: object) -> Any:
    row = connection.execute(sql, params).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0] if len(row) == 1 else row


def meaning(connection: psycopg.Connection, symbol: str, *days: str) -> list[int | None]:
    """What `symbol` meant on each of `days`."""
    return [one(connection, "select reference.instrument_of(%s, %s)", symbol, day) for day in days]


def aliases(connection: psycopg.Connection, instrument: int) -> list[tuple[Any, ...]]:
    sql = "select symbol, valid_from, valid_to from reference.symbols where instrument_id = %s order by valid_from"
    return connection.execute(sql, (instrument,)).fetchall()


def add_bars(connection: psycopg.Connection, instrument: int, days: Iterable[date]) -> None:
    """Bars at 10 USD, as stored at the close."""
    connection.cursor().executemany(
        "insert into raw.daily_bars (instrument_id, session, ingested_at, available_at, open, high, low, close, volume,"
        " provider, payload_sha256) values (%s, %s, %s, %s, 10, 10, 10, 10, 1000, 'test', 'x')",
        [(instrument, day, day, day) for day in days],
    )
