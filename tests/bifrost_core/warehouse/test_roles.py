from __future__ import annotations

import re

import polars as pl
import psycopg
import pytest
from psycopg import sql

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Database, Role, connect
from bifrost_core.warehouse.warehouse import Warehouse

REFUSED = psycopg.errors.InsufficientPrivilege
TABLES = """
    select format('%%I.%%I', nspname, relname), nspname from pg_class join pg_namespace n on n.oid = relnamespace
    where relkind in ('r', 'p') and not relispartition and nspname = any(%s)
"""
OURS = [
    *("reference", "raw", "staging", "intermediate", "marts", "features", "ml", "signals", "research", "trading"),
    *("audit", "compliance", "quarantine"),
]
WRITES = {"insert", "update", "delete", "truncate"}


def may(owner: Warehouse, role: Role) -> dict[str, set[str]]:
    """By table, the writes `role` may do, column by column grants included."""
    found: dict[str, set[str]] = {}
    with owner.transaction() as connection:
        for table, _ in connection.execute(TABLES, (OURS,)).fetchall():
            for write in WRITES:
                check = "has_table_privilege" if write in {"delete", "truncate"} else "has_any_column_privilege"
                row = connection.execute(f"select {check}(%s, %s, %s)", (role, table, write)).fetchone()
                if row and row[0]:
                    found.setdefault(table, set()).add(write)
    return found


def test_reader_writes_nothing(owner: Warehouse) -> None:
    """The app and Grafana read; a page that can write is a page that can trade."""
    assert may(owner, Role.READER) == {}


def test_nobody_but_the_owner_truncates_or_rewrites_history(owner: Warehouse) -> None:
    """Raw vintages, order events and the audit chain are what everything else is rebuilt from."""
    for role in (Role.PIPELINE, Role.TRADER, Role.API, Role.READER):
        writes = may(owner, role)
        assert all("truncate" not in kinds for kinds in writes.values()), role
        for table in ("audit.chain", "trading.order_events", "trading.fills", "trading.risk_decisions"):
            assert writes.get(table, set()) <= ({"insert"} if role is Role.TRADER else set()), (role, table)
        for table in ("raw.daily_bars", "raw.daily_bars_superseded", "raw.corporate_actions", "raw.payloads"):
            assert writes.get(table, set()) <= ({"insert"} if role is Role.PIPELINE else set()), (role, table)


def test_pipeline_never_touches_the_book(owner: Warehouse) -> None:
    """An asset that can write orders or fills is a second trader."""
    touched = {table for table in may(owner, Role.PIPELINE) if table.split(".")[0] in {"trading", "audit"}}
    assert touched == set()


def test_trader_writes_the_book_only_and_no_limits(owner: Warehouse) -> None:
    """A daemon that can raise its own limits has none."""
    writes = may(owner, Role.TRADER)
    assert {table.split(".")[0] for table in writes} <= {"trading", "audit"}
    assert "trading.limits" not in writes


MAY_CREATE = """
    select nspname from pg_namespace
    where nspname !~ '^pg_(toast|temp)' and has_schema_privilege(%s, oid, 'create')
    order by nspname
"""
DBT = ["intermediate", "intermediate_as_of", "marts", "marts_as_of", "staging", "staging_as_of"]


def test_nobody_makes_anything_in_our_schemas(owner: Warehouse) -> None:
    """A function of the pipeline's beside ours can be what a function that runs as the owner calls: the pipeline is
    the owner then, and the book is its own."""
    with owner.transaction() as connection:
        may_create = {
            role: [name for (name,) in connection.execute(MAY_CREATE, (role,))]
            for role in (Role.PIPELINE, Role.TRADER, Role.API, Role.READER)
        }
    assert may_create == {Role.PIPELINE: DBT, Role.TRADER: [], Role.API: [], Role.READER: []}


RUN_AS_OWNER = """
    select format('%s.%s', nspname, proname) as name,
        coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false) as is_pinned,
        has_function_privilege('public', p.oid, 'execute') as is_public
    from pg_proc p join pg_namespace n on n.oid = pronamespace
    where prosecdef and nspname !~ '^pg_'
"""


def test_what_runs_as_the_owner_has_its_own_path_and_no_public(owner: Warehouse) -> None:
    """With the caller's path it would call the caller's functions as the owner; with public anybody calls it."""
    found = owner.read(RUN_AS_OWNER)
    assert found.height >= 20
    assert found.filter(~pl.col("is_pinned") | pl.col("is_public"))["name"].to_list() == []


UNTYPED = re.compile(r"\b(?:audit|raw|reference|trading|quarantine)\.\w+\((?:[^()']*,)?\s*'[^']*'\s*[,)]")


def test_what_runs_as_the_owner_calls_with_typed_arguments(owner: Warehouse) -> None:
    """A bare literal goes to an overload that takes text before it goes to ours that takes a regclass."""
    with owner.transaction() as connection:
        sources = connection.execute(
            "select proname, prosrc from pg_proc p join pg_namespace n on n.oid = pronamespace"
            " where nspname in ('audit', 'raw', 'reference', 'trading', 'quarantine') and prosrc is not null"
        ).fetchall()
    assert UNTYPED.search("raw.native_make_partitions('raw.minute_bars', p_first)")
    assert {name: UNTYPED.findall(source) for name, source in sources if UNTYPED.search(source)} == {}


