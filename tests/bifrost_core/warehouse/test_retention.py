"""What is removed, what never is, and who may say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse import retention, timeseries
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.retention import Piece
from bifrost_core.warehouse.warehouse import Warehouse

NOW = datetime.now(UTC)
OLD, RECENT = NOW - timedelta(days=2200), NOW - timedelta(days=40)
BAR = """
    insert into raw.minute_bars (instrument_id, session, start_at, ingested_at, available_at,
        open, high, low, close, volume, provider, payload_sha256)
    select 1, %(at)s::timestamptz::date, %(at)s::timestamptz + n * interval '1 minute', now(), now(),
        1, 1, 1, 1, 1, 'p', 'h'
    from generate_series(1, %(rows)s) n
"""
CHECKED = """
    insert into quarantine.check_results (asset_key, suite, expectation, passed, observed, dagster_run_id, checked_at)
    select 'a', 's', 'e', true, '{}', 'r', %(at)s from generate_series(1, %(rows)s)
"""


def keep(warehouse: Warehouse, statement: str, at: datetime, rows: int) -> None:
    timeseries.ensure_partitions(warehouse, at, at + timedelta(days=1))
    with warehouse.transaction() as connection:
        connection.execute(statement, {"at": at, "rows": rows})


def audited(owner: Warehouse) -> list[dict[str, object]]:
    with owner.transaction() as connection:
        rows = connection.execute("select payload from audit.chain where kind = 'retention' order by seq").fetchall()
    return [row[0] for row in rows]


def test_whole_months_past_their_time_go_and_are_audited(warehouse: Warehouse, owner: Warehouse) -> None:
    """Minutes would fill the disk; or go without a trace."""
    month = f"raw.minute_bars_m{OLD:%Y%m}"
    keep(warehouse, BAR, OLD.replace(day=3), 5)
    keep(warehouse, BAR, RECENT, 4)
    keep(warehouse, BAR, NOW - timedelta(days=1826), 3)  # a month that is partly young stays
    found = [piece for piece in retention.expired(warehouse) if piece.rows]
    assert found == [Piece("raw.minute_bars", month, 5)]
    assert warehouse.read("select count(*) from raw.minute_bars").item() == 12  # looking removes nothing
    log: list[str] = []
    assert [piece for piece in retention.apply(warehouse, log.append) if piece.rows] == found
    assert any(month in line and "5 rows" in line for line in log)
    assert warehouse.read("select count(*) from raw.minute_bars").item() == 7
    [entry] = [entry for entry in audited(owner) if entry["rows"]]
    assert (entry["table"], entry["piece"], entry["keep_days"], entry["by"]) == (
        *("raw.minute_bars", month, 1826),
        "bifrost_pipeline",
    )
    assert owner.read("select audit.verify()").item() is None
    assert retention.apply(warehouse, log.append) == []


def test_single_rows_go_in_batches_oldest_first(warehouse: Warehouse, owner: Warehouse) -> None:
    """One delete of everything would hold its locks for as long as it takes."""
    for day in range(3):
        keep(warehouse, CHECKED, OLD + timedelta(days=day), 4)
    keep(warehouse, CHECKED, RECENT, 2)
    batches = []
    for _ in range(4):
        with warehouse.transaction() as connection:
            call = "select row_count from reference.apply_retention_v1('quarantine.check_results', 3)"
            batches.append(connection.execute(call).fetchall())
    assert batches == [[(4,)], [(4,)], [(4,)], []]
    assert warehouse.read("select count(*) from quarantine.check_results").item() == 2
    assert [entry["rows"] for entry in audited(owner)] == [4, 4, 4]


def test_payloads_go_only_where_minutes_alone_came_from_them(warehouse: Warehouse, owner: Warehouse) -> None:
    """A daily bar could no longer be traced to what the vendor sent."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into reference.instruments (instrument_id, symbol, name, asset_class, exchange_mic, currency)"
            " values (1, 'IBM', 'IBM', 'equity', 'XNYS', 'USD')"
        )
        for sha in ("minutes", "daily", "both", "held"):
            connection.execute(
                "insert into raw.payloads values (rpad(%s, 64, '0'), 'p', 's', 't', 1, '', %s)", (sha, OLD)
            )
        for n, sha in enumerate(("minutes", "both", "held")):
            connection.execute(
                "insert into raw.minute_loads values"
                " (1, 'p', '2020-01-02', '2020-01-02', %s, 'c', rpad(%s, 64, '0'), 1, 1, '{}', 'r')",
                (NOW + timedelta(seconds=n), sha),
            )
        for sha in ("daily", "both"):
            connection.execute(
                "insert into raw.daily_bars values (1, %s, now(), now(), 1, 1, 1, 1, 1, null, 'p', rpad(%s, 64, '0'))",
                (f"2020-01-0{2 + len(sha) % 4}", sha),
            )
        connection.execute(
            "insert into quarantine.rows (source, subject, reason, row, row_sha256, payload_sha256)"
            " values ('raw.minute_bars', 'IBM', 'x', '{}', 'h', rpad('held', 64, '0'))"
        )
    retention.apply(warehouse, print)
    left = warehouse.read("select rtrim(sha256, '0') as sha from raw.payloads order by 1")["sha"].to_list()
    assert left == ["both", "daily", "held"]


