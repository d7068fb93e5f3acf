"""Bulk rows in and out: polars frames through COPY, set-based statements, never row by row."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import psycopg.sql as s

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import psycopg

Params = Sequence[Any]
CSV_ROWS = 50_000
PLACEHOLDER = re.compile(r"\$(\d+)")


@lru_cache(maxsize=8)
def _database(uri: str) -> Any:
    """The driver's handle of a database, with no connection: making one reads the catalog (40 ms; a login is 2 ms)."""
    import adbc_driver_postgresql

    return adbc_driver_postgresql.connect(f"{uri}&options=-c%20timezone%3DUTC")


def read_frame(uri: str, sql: str, params: Params = ()) -> pl.DataFrame:
    """The rows of `sql` as a polars frame, through ADBC (`$1`, `$2` ... are the parameters).

    NUMERIC arrives as text: cast money to text or float8 in the statement, on purpose.
    """
    import adbc_driver_manager as adbc
    import polars as pl
    import pyarrow as pa

    with adbc.AdbcConnection(_database(uri)) as connection, adbc.AdbcStatement(connection) as statement:
        statement.set_sql_query(with_literals(sql, params))
        rows, _ = statement.execute_query()
        return cast("pl.DataFrame", pl.from_arrow(pa.RecordBatchReader.from_stream(rows).read_all()))


def with_literals(sql: str, params: Params) -> str:
    """`sql` with each `$n` replaced by the value as a quoted literal.

    The driver reads a statement without parameters through COPY, and one with them row by row: half as fast. The
    planner sees the values, too, and leaves out the partitions that they exclude.
    """
    literals = [s.Literal(value).as_string(None) for value in params]
    return PLACEHOLDER.sub(lambda found: literals[int(found[1]) - 1], sql)


def copy_frame(connection: psycopg.Connection, frame: pl.DataFrame, table: str) -> int:
    """COPY the rows of `frame` into `table` ("schema.name") by column name, in the connection's transaction.

    In binary where every column's type allows it, else as CSV, which PostgreSQL converts: Decimal to NUMERIC, text to
    uuid. Null is NULL, the empty string is itself, floats arrive bit for bit.
    """
    if frame.is_empty():
        return 0
    from bifrost_core.warehouse import copybinary

    types = _column_types(connection, table)
    binary = copybinary.takes(frame.schema, types)
    chunks = copybinary.encode(frame, types) if binary else _csv(frame)
    form = "format binary" if binary else "format csv, null '\\N'"
    columns = s.SQL(", ").join(s.Identifier(name) for name in frame.columns)
    statement = s.SQL("copy {} ({}) from stdin with ({})").format(identifier(table), columns, s.SQL(form))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in chunks:
            copy.write(chunk)
    return frame.height


def _csv(frame: pl.DataFrame) -> Iterator[str]:
    """The frame as CSV in pieces; strings are quoted, so that none of them reads as NULL."""
    for piece in frame.iter_slices(CSV_ROWS):
        yield piece.write_csv(
            include_header=False,
            null_value="\\N",
            quote_style="non_numeric",
            datetime_format="%Y-%m-%dT%H:%M:%S%.6f%:z",
        )


def _column_types(connection: psycopg.Connection, table: str) -> dict[str, str]:
    """PostgreSQL's names of the types of the table's columns."""
    sql = """
        select attname, typname from pg_attribute join pg_type on pg_type.oid = atttypid
        where attrelid = %s::regclass and attnum > 0 and not attisdropped
    """
    return dict(connection.execute(sql, (identifier(table).as_string(connection),)).fetchall())


def identifier(table: str) -> s.Composed:
    """ "schema.name", or a name alone, quoted."""
    return s.SQL(".").join(s.Identifier(part) for part in table.split("."))


@contextmanager
def staged(connection: psycopg.Connection, frame: pl.DataFrame, like: str) -> Iterator[str]:
    """A temporary table with `frame` in it, its columns typed as those of table `like`, analysed; yields its name."""
    name = f"stage_{uuid.uuid4().hex[:12]}"
    columns = s.SQL(", ").join(s.Identifier(column) for column in frame.columns)
    with connection.cursor() as cursor:
        cursor.execute(
            s.SQL("create temporary table {} on commit drop as select {} from {} with no data").format(
                s.Identifier(name), columns, identifier(like)
            )
        )
        copy_frame(connection, frame, name)
        cursor.execute(s.SQL("analyze {}").format(s.Identifier(name)))
        yield name
        cursor.execute(s.SQL("drop table {}").format(s.Identifier(name)))


def replace_sessions(
    connection: psycopg.Connection, frame: pl.DataFrame, table: str, where: str, params: Params
) -> int:
    """Replace the rows of `table` that match `where` (psycopg placeholders) with `frame`, in one transaction.

    For computed tables, whose rows can be computed again; raw tables are append-only and never come here.
    """
    with connection.cursor() as cursor:
        cursor.execute(s.SQL("delete from {} where ").format(identifier(table)) + s.SQL(where), params)
    return copy_frame(connection, frame, table)
