"""Loading a generated year of minutes the way the asset does, against a bare append of them; and reading roll-ups."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import psutil

from benchmarks.generated import SEED
from benchmarks.result import Result
from benchmarks.world import fresh_warehouse
from bifrost_assets.market_data.intraday.append import SCHEMA
from bifrost_assets.market_data.intraday.loading import load_minutes
from bifrost_assets.market_data.intraday.rollups import store_five_minute_bars
from bifrost_assets.market_data.providers.base import Payload, SymbolError, SymbolMinutes
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.market_data.reference import store_sessions
from bifrost_core.calendar import sessions_between
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect, url
from bifrost_core.warehouse.warehouse import Warehouse

SYMBOLS = tuple(f"GEN{n:04d}" for n in range(1, 51))
FIRST, LAST = date(2024, 1, 2), date(2024, 12, 31)
TARGET_LOAD, TARGET_AGAIN = 0.5, 1 / 3
ROLLED = "select * from raw.rolled_up_minutes_as_of(5, $1, $2)"
STORED = "select * from features.five_minute_bars where session between $1 and $2"
PLAIN = "select * from raw.minute_bars where session between $1 and $2"
INSTRUMENTS = """
    insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)
    select s, 'generated', 'equity', 'XNYS', 'USD' from unnest(%s::text[]) s
"""


class GeneratedMinutes(SampleProvider):
    """Hands over generated random walks, one a symbol."""

    name = "generated"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.start = minutes_of_the_year(settings.exchange)
        rng = np.random.default_rng(SEED)
        self.walks = {symbol: _walk(rng, len(self.start)) for symbol in SYMBOLS}

    def fetch_minutes(self, symbols: Sequence[str], first: date, last: date) -> Sequence[SymbolMinutes | SymbolError]:
        begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
        end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
        low, high = (self.start.search_sorted(at) for at in (begin, end))
        return [self._one(symbol, slice(low, high)) for symbol in symbols]

    def _one(self, symbol: str, rows: slice) -> SymbolMinutes:
        minutes = self.walks[symbol][rows].select(self.start[rows], pl.all())
        body = f"{symbol} {rows}".encode()  # stands for a payload, whose compression is not what is measured
        return SymbolMinutes(symbol, minutes, Payload(symbol, "application/x-generated", body))


def minutes_of_the_year(mic: str) -> pl.Series:
    """The start of every minute of regular hours."""
    starts = [
        session.open_at + timedelta(minutes=n)
        for session in sessions_between(mic, FIRST, LAST)
        for n in range(int((session.close_at - session.open_at).total_seconds()) // 60)
    ]
    return pl.Series("start_at", starts, dtype=pl.Datetime("us", "UTC"))


def _walk(rng: np.random.Generator, n: int) -> pl.DataFrame:
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.0005, n)))
    opens = np.concatenate([close[:1], close[:-1]])
    return pl.DataFrame(
        {
            "open": opens,
            "high": np.maximum(opens, close) * 1.0001,
            "low": np.minimum(opens, close) * 0.9999,
            "close": close,
            "volume": rng.integers(100, 10_000, n).astype(float),
        }
    )


def run() -> list[Result]:
    """Rows per second of both in one run on one server, the same load with nothing changed, and the reads."""
    with fresh_warehouse(universe=SYMBOLS) as settings:
        warehouse = Warehouse(settings, Role.PIPELINE)
        store_sessions(warehouse)
        with connect(settings, Role.OWNER) as connection:
            connection.execute(INSTRUMENTS, (list(SYMBOLS),))
        provider = GeneratedMinutes(settings)
        rows = len(provider.start) * len(SYMBOLS)
        bare = bare_append(settings, provider)

        def load() -> None:
            load_minutes(warehouse, provider, FIRST, LAST, "benchmark", print)

        with peak_memory() as peak:
            first = timed(load)
        again = timed(load)
        rolling = timed(lambda: store_five_minute_bars(warehouse, FIRST, LAST, print))
        reads = {sql: timed(lambda sql=sql: warehouse.read(sql, FIRST, LAST)) for sql in (PLAIN, ROLLED, STORED)}
    minutes = ("plain read of the minutes", reads[PLAIN])
    name = "50 symbols x 1 year of minutes"
    return [
        Result(f"{name}: load", rows / first, "rows/s", "bare ADBC COPY, no index", rows / bare, TARGET_LOAD, "higher"),
        Result(f"{name}: load again, unchanged", again, "s", "first load", first, TARGET_AGAIN),
        Result(f"{name}: memory that the load adds", peak[0], "MiB"),
        Result(f"{name}: five-minute bars computed and stored", rolling, "s"),
        Result(f"{name}: five-minute bars as-of, read", reads[ROLLED], "s", *minutes),
        Result(f"{name}: five-minute bars stored, read", reads[STORED], "s", *minutes),
    ]


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` took."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """One number, there after the block: how far this process's memory rose above where it began, MiB."""
    process, over, peak = psutil.Process(), threading.Event(), [0.0]
    before = process.memory_info().rss

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], (process.memory_info().rss - before) / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def bare_append(settings: Settings, provider: GeneratedMinutes) -> float:
    """Seconds to append the same rows, all columns that are stored, to a table without keys or indexes."""
    import adbc_driver_postgresql.dbapi as adbc

    known = pl.col("start_at")
    with connect(settings, Role.OWNER) as connection:
        connection.execute("create schema bench authorization bifrost_pipeline")
    seconds = 0.0
    with adbc.connect(url(settings, Role.PIPELINE)) as connection, connection.cursor() as cursor:
        for n, symbol in enumerate(SYMBOLS):
            origin = {"provider": pl.lit("generated"), "payload_sha256": pl.lit("0" * 64)}
            rows = provider.walks[symbol].select(provider.start, pl.all())
            rows = rows.with_columns(
                instrument_id=pl.lit(n), session=known.dt.date(), ingested_at=known, available_at=known, **origin
            )
            table = rows.select(*SCHEMA).cast(SCHEMA).to_arrow()
            mode = "append" if n else "create"
            seconds += timed(lambda t=table, m=mode: cursor.adbc_ingest("minutes", t, mode=m, db_schema_name="bench"))
        seconds += timed(connection.commit)
    return seconds
