"""Months made when needed, and the way from one backend to the other and back.

TimescaleDB cannot be installed here. A stand-in extension of that name has functions with its documented signatures
that write down how they were called, so what is shown is what we ask of it, not what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from bifrost_core.settings import Settings
from bifrost_core.warehouse import timeseries
from bifrost_core.warehouse.connect import Role, url
from bifrost_core.warehouse.timeseries import Backend
from bifrost_core.warehouse.warehouse import Warehouse

JANUARY, MARCH = datetime(2013, 1, 31, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC)
BAR = """
    insert into raw.minute_bars (instrument_id, session, start_at, ingested_at, available_at,
        open, high, low, close, volume, provider, payload_sha256)
    values (1, '2013-02-15', '2013-02-15 14:30Z', '2013-02-16Z', '2013-02-15 21:15Z', 1, 1, 1, 1, 1, 'p', 'h')
"""
REPLACED = "insert into raw.minute_bars_superseded values (1, '2013-02-15 14:30Z', '2013-02-16Z', '2013-02-17Z')"
CONTROL = "default_version = '1.0'\nrelocatable = false\ntrusted = true\nschema = 'public'\n"
STAND_IN = """
create table public.calls (n bigint generated always as identity, call text);
create function public.create_hypertable(
    relation regclass, time_column_name name, partitioning_column name default null,
    number_partitions integer default null, associated_schema_name name default null,
    associated_table_prefix name default null, chunk_time_interval anyelement default null::bigint,
    create_default_indexes boolean default true, if_not_exists boolean default false)
returns void language sql as $$
    insert into public.calls (call)
    values (format(
        'create_hypertable %s %s %s %s', relation, time_column_name, chunk_time_interval, create_default_indexes))
$$;
create function public.add_compression_policy(
    hypertable regclass, compress_after "any" default null, if_not_exists boolean default false)
returns integer language internal as 'pg_num_nulls';  -- takes "any", as the real one does
create function public.show_chunks(relation regclass, older_than timestamptz default null)
returns setof regclass language sql as $$ select relation $$;
create function public.drop_chunks(relation regclass, older_than timestamptz default null)
returns setof text language sql as $$
    insert into public.calls (call) values (format('drop_chunks %s', relation)) returning 'chunk'
$$;
"""


def tables(warehouse: Warehouse) -> list[str]:
    sql = """
        select inhrelid::regclass::text as name from pg_inherits
        where inhparent in ('raw.minute_bars'::regclass, 'raw.minute_bars_superseded'::regclass) order by 1
    """
    return warehouse.read(sql)["name"].to_list()


def test_months_are_made_when_they_are_needed_by_the_pipeline_itself(warehouse: Warehouse) -> None:
    """A load would wait every month for somebody with the owner's password."""
    assert tables(warehouse) == []
    assert timeseries.ensure_partitions(warehouse, JANUARY, MARCH) == 6
    assert timeseries.ensure_partitions(warehouse, JANUARY, MARCH) == 0
    months = ("201301", "201302", "201303")
    assert tables(warehouse) == [f"raw.minute_bars{kind}_m{m}" for kind in ("", "_superseded") for m in months]
    timeseries.analyze(warehouse, MARCH)


def test_months_that_cannot_be_are_refused(warehouse: Warehouse) -> None:
    """A wrong year would make thousands of tables."""
    for first, last in ((1900, 1901), (2013, 2300), (2014, 2013)):
        with pytest.raises(psycopg.errors.RaiseException, match="no partitions"):
            timeseries.ensure_partitions(warehouse, datetime(first, 2, 1, tzinfo=UTC), datetime(last, 2, 1, tzinfo=UTC))


def test_only_the_pipeline_makes_months(settings: Settings) -> None:
    """A function that runs as the owner is a door."""
    for role in (Role.READER, Role.TRADER, Role.API):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            timeseries.ensure_partitions(Warehouse(settings, role), JANUARY, MARCH)


