"""Bulk rows in and out: polars frames through COPY, set-based statements, never row by row."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import psycopg

Params = Sequence[Any]


def read_frame(uri: str, sql: str, params: Params = ()) -> pl.DataFrame:
    """The rows of `sql` as a polars frame, through ADBC (`$1`, `$2` ... are the parameters).

    NUMERIC arrives as text: cast money to text or float8 in the statement, on purpose.
    """
    import adbc_driver_postgresql.dbapi as adbc
    import polars as pl

    with adbc.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        cursor.execute(sql, tuple(params) or None)
        frame = pl.from_arrow(cursor.fetch_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def copy_frame(connection: psycopg.Connection, frame: pl.DataFrame, table: str) -> int:
    """COPY the rows of `frame` into `table` ("schema.name") by column name, in the connection's transaction."""
    import psycopg.sql as s

    if frame.is_empty():
        return 0
    target = s.SQL(".").join(s.Identifier(part) for part in table.split("."))
    columns = s.SQL(", ").join(s.Identifier(name) for name in frame.columns)
    statement = s.SQL("copy {} ({}) from stdin with (format csv, null '\\N')").format(target, columns)
    text = frame.write_csv(include_header=False, null_value="\\N", datetime_format="%Y-%m-%dT%H:%M:%S%.6f%:z")
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text)
    return frame.height


@contextmanager
def staged(connection: psycopg.Connection, frame: pl.DataFrame, like: str) -> Iterator[str]:
    """A temporary table with the columns of `like` that `frame` has, filled with `frame` and analysed; yields its name."""
    import psycopg.sql as s

    name = f"stage_{uuid.uuid4().hex[:12]}"
    source = s.SQL(".").join(s.Identifier(part) for part in like.split("."))
    columns = s.SQL(", ").join(s.Identifier(column) for column in frame.columns)
    with connection.cursor() as cursor:
        cursor.execute(
            s.SQL("create temporary table {} on commit drop as select {} from {} with no data").format(
                s.Identifier(name), columns, source
            )
        )
        copy_frame(connection, frame, name)
        cursor.execute(s.SQL("analyze {}").format(s.Identifier(name)))
        yield name
        cursor.execute(s.SQL("drop table {}").format(s.Identifier(name)))


def replace_sessions(connection: psycopg.Connection, frame: pl.DataFrame, table: str, where: str, params: Params) -> int:
    """Replace the rows of `table` that match `where` (psycopg placeholders) with `frame`, in the connection's transaction.

    For computed tables, whose rows can be computed again; raw tables are append-only and never come here.
    """
    import psycopg.sql as s

    target = s.SQL(".").join(s.Identifier(part) for part in table.split("."))
    with connection.cursor() as cursor:
        cursor.execute(s.SQL("delete from {} where ").format(target) + s.SQL(where), params)  # type: ignore[arg-type]
    return copy_frame(connection, frame, table)