def test_a_table_without_a_policy_or_kept_for_ever_is_never_touched(warehouse: Warehouse) -> None:
    """A typing error would remove what nobody meant; null would compare as nothing, or as everything."""
    call = "select * from reference.apply_retention_v1(%s)"
    for table in ("trading.order_events", "audit.chain", "signals.targets", "raw.loads", "nonsense"):
        with (
            pytest.raises(psycopg.errors.RaiseException, match="no policy says"),
            warehouse.transaction() as connection,
        ):
            connection.execute(call, (table,))
    with warehouse.transaction() as connection:
        for table in ("raw.daily_bars", "raw.payloads", "quarantine.rows"):
            assert connection.execute(call, (table,)).fetchall() == []


def test_the_book_the_audit_and_append_only_rows_cannot_have_a_policy(owner: Warehouse) -> None:
    """Even the owner would remove the proof of what was done; a wrong name would be found when the disk is full."""
    refused = {
        ("trading.fills", "event_at"): "append-only",
        ("trading.orders", "created_at"): "check constraint",
        ("raw.loads", "loaded_at"): "append-only and has no partitions",
        ("marts.nothing", "at"): "there is no marts.nothing",
        ("TRADING.orders", "created_at"): "there is no TRADING.orders",
        ("ml.predictions", "at"): "there is no ml.predictions.at",
    }
    for (table, column), problem in refused.items():
        with pytest.raises(psycopg.Error, match=problem), owner.transaction() as connection:
            connection.execute("insert into reference.retention values (%s, %s, 30, 'to save space')", (table, column))


def test_a_change_is_in_the_audit_chain_with_what_was_before(owner: Warehouse) -> None:
    """Keeping less is the first step of hiding something."""
    retention.change(owner, "raw.minute_bars", 400, "the disk is small")
    [payload] = owner.read("select payload::text as p from audit.chain where kind = 'retention_policy'")["p"]
    assert '"keep_days": 400' in payload
    assert '"keep_days": 1826' in payload
    assert [p.keep_days for p in retention.policies(owner) if p.table == "raw.minute_bars"] == [400]
    assert owner.read("select audit.verify()").item() is None
    with pytest.raises(WarehouseError, match="no retention policy"):
        retention.change(owner, "raw.minutes", 1, "x")


def test_only_the_owner_says_how_long_and_only_the_pipeline_removes(settings: Settings) -> None:
    """The part that removes would decide what to remove; a page could empty a table."""
    for role in (Role.PIPELINE, Role.READER, Role.TRADER, Role.API):
        warehouse = Warehouse(settings, role)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            retention.change(warehouse, "raw.daily_bars", 1, "x")
        if role is not Role.PIPELINE:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), warehouse.transaction() as connection:
                connection.execute("select * from reference.apply_retention_v1('raw.minute_bars')")
