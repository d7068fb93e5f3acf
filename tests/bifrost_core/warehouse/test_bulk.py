from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from polars.testing import assert_frame_equal

from bifrost_core.warehouse import bulk
from bifrost_core.warehouse.warehouse import Warehouse

TABLE = """
    create table {name} (
        i2 int2, i4 int4, i8 int8, f8 double precision, b boolean, d date, at timestamptz, t text, j jsonb,
        money numeric(18, 6), tags text[], id uuid
    )
"""
SCHEMA = {
    "i2": pl.Int16,
    "i4": pl.Int32,
    "i8": pl.Int64,
    "f8": pl.Float64,
    "b": pl.Boolean,
    "d": pl.Date,
    "at": pl.Datetime("us", "UTC"),
    "t": pl.String,
}
FIRST, LAST = (datetime(year, 1, 1) for year in (1900, 2200))  # noqa: DTZ001 - hypothesis adds the zone
MOMENT = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
ROW = st.fixed_dictionaries(
    {
        "i2": st.none() | st.integers(-(2**15), 2**15 - 1),
        "i4": st.none() | st.integers(-(2**31), 2**31 - 1),
        "i8": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f8": st.none() | st.floats(),
        "b": st.none() | st.booleans(),
        "d": st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        "at": st.none() | MOMENT,
        "t": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    }
)


@pytest.fixture
def table(owner: Warehouse) -> str:
    with owner.transaction() as connection:
        connection.execute(TABLE.format(name="public.things"))
    return "public.things"


def stored(connection: psycopg.Connection, columns: list[str]) -> list[tuple[Any, ...]]:
    return connection.execute(f"select {', '.join(columns)} from public.things order by ctid").fetchall()


def emptied(connection: psycopg.Connection) -> None:
    """A new file, in which rows lie in the order of their writing: not in what a vacuum freed of the example before."""
    connection.execute("truncate public.things")


def same(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> bool:
    """Equal, with NaN equal to itself and -0.0 not equal to 0.0."""
    return [list(map(plain, row)) for row in ours] == [list(map(plain, row)) for row in theirs]


def plain(cell: object) -> str:
    return repr(cell.astimezone(UTC).isoformat() if isinstance(cell, datetime) else cell)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=12))
def test_binary_round_trip(owner: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    """A null that becomes zero, a float that loses its last bit or a text that loses a quote falsifies history."""
    frame = pl.DataFrame(rows, schema=SCHEMA)
    with owner.transaction() as connection:
        emptied(connection)
        assert bulk.copy_frame(connection, frame, table) == len(rows)
        assert same(stored(connection, list(SCHEMA)), frame.rows())
        connection.rollback()


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=12))
def test_text_round_trip(owner: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    """The same by CSV, which a frame with money takes: there NULL, an empty string and the text \\N look alike."""
    frame = pl.DataFrame(rows, schema=SCHEMA).with_columns(money=pl.lit(Decimal("-1234567.891000"), pl.Decimal(18, 6)))
    with owner.transaction() as connection:
        emptied(connection)
        bulk.copy_frame(connection, frame, table)
        assert same(stored(connection, [*SCHEMA, "money"]), frame.rows())
        connection.rollback()


@pytest.mark.parametrize("text", ["", "\\N", '"', "a\nb", "a\r\nb", "a,b", "\\", "\\.", "null", " ", "ü€😀", None])
@pytest.mark.parametrize("with_money", [False, True])
def test_awkward_texts(owner: Warehouse, table: str, text: str | None, with_money: bool) -> None:
    """A vendor's odd string must neither end the load nor come back as something else."""
    frame = pl.DataFrame({"t": ["before", text, "after"]})
    if with_money:
        frame = frame.with_columns(money=pl.lit(Decimal("0.100000")))
    with owner.transaction() as connection:
        bulk.copy_frame(connection, frame, table)
        assert [row[0] for row in stored(connection, ["t"])] == ["before", text, "after"]


def test_json_uuid_and_numeric(owner: Warehouse, table: str) -> None:
    """Types that polars lacks travel as text and are PostgreSQL's to convert."""
    frame = pl.DataFrame({"j": ['{"a": [1, "x"]}', None], "i4": [1, 2]})
    money = pl.DataFrame({"money": ["12.345678"], "id": ["00000000-0000-0000-0000-000000000001"], "tags": ["{a,b}"]})
    with owner.transaction() as connection:
        bulk.copy_frame(connection, frame, table)
        bulk.copy_frame(connection, money, table)
        assert stored(connection, ["j"])[:2] == [({"a": [1, "x"]},), (None,)]
        ((value, tags, identity),) = stored(connection, ["money", "tags", "id"])[2:]
    assert (value, tags, str(identity)) == (Decimal("12.345678"), ["a", "b"], "00000000-0000-0000-0000-000000000001")


def test_more_rows_than_a_chunk(owner: Warehouse, table: str) -> None:
    """Chunks are encoded apart: a seam in the wrong place would shift every later row."""
    n = 150_001
    frame = pl.DataFrame({"i4": range(n)}, schema={"i4": pl.Int32}).with_columns(
        t=pl.when(pl.col("i4") % 7 == 0).then(None).otherwise(pl.col("i4").cast(pl.String))
    )
    with owner.transaction() as connection:
        assert bulk.copy_frame(connection, frame, table) == n
    read = owner.read("select i4, t from public.things order by i4")
    assert_frame_equal(read, frame)


def test_narrower_and_wider_numbers(owner: Warehouse, table: str) -> None:
    """polars counts in 64 bits: what fits goes in, what does not is refused, never cut."""
    with owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"i4": [2**31 - 1], "f8": [3]}), table)
        assert stored(connection, ["i4", "f8"]) == [(2**31 - 1, 3.0)]
    with pytest.raises(pl.exceptions.InvalidOperationError), owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"i4": [2**31]}), table)
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"i4": [1.5]}), table)


