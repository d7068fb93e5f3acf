"""Daily bars at scale: loading them the way the asset does, loading them again, and reading them as of a cutoff."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from benchmarks.generated import panel
from benchmarks.result import Result
from benchmarks.world import fresh_warehouse
from bifrost_assets.asof import bars_as_of
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers.base import BAR_SCHEMA, Fetched, Listing, Payload, SymbolBars, SymbolError
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_assets.market_data.vintages import SCHEMA
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect, url
from bifrost_core.warehouse.warehouse import Warehouse

LOAD, AGAIN, READ = (
    0.5,
    1 / 3,
    0.5,
)  # targets: of bare COPY's rows/s, of the first load's time, of a plain read's rows/s
LINEAR = 1.5  # a row among 2,000 symbols may cost this much of one among 100: partitions and caches are not free
REVISED = 0.01  # of all bars
READS = 3
COLUMNS = "instrument_id, session, open, high, low, close, volume"


class GeneratedProvider:
    """Hands over the generated panel, symbol by symbol."""

    name = "generated"
    price_unit = 0.01

    def __init__(self, bars: pl.DataFrame) -> None:
        rows = bars.with_columns(vendor_adj_close="close").select("symbol", *BAR_SCHEMA)
        self.by_symbol = {str(key[0]): frame.drop("symbol") for key, frame in rows.group_by("symbol")}

    def latest_session(self, now: datetime | None = None) -> date:
        return next(iter(self.by_symbol.values()))["session"][-1]

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        return {symbol: Listing(symbol, "generated", "equity", "USD", None) for symbol in symbols}

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        within = pl.col("session").is_between(first, last)
        return Fetched.of(
            SymbolBars(s, self.by_symbol[s].filter(within), Payload(s, "application/x-generated", s.encode()), None)
            for s in symbols
        )


def run() -> list[Result]:
    """Each ratio from one run on one server."""
    small, usual, large = (_loaded(symbols, reads=symbols == 500) for symbols in (100, 500, 2_000))
    return [*usual.results, *_linear(small.seconds_per_row, usual.seconds_per_row, large.seconds_per_row)]


class _Measured:
    def __init__(self, seconds_per_row: float, results: list[Result]) -> None:
        self.seconds_per_row = seconds_per_row
        self.results = results


def _linear(small: float, usual: float, large: float) -> list[Result]:
    peer = ("100 x 2,520", small * 1e6)
    return [
        Result("a bar loaded, 500 x 2,520", usual * 1e6, "µs", *peer),
        Result("a bar loaded, 2,000 x 2,520", large * 1e6, "µs", *peer, LINEAR, "lower"),
    ]


def _loaded(symbols: int, *, reads: bool) -> _Measured:
    bars = panel(symbols)
    provider = GeneratedProvider(bars)
    names = sorted(provider.by_symbol)
    first, last = bars["session"].min(), bars["session"].max()
    assert isinstance(first, date) and isinstance(last, date)
    with fresh_warehouse(universe=tuple(names[1:]), benchmark=names[0]) as settings:
        warehouse = Warehouse(settings, Role.PIPELINE)
        bare = bars.height / bare_append(settings, bars)
        store_sessions(warehouse)
        register_instruments(warehouse, provider)

        def load() -> None:
            load_bars(warehouse, provider, first, last, "benchmark")

        once = seconds(load)
        if not reads:
            return _Measured(once / bars.height, [])
        again = seconds(load)
        results = [
            Result(
                "bars loaded, 500 x 2,520",
                bars.height / once,
                "rows/s",
                "bare ADBC COPY, no index",
                bare,
                LOAD,
                "higher",
            ),
            Result("bars loaded again, unchanged", again, "s", "first load", once, AGAIN, "lower"),
        ]
        return _Measured(once / bars.height, results + _reads(warehouse, bars, first, last))


def _reads(warehouse: Warehouse, bars: pl.DataFrame, first: date, last: date) -> list[Result]:
    """The panel as of now, before and after a hundredth of it was revised, against a plain read of as many rows."""
    now = datetime.now(UTC) + timedelta(minutes=1)
    plain = best(lambda: warehouse.read(f"select {COLUMNS} from raw.daily_bars"))
    as_of = f"select {COLUMNS} from raw.daily_bars_as_of($1, $2)"

    def rate(read: Callable[[], pl.DataFrame]) -> float:
        return bars.height / best(read)

    peer = ("plain ADBC read", bars.height / plain)
    results = [
        Result(
            "10-year panel as of a cutoff",
            rate(lambda: warehouse.read(as_of, now, now)),
            "rows/s",
            *peer,
            READ,
            "higher",
        ),
        Result(
            "the same with factors and returns, to polars",
            rate(lambda: bars_as_of(warehouse, first, last, now)),
            "rows/s",
            *peer,
        ),
    ]
    revise(warehouse, bars)
    later = datetime.now(UTC) + timedelta(minutes=1)
    revised = rate(lambda: warehouse.read(as_of, later, later))
    return [*results, Result("as of a cutoff, 1 % revised", revised, "rows/s", *peer, READ, "higher")]


def revise(warehouse: Warehouse, bars: pl.DataFrame) -> None:
    """A vendor restates a hundredth of the closes."""
    factor = pl.when(pl.int_range(pl.len()) % round(1 / REVISED) == 0).then(1.001).otherwise(1.0)
    provider = GeneratedProvider(bars.with_columns(pl.col("close", "high") * factor))
    first, last = bars["session"].min(), bars["session"].max()
    assert isinstance(first, date) and isinstance(last, date)
    load_bars(warehouse, provider, first, last, "benchmark")


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes, once."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def best(work: Callable[[], object]) -> float:
    """The least of READS runs: what is left once caches are warm."""
    return min(seconds(work) for _ in range(READS))


def bare_append(settings: Settings, bars: pl.DataFrame) -> float:
    """Seconds to append the same rows, all columns that are stored, to a table without keys or indexes."""
    import adbc_driver_postgresql.dbapi as adbc

    stored = bars.with_columns(
        ingested_at="available_at",
        vendor_adj_close="close",
        provider=pl.lit("generated"),
        payload_sha256=pl.lit("0" * 64),
    )
    rows = stored.select(*SCHEMA).to_arrow()
    with connect(settings, Role.OWNER) as connection:
        connection.execute("create schema bench authorization bifrost_pipeline")
    with adbc.connect(url(settings, Role.PIPELINE)) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        cursor.adbc_ingest("bars", rows, mode="create", db_schema_name="bench")
        connection.commit()
        return time.monotonic() - began