STATEMENTS = [
    (Role.READER, "insert into reference.restricted_list values (1, '2013-03-01', null, 'x')"),
    (Role.READER, "update trading.kill_switches set engaged = false"),
    (Role.READER, "create table public.mine (i int)"),
    (Role.READER, "create temporary table mine (i int)"),
    (Role.READER, "create schema mine"),
    (Role.PIPELINE, "insert into trading.limits values ('*', 'x', 1, 1, 'usd', 'me')"),
    (Role.PIPELINE, "delete from raw.daily_bars"),
    (Role.PIPELINE, "create table raw.mine (i int)"),
    (Role.PIPELINE, "create function raw.minute_backend(text) returns text language sql return 'native'"),
    (Role.PIPELINE, "update raw.daily_bars set close = 1"),
    (Role.PIPELINE, "truncate audit.chain"),
    (Role.TRADER, "insert into signals.targets values (gen_random_uuid(), 'A', 1, 1, '{}')"),
    (Role.TRADER, "update trading.limits set value = 1e12"),
    (Role.TRADER, "delete from trading.order_events"),
    (Role.API, "insert into trading.orders (client_order_id) values ('x')"),
]


@pytest.mark.parametrize(("role", "statement"), STATEMENTS)
def test_forbidden_statement_is_refused(settings: Settings, role: Role, statement: str) -> None:
    """The grants of a real connection, not their description: each of these would break a promise."""
    with connect(settings, role) as connection, pytest.raises(REFUSED):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("role", "database"),
    [(role, database) for role in (Role.TRADER, Role.API) for database in (Database.DAGSTER, Database.MLFLOW)]
    + [(Role.READER, Database.MLFLOW)],
)
def test_tools_databases_are_the_pipelines(all_databases: Settings, role: Role, database: Database) -> None:
    """Dagster's and MLflow's stores hold run configuration: nobody else connects."""
    with pytest.raises(WarehouseError, match="permission denied for database"):
        connect(all_databases, role, database)


def test_reader_reads_what_dagster_stores_and_changes_nothing(all_databases: Settings) -> None:
    """The app's Operations page shows freshness and checks from there, whenever Dagster makes its tables."""
    with connect(all_databases, Role.PIPELINE, Database.DAGSTER) as connection:
        connection.execute("create table event_logs as select 1 as id")
    with connect(all_databases, Role.READER, Database.DAGSTER) as connection:
        assert connection.execute("select id from event_logs").fetchall() == [(1,)]
        with pytest.raises(REFUSED):
            connection.execute("delete from event_logs")


def test_marts_are_readable_as_soon_as_dbt_makes_them(
    warehouse: Warehouse, reader: Warehouse, trader: Warehouse
) -> None:
    """dbt makes tables anew on every run: without default privileges every page would lose them every night."""
    with warehouse.transaction() as connection:
        connection.execute("create table marts.fresh as select 1 as n")
    assert reader.read("select n from marts.fresh")["n"].to_list() == [1]
    assert trader.read("select n from marts.fresh")["n"].to_list() == [1]


GUARDED = [
    "raw.daily_bars",
    "raw.daily_bars_superseded",
    "raw.corporate_actions",
    "audit.chain",
    "trading.order_events",
    "quarantine.decisions",
    "raw.comparison_bars",
]
ROWS = {
    "raw.daily_bars": "(1, '2013-03-01', now(), now(), 1, 1, 1, 1, 1, null, 'p', 'h')",
    "raw.daily_bars_superseded": "(1, '2013-03-01', now(), now())",
    "raw.corporate_actions": "(1, '2013-03-01', now(), now(), 'split', 0.5, 'p', 'h')",
    "audit.chain": "(1000000, 'k', '{}', 'a', 'b', now())",
}


@pytest.mark.parametrize("table", [table for table in GUARDED if table in ROWS])
@pytest.mark.parametrize("change", ["update {} set {} = {}", "delete from {}", "truncate {}"])
def test_append_only_even_for_the_owner(owner: Warehouse, table: str, change: str) -> None:
    """Privileges stop the parts; the triggers stop a person with the owner's password and a hurry."""
    column = {"audit.chain": "kind"}.get(table, "instrument_id")
    statement = sql.SQL(change).format(*map(sql.SQL, (table, column, column)))
    with owner.transaction() as connection:
        connection.execute(f"insert into {table} values {ROWS[table]}")
    before = owner.read(f"select count(*) as n from {table}")["n"][0]
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), owner.transaction() as connection:
        connection.execute(statement)
    assert owner.read(f"select count(*) as n from {table}")["n"][0] == before


def test_every_guarded_table_has_both_triggers(owner: Warehouse) -> None:
    """TRUNCATE passes row triggers by."""
    frame = owner.read(
        """select tgrelid::regclass::text as name, count(*) as n from pg_trigger
        where tgname like 'append_only%' and tgparentid = 0 group by 1"""
    )
    found = dict(frame.iter_rows())
    assert {table: found.get(table) for table in GUARDED} == dict.fromkeys(GUARDED, 2)