def test_times_keep_their_instant(owner: Warehouse, table: str) -> None:
    """A bar's time in another zone, or in nanoseconds, is the same instant."""
    local = pl.Series([datetime(2013, 3, 1, 16, tzinfo=UTC)]).dt.replace_time_zone("America/New_York")
    with owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"at": local}), table)
        bulk.copy_frame(connection, pl.DataFrame({"at": local.dt.cast_time_unit("ns")}), table)
        assert stored(connection, ["at"]) == [(datetime(2013, 3, 1, 21, tzinfo=UTC),)] * 2


def test_empty_frame_and_unknown_column(owner: Warehouse, table: str) -> None:
    """No rows is no work; a column the table lacks is an error that names it."""
    with owner.transaction() as connection:
        assert bulk.copy_frame(connection, pl.DataFrame(schema={"i4": pl.Int32}), table) == 0
    with pytest.raises(psycopg.errors.UndefinedColumn, match="wrong"), owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"wrong": [1]}), table)


def test_copy_is_part_of_the_transaction(owner: Warehouse, table: str) -> None:
    """Half a load that stays after an error would be taken for the whole."""
    with pytest.raises(RuntimeError), owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"i4": [1]}), table)
        raise RuntimeError
    assert owner.read("select i4 from public.things").is_empty()


def test_staged_compares_and_leaves_nothing(owner: Warehouse, table: str) -> None:
    """Staging is how changed rows are found; a stage that stays would collide with the next load."""
    with owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"i4": [1, 2], "t": ["a", "b"]}), table)
        new = pl.DataFrame({"i4": [2, 3], "t": ["b", "c"]})
        with bulk.staged(connection, new, table) as stage:
            sql = f"select s.i4 from {stage} s left join public.things using (i4, t) where things.i4 is null"
            assert connection.execute(sql).fetchall() == [(3,)]
        assert connection.execute("select count(*) from pg_class where relname like 'stage_%'").fetchone() == (0,)


def test_staged_takes_an_empty_frame(owner: Warehouse, table: str) -> None:
    """A provider with no news must not fail the night."""
    with (
        owner.transaction() as connection,
        bulk.staged(connection, pl.DataFrame(schema={"i4": pl.Int32}), table) as stage,
    ):
        assert connection.execute(f"select count(*) from {stage}").fetchone() == (0,)


def test_pipeline_may_stage(warehouse: Warehouse) -> None:
    """bifrost_pipeline loads bars through temporary tables, in a database whose public rights are taken away."""
    bars = pl.DataFrame({"instrument_id": [1], "close": [2.5]}, schema_overrides={"instrument_id": pl.Int32})
    with warehouse.transaction() as connection, bulk.staged(connection, bars, "raw.daily_bars") as stage:
        assert connection.execute(f"select close from {stage}").fetchall() == [(2.5,)]


def test_replace_sessions_replaces_its_window_only(owner: Warehouse, table: str) -> None:
    """A second run of a night must leave one copy of it, and must not touch the other nights."""
    days = [date(2013, 2, 27), date(2013, 2, 28), date(2013, 3, 1)]
    with owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"d": days, "i4": [1, 2, 3]}), table)
    again = pl.DataFrame({"d": days[1:], "i4": [20, 30]})
    for _ in range(2):
        with owner.transaction() as connection:
            bulk.replace_sessions(connection, again, table, "d between %s and %s", (days[1], days[2]))
    assert owner.read("select i4 from public.things order by d")["i4"].to_list() == [1, 20, 30]


def test_replace_sessions_with_nothing_empties_the_window(owner: Warehouse, table: str) -> None:
    """A night whose rows all went away must not keep yesterday's version of them."""
    with owner.transaction() as connection:
        bulk.copy_frame(connection, pl.DataFrame({"d": [date(2013, 3, 1)]}), table)
        empty = pl.DataFrame(schema={"d": pl.Date})
        assert bulk.replace_sessions(connection, empty, table, "d = %s", (date(2013, 3, 1),)) == 0
        assert stored(connection, ["d"]) == []


def test_read_binds_parameters_and_types(owner: Warehouse) -> None:
    """Every reader counts on floats as floats, times in UTC and parameters that are no text in the statement."""
    moment = datetime(2013, 3, 1, 21, tzinfo=UTC)
    sql = "select $1::int4 as n, $2::text as t, $3::timestamptz as at, 'nan'::float8 as nan, $4::date as d"
    row = owner.read(sql, 7, "'; drop table x; --", moment, date(2013, 3, 1)).row(0, named=True)
    assert math.isnan(row.pop("nan"))
    assert row == {"n": 7, "t": "'; drop table x; --", "at": moment, "d": date(2013, 3, 1)}
    assert row["at"].utcoffset() == timedelta(0)


def test_read_of_no_rows_keeps_its_columns(owner: Warehouse) -> None:
    """An empty state that loses its columns breaks whatever is computed from it."""
    frame = owner.read("select session, close from raw.daily_bars")
    assert frame.schema == {"session": pl.Date, "close": pl.Float64}
