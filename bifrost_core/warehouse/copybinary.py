"""Frames as PostgreSQL's binary COPY format, made column by column: 2-3 times as fast as text, and floats stay exact.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a header, then per row an int16 field
count and per field an int32 length (-1 for null) and the value in network byte order, then int16 -1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
ROWS_PER_CHUNK = 65_536
DAYS_TO_2000 = 10_957  # PostgreSQL counts from 2000-01-01, polars from 1970-01-01
MICROSECONDS_TO_2000 = DAYS_TO_2000 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Fixed:
    """A type of fixed width: which polars types it takes without loss, and its numpy form in network byte order."""

    takes: Callable[[pl.DataType], bool]
    width: str
    value: Callable[[pl.Series], pl.Series]

    def numbers(self, column: pl.Series) -> np.ndarray[Any, Any]:
        return self.value(column).fill_null(0).to_numpy().astype(self.width)


@dataclass(frozen=True, slots=True)
class Text:
    """A type of varying length that is sent as text, after `prefix`."""

    prefix: bytes = b""

    def takes(self, dtype: pl.DataType) -> bool:
        return dtype == pl.String


def _is_timestamp(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None


def _since_2000(column: pl.Series) -> pl.Series:
    return column.dt.cast_time_unit("us").to_physical() - MICROSECONDS_TO_2000


def _integer(dtype: pl.DataType) -> bool:
    return dtype.is_integer()


TYPES: Mapping[str, Fixed | Text] = {
    "int2": Fixed(_integer, ">i2", lambda c: c.cast(pl.Int16)),
    "int4": Fixed(_integer, ">i4", lambda c: c.cast(pl.Int32)),
    "int8": Fixed(_integer, ">i8", lambda c: c.cast(pl.Int64)),
    "float8": Fixed(lambda t: t.is_float() or t.is_integer(), ">f8", lambda c: c.cast(pl.Float64)),
    "bool": Fixed(lambda t: t == pl.Boolean, "i1", lambda c: c.cast(pl.Int8)),
    "date": Fixed(lambda t: t == pl.Date, ">i4", lambda c: c.to_physical() - DAYS_TO_2000),
    "timestamptz": Fixed(_is_timestamp, ">i8", _since_2000),
    "text": Text(),
    "jsonb": Text(b"\x01"),
}


def takes(schema: Mapping[str, pl.DataType], types: Mapping[str, str]) -> bool:
    """Whether every column can be sent in binary as the PostgreSQL type it goes to; what cannot goes as text."""
    return all(
        name in types and types[name] in TYPES and TYPES[types[name]].takes(dtype) for name, dtype in schema.items()
    )


def encode(frame: pl.DataFrame, types: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The COPY stream of `frame`; `types` names the PostgreSQL type of each column. Integers that do not fit raise."""
    yield HEADER
    for chunk in frame.iter_slices(ROWS_PER_CHUNK):
        fields = pa.array([len(frame.columns).to_bytes(2, "big")], pa.large_binary())[0]
        parts = [part for column in chunk.iter_columns() for part in _parts(column, TYPES[types[column.name]])]
        rows = pc.binary_join_element_wise(fields, *parts, pa.scalar(b"", pa.large_binary()))
        yield memoryview(rows.buffers()[2])
    yield TRAILER


def _parts(column: pl.Series, kind: Fixed | Text) -> list[pa.Array]:
    """Per row, length and value of one field, as one or two columns of bytes."""
    if isinstance(kind, Text):
        return _text_parts(column, kind)
    numbers = kind.numbers(column)
    width = numbers.dtype.itemsize
    cells = np.empty(len(numbers), dtype=[("length", ">i4"), ("value", numbers.dtype)])
    cells["length"], cells["value"] = width, numbers
    return [_with_nulls(_binary(cells), column)]


def _text_parts(column: pl.Series, kind: Text) -> list[pa.Array]:
    value = column.fill_null("").to_arrow().cast(pa.large_binary())
    lengths = (column.str.len_bytes().fill_null(0).to_numpy() + len(kind.prefix)).astype(">i4")
    cells = np.empty(len(lengths), dtype=[("length", ">i4"), ("prefix", f"S{len(kind.prefix)}")])
    cells["length"], cells["prefix"] = lengths, kind.prefix
    return [_with_nulls(_binary(cells), column), value]


def _with_nulls(cells: pa.Array, column: pl.Series) -> pa.Array:
    if not column.null_count():
        return cells
    return pc.if_else(column.is_null().to_arrow(), pa.scalar(b"\xff\xff\xff\xff", pa.large_binary()), cells)


def _binary(cells: np.ndarray[Any, Any]) -> pa.Array:
    """A contiguous array of equal cells as a column of bytes, without a copy."""
    offsets = np.arange(len(cells) + 1, dtype=np.int64) * cells.dtype.itemsize
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(cells), [None, pa.py_buffer(offsets), pa.py_buffer(cells)]
    )
