"""Loading generated bars the way the asset does (rules, dedupe, vintages, actions), against a bare append of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import polars as pl

from benchmarks.generated import panel
from benchmarks.result import Result
from benchmarks.world import fresh_warehouse
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers.base import BAR_SCHEMA, Fetched, Listing, Payload, SymbolBars, SymbolError
from bifrost_assets.market_data.reference import register_instruments
from bifrost_assets.market_data.vintages import SCHEMA
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect, url
from bifrost_core.warehouse.warehouse import Warehouse

TARGET = 0.5


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
        return Fetched.of(
            SymbolBars(s, self.by_symbol[s], Payload(s, "application/x-generated", s.encode()), None) for s in symbols
        )


def run() -> list[Result]:
    """Rows per second of both, in one run on one server; then the same load with nothing changed."""
    bars = panel()
    provider = GeneratedProvider(bars)
    names = sorted(provider.by_symbol)
    first, last = bars["session"].min(), bars["session"].max()
    assert isinstance(first, date) and isinstance(last, date)
    with fresh_warehouse(universe=tuple(names[1:]), benchmark=names[0]) as settings:
        warehouse = Warehouse(settings, Role.PIPELINE)
        bare = bars.height / bare_append(settings, bars)
        register_instruments(warehouse, provider)
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            load_bars(warehouse, provider, first, last, "benchmark")
            seconds.append(time.monotonic() - began)
    peer = ("bare ADBC COPY, no index", bare)
    return [
        Result("bars loaded, 500 x 2,520", bars.height / seconds[0], "rows/s", *peer, TARGET, "higher"),
        Result("bars loaded again, unchanged", seconds[1], "s", "first load", seconds[0]),
    ]


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
