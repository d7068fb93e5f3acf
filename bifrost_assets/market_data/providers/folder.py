"""A vendor's dump in a folder, one file per symbol or one for all: what the providers csv and parquet share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from bifrost_assets.market_data.providers.base import (
    BAR_SCHEMA,
    MINUTE_SCHEMA,
    Fetched,
    Listing,
    Payload,
    SymbolBars,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.currencies import major_unit
from bifrost_assets.market_data.providers.dump import SYMBOL, Extract, Layout, as_text, extract
from bifrost_assets.market_data.providers.live import LiveProvider
from bifrost_assets.market_data.providers.regular_hours import in_regular_hours
from bifrost_core.errors import ProviderError, SettingsError
from bifrost_core.settings import Settings

SHARED_BYTES_MAX = 16 * 2**20
PRICES = ("open", "high", "low", "close", "vendor_adj_close")

Scan = Callable[["Path | bytes"], pl.LazyFrame]
"""Reads a file, or its bytes, lazily, with the number of each line or row in dump.LINE."""


@dataclass(frozen=True, slots=True)
class FilePayload(Payload):
    """The payload of a file that many symbols share: its hash is known."""

    digest: str

    @property
    def sha256(self) -> str:
        return self.digest


@dataclass(frozen=True, slots=True)
class Own:
    """The rows of one symbol, in the schema of their layout."""

    symbol: str
    rows: pl.DataFrame
    begins: date | None
    payload: Payload


class FolderProvider(LiveProvider):
    """Daily bars of the files `settings.source_bars` in `settings.source_folder`, read anew at every fetch."""

    def __init__(self, settings: Settings, name: str, content_type: str, scan: Scan) -> None:
        if settings.source_folder is None:
            raise SettingsError(f"provider {name!r} needs a folder of files", "Set BIFROST_SOURCE_FOLDER")
        self.name = name
        self.content_type = content_type
        self.price_unit = settings.source_price_unit
        super().__init__(settings)
        self._folder = settings.source_folder
        self._scan = scan
        self._currency, self._divisor = major_unit(settings.source_currency)
        self._days = Layout.of(
            BAR_SCHEMA, settings.source_columns, settings.source_date_format, "UTC", "source_columns"
        )

    def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing | SymbolError]:
        """Every symbol with a row is a share, and the benchmark an index: a dump does not say."""
        found = self._each(self._bars_file, self._days, symbols, date.max, date.max)
        return {one.symbol: one if isinstance(one, SymbolError) else self._listing(one) for one in found}

    def fetch(self, symbols: Sequence[str], first: date, last: date) -> Fetched:
        """Bars of the sessions first to last."""
        found = self._each(self._bars_file, self._days, symbols, first, last)
        return Fetched.of(one if isinstance(one, SymbolError) else self._bars(one) for one in found)

    @property
    def _bars_file(self) -> str:
        return self.settings.source_bars or f"{{symbol}}.{self.name}"

    def _listing(self, one: Own) -> Listing:
        kind = "index" if one.symbol == self.settings.benchmark else "equity"
        return Listing(one.symbol, one.symbol, kind, self._currency, one.begins)

    def _bars(self, one: Own) -> SymbolBars:
        return SymbolBars(one.symbol, self._in_major_unit(one.rows), one.payload, one.begins)

    def _in_major_unit(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.col(name) / self._divisor for name in PRICES if name in rows.columns)

    def _each(
        self, pattern: str, layout: Layout, symbols: Sequence[str], first: date, last: date
    ) -> Iterator[Own | SymbolError]:
        is_shared = "{symbol}" not in pattern
        for some in [symbols] if is_shared else [[symbol] for symbol in symbols]:
            file = self._folder / pattern.replace("{symbol}", some[0])
            try:
                read = self._shared if is_shared else self._own
                yield from read(file, layout, some, first, last)
            except FileNotFoundError:
                yield from (_missing(symbol, file) for symbol in some)
            except (OSError, pl.exceptions.PolarsError, ProviderError) as error:
                yield from (_unreadable(symbol, file, error) for symbol in some)

    def _own(
        self, file: Path, layout: Layout, symbols: Sequence[str], first: date, last: date
    ) -> list[Own | SymbolError]:
        """The rows of the one symbol whose file this is, whatever symbol it names in a column."""
        body = file.read_bytes()
        table = self._scan(body).with_columns(pl.lit(symbols[0]).alias(layout.theirs[SYMBOL]))
        found = extract(table, layout, symbols, first, last)
        return _parted(found, layout, symbols, file, Payload(file.name, self.content_type, body))

    def _shared(
        self, file: Path, layout: Layout, symbols: Sequence[str], first: date, last: date
    ) -> list[Own | SymbolError]:
        """The rows of each symbol of a file with a symbol column; the file may be larger than memory."""
        before = _stamp(file)
        found = extract(self._scan(file), layout, symbols, first, last)
        payload = _payload(file, self.content_type, before)
        if _stamp(file) != before:
            return [SymbolError(one, f"{file} changed while it was read for {one}: try again", True) for one in symbols]
        return _parted(found, layout, symbols, file, payload)


class FolderWithMinutes(FolderProvider):
    """As FolderProvider, with one-minute bars from the files `settings.source_minutes`."""

    def fetch_minutes(self, symbols: Sequence[str], first: date, last: date) -> Sequence[SymbolMinutes | SymbolError]:
        """Minutes in regular hours; symbols in the order in which they were asked for."""
        s = self.settings
        columns, setting = s.source_minute_columns, "source_minute_columns"
        layout = Layout.of(MINUTE_SCHEMA, columns, s.source_time_format, s.source_time_zone, setting)
        day = timedelta(days=1)  # a session's minutes may be on the day before in UTC
        found = self._each(s.source_minutes, layout, symbols, first - day, last + day)
        return [one if isinstance(one, SymbolError) else self._minutes(one, first, last) for one in found]

    def _minutes(self, one: Own, first: date, last: date) -> SymbolMinutes:
        bars = in_regular_hours(self._in_major_unit(one.rows), self.settings.exchange, first, last)
        return SymbolMinutes(one.symbol, bars, one.payload)


def folder_provider(settings: Settings, name: str, content_type: str, scan: Scan) -> FolderProvider:
    """The provider of a folder: it has minutes where the settings name files with them."""
    kind = FolderWithMinutes if settings.source_minutes else FolderProvider
    return kind(settings, name, content_type, scan)


def _parted(
    found: Extract, layout: Layout, symbols: Sequence[str], file: Path, payload: Payload
) -> list[Own | SymbolError]:
    """What was found, by symbol; a symbol with a value that cannot be read has an error that says where it is."""
    begins = dict(found.begins.iter_rows())
    rows = found.rows.partition_by(SYMBOL, as_dict=True)
    bad = found.bad.partition_by(SYMBOL, as_dict=True)
    none = found.rows.clear()
    return [
        _unreadable(one, file, as_text(bad[(one,)]))
        if (one,) in bad
        else Own(one, rows.get((one,), none).select(*layout.schema), begins[one], payload)
        if one in begins
        else SymbolError(one, f"{file} has no row of {one}: correct BIFROST_UNIVERSE, or get a newer dump")
        for one in symbols
    ]


def _missing(symbol: str, file: Path) -> SymbolError:
    remedy = "correct BIFROST_UNIVERSE, BIFROST_SOURCE_FOLDER or the pattern of the file"
    return SymbolError(symbol, f"there is no file {file} for {symbol}: {remedy}")


def _unreadable(symbol: str, file: Path, problem: object) -> SymbolError:
    first = (str(problem).splitlines() or ["it is damaged"])[0]
    return SymbolError(symbol, f"{file} cannot be used for {symbol}: {first}. Mend the file, or say how it is written")


def _stamp(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=4)
def _payload(file: Path, content_type: str, stamp: tuple[int, int]) -> Payload:
    """A shared file as evidence, once per version of it: its bytes, or for a large one its name, size and hash."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if stamp[1] <= SHARED_BYTES_MAX:
        return FilePayload(file.name, content_type, file.read_bytes(), digest)
    receipt = {"file": file.name, "size_bytes": stamp[1], "modified_ns": stamp[0], "sha256": digest}
    return Payload(file.name, "application/json", json.dumps(receipt, sort_keys=True).encode())