def test_minutes_are_only_appended_even_by_the_owner(warehouse: Warehouse, owner: Warehouse) -> None:
    """History would be rewritten through a partition, where the parent refuses; TRUNCATE passes row triggers by."""
    timeseries.ensure_partitions(warehouse, JANUARY, MARCH)
    with warehouse.transaction() as connection:
        connection.execute(BAR)
        connection.execute(REPLACED)
    changes = ("update {} set instrument_id = 2", "delete from {}", "truncate {}")
    for table in ("raw.minute_bars", "raw.minute_bars_m201302", "raw.minute_bars_superseded_m201302"):
        for change in (*changes, "drop table {}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), warehouse.transaction() as connection:
                connection.execute(change.format(table))
        for change in changes:
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"), owner.transaction() as connection:
                connection.execute(change.format(table))


@pytest.fixture
def timescale(settings: Settings, tmp_path: Path) -> Iterator[Warehouse]:
    """The owner of a warehouse whose server has the stand-in extension installed, not yet in use."""
    folder = tmp_path / "extension"
    folder.mkdir()
    (folder / "timescaledb.control").write_text(CONTROL)
    (folder / "timescaledb--1.0.sql").write_text(STAND_IN)
    for path in (folder, *folder.parents[:4]):
        path.chmod(path.stat().st_mode | 0o055)  # the server is another user
    owner = Warehouse(settings, Role.OWNER)
    with connect_superuser(settings) as connection:
        connection.execute("select set_config('extension_control_path', %s, false)", (f"{tmp_path}:$system",))
        connection.execute("create extension timescaledb")
        connection.execute("grant all on public.calls to public")
    return owner


def connect_superuser(settings: Settings) -> psycopg.Connection:
    address = url(settings, Role.OWNER).replace(
        f"{Role.OWNER}:{settings.secrets.owner_password}", f"postgres:{settings.secrets.superuser_password}"
    )
    return psycopg.connect(address, autocommit=True)


def test_without_the_extension_the_backend_is_native(owner: Warehouse) -> None:
    """The migration would fail on every server that lacks it."""
    assert owner.read("select raw.timescale_is_usable()").item() is False
    with owner.transaction() as connection:
        assert timeseries.backend(connection) is Backend.NATIVE


def test_compression_is_asked_for_in_words_that_postgresql_parses(owner: Warehouse) -> None:
    """Without the extension PostgreSQL knows no such options: that it names them shows that all else is right."""
    with owner.transaction() as connection:
        connection.execute("create table public.plain (instrument_id integer, start_at timestamptz)")
        with pytest.raises(psycopg.errors.InvalidParameterValue, match='namespace "timescaledb"'):
            connection.execute("select raw.timescale_compress('public.plain')")
        connection.rollback()


def test_from_partitions_to_hypertables_and_back(warehouse: Warehouse, timescale: Warehouse) -> None:
    """A server that gets the extension would keep its partitions for ever, or lose what is in them."""
    timeseries.ensure_partitions(warehouse, JANUARY, MARCH)
    with warehouse.transaction() as connection:
        connection.execute(BAR)
        connection.execute(REPLACED)
    reads = "select * from raw.minute_bars_as_of('2013-02-16Z', '2013-02-16Z')"
    before = warehouse.read(reads)
    with timescale.transaction() as connection:
        # no extension, no such options: the words are checked by the test above
        connection.execute(
            "create or replace function raw.timescale_compress(p_table regclass) returns void language sql as"
            " $$ insert into public.calls (call) values (format('compress %s', p_table)) $$"
        )
        assert timeseries.move(connection, Backend.TIMESCALE) == 1
        assert timeseries.backend(connection) is Backend.TIMESCALE
    assert timescale.read("select call from public.calls order by n")["call"].to_list() == [
        f"{call} {table}{more}"
        for table in timeseries.TABLES
        for call, more in (("create_hypertable", " start_at 1 mon f"), ("compress", ""))
    ]
    assert warehouse.read(reads).equals(before)
    assert timeseries.ensure_partitions(warehouse, JANUARY, MARCH) == 0
    assert timescale.read("select raw.timescale_is_usable()").item() is True
    with warehouse.transaction() as connection:
        connection.execute(BAR.replace("14:30", "14:31"))  # rights and triggers came along
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), timescale.transaction() as connection:
        connection.execute("delete from raw.minute_bars")
    with timescale.transaction() as connection:
        assert timeseries.move(connection, Backend.NATIVE) == 2
        assert timeseries.backend(connection) is Backend.NATIVE
    assert warehouse.read(reads).equals(warehouse.read(reads + " order by start_at"))
    assert tables(warehouse) == ["raw.minute_bars_m201302", "raw.minute_bars_superseded_m201302"]


def test_expired_chunks_are_asked_of_timescale(warehouse: Warehouse, timescale: Warehouse) -> None:
    """Retention would look for partitions where there are none, and keep everything."""
    timeseries.ensure_partitions(warehouse, JANUARY, MARCH)
    with warehouse.transaction() as connection:
        connection.execute(BAR)
    with timescale.transaction() as connection:
        connection.execute(
            "create or replace function raw.timescale_compress(p_table regclass) returns void language sql as ''"
        )
        timeseries.move(connection, Backend.TIMESCALE)
    with warehouse.transaction() as connection:
        rows = connection.execute("select * from reference.apply_retention_v1('raw.minute_bars')").fetchall()
    assert rows == [("raw.minute_bars", 1)]
    assert (
        timescale.read("select call from public.calls order by n desc limit 1").item() == "drop_chunks raw.minute_bars"
    )
