"""The tables of minutes, whichever backend stores them: monthly partitions, or hypertables of TimescaleDB."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.warehouse.warehouse import Warehouse

TABLES = ("raw.minute_bars", "raw.minute_bars_superseded")
STATISTICS = 20  # of PostgreSQL's 100: a tenth of a second for a month, and as good a plan


class Backend(StrEnum):
    """Who cuts the tables into pieces."""

    NATIVE = "native"
    TIMESCALE = "timescale"


def backend(connection: psycopg.Connection) -> Backend:
    """The backend that stores the minutes now."""
    row = connection.execute("select raw.minute_backend()").fetchone()
    assert row is not None
    return Backend(row[0])


def ensure_partitions(warehouse: Warehouse, first: datetime, last: datetime) -> int:
    """Make what minutes from `first` to `last` need and is not there; returns how many tables were made.

    In a transaction of its own, because making a partition keeps readers out until it is committed.
    """
    with warehouse.transaction() as connection:
        row = connection.execute("select raw.ensure_minute_partitions_v1(%s, %s)", (first, last)).fetchone()
        assert row is not None
        return int(row[0])


def analyze(warehouse: Warehouse, at: datetime) -> None:
    """Tell the planner what the month of `at` holds: without it roll-ups are planned for a handful of rows.

    Before PostgreSQL 17 only the owner may; then autovacuum gets there later.
    """
    with warehouse.transaction() as connection:
        native = backend(connection) is Backend.NATIVE
        month = f"_m{at.astimezone(UTC):%Y%m}" if native else ""
        connection.execute(f"set local default_statistics_target = {STATISTICS}")
        connection.execute(f"analyze {', '.join(table + month for table in TABLES)}")


def move(connection: psycopg.Connection, to: Backend) -> int:
    """Move the minutes to another backend in the owner's transaction; returns the vintages moved."""
    row = connection.execute("select raw.move_minute_bars(%s)", (to.value,)).fetchone()
    assert row is not None
    return int(row[0])
