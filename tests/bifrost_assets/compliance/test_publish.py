"""Compliance tables, files and checks over tests/world.py, on a real server and through Dagster."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from bifrost_assets.compliance import verification
from bifrost_assets.compliance.definitions import defs
from bifrost_assets.compliance.publish import ReportError, publish
from bifrost_assets.compliance.report import LIMIT_DECISIONS, ORDER_AUDIT_TRAIL
from bifrost_assets.stamp import Stamp
from bifrost_core.provenance import sha256
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse
from tests import world

STAMP = Stamp("run-1", "code-1")
CHECKS = 6
WRITTEN_BY_THE_DAEMON = (
    "trading/orders",
    "trading/order_events",
    "trading/fills",
    "trading/risk_decisions",
    "audit/chain",
)


@pytest.fixture
def shop(settings: Settings) -> world.World:
    return world.build(settings)


def _publish(warehouse: Warehouse, shop: world.World) -> None:
    for report in (ORDER_AUDIT_TRAIL, LIMIT_DECISIONS):
        publish(warehouse, report, shop.traded[0], shop.traded[-1], STAMP)


def _files(settings: Settings) -> dict[str, bytes]:
    root = settings.artifacts
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _run(warehouse: Warehouse, first: date, last: date) -> dg.ExecuteInProcessResult:
    job = dg.Definitions(
        assets=[*defs.assets, *(dg.AssetSpec(name.split("/")) for name in WRITTEN_BY_THE_DAEMON)],
        asset_checks=defs.asset_checks,
        resources={"warehouse": warehouse},
    ).resolve_implicit_global_asset_job_def()
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    return job.execute_in_process(tags=tags, raise_on_error=False)


def _outcomes(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {f"{e.asset_key.path[-1]}:{e.check_name}": e.passed for e in result.get_asset_check_evaluations()}


def test_every_event_of_each_session_is_in_its_trail_and_file(shop: world.World, warehouse: Warehouse) -> None:
    """An event that no report shows is one that nobody will ever ask about."""
    done = publish(warehouse, ORDER_AUDIT_TRAIL, date(2012, 1, 3), shop.traded[-1], STAMP)
    assert (done.rows, done.sessions) == (13, 3)
    with warehouse.transaction() as connection:
        sql = "select session, count(*) from compliance.order_audit_trail group by 1"
        counts = dict(connection.execute(sql).fetchall())
    assert counts == dict(zip(shop.traded, (7, 3, 3), strict=True))
    for session, count in counts.items():
        path = shop.settings.artifacts / "compliance" / str(session) / "order_audit_trail.csv"
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        assert len(rows) == count
        assert tuple(rows[0]) == ORDER_AUDIT_TRAIL.columns


def test_the_html_stands_alone_and_says_where_it_comes_from(shop: world.World, warehouse: Warehouse) -> None:
    """A report is mailed around without us: it must carry its own facts, and load nothing."""
    _publish(warehouse, shop)
    files = _files(shop.settings)
    page = files[f"compliance/{shop.traded[0]}/limit_decisions.html"].decode()
    data = files[f"compliance/{shop.traded[0]}/limit_decisions.csv"]
    for fact in ("paper", str(shop.traded[0]), "MAX_ORDER_VALUE 1", "code-1", "run-1", sha256(data)):
        assert fact in page
    assert "http" not in page
    assert "<script" not in page


def test_markup_in_the_data_stays_text(shop: world.World, warehouse: Warehouse, owner: Warehouse) -> None:
    """A broker's text in a report must not become part of the page."""
    with owner.transaction() as connection:
        connection.execute("update trading.orders set broker_order_id = '<script>alert(1)</script>'")
        connection.execute("alter table trading.order_events disable trigger append_only")
        connection.execute("update trading.order_events set broker_order_id = null")
    _publish(warehouse, shop)
    page = _files(shop.settings)[f"compliance/{shop.traded[0]}/order_audit_trail.html"].decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_publishing_again_changes_no_byte_and_no_row(shop: world.World, warehouse: Warehouse) -> None:
    """A report that differs each time it is made proves nothing about the data."""
    _publish(warehouse, shop)
    before = _files(shop.settings)
    _publish(warehouse, shop)
    assert _files(shop.settings) == before
    assert len(before) == 12
    with warehouse.transaction() as connection:
        assert connection.execute("select count(*) from compliance.order_audit_trail").fetchone() == (13,)
        stored = dict(connection.execute("select path, sha256 from compliance.reports").fetchall())
    assert stored == {path: sha256(content) for path, content in before.items()}


def test_a_session_published_alone_equals_its_part_of_the_range(shop: world.World, warehouse: Warehouse) -> None:
    """The nightly run and a backfill over years must agree."""
    _publish(warehouse, shop)
    before = _files(shop.settings)
    for session in shop.traded:
        for report in (ORDER_AUDIT_TRAIL, LIMIT_DECISIONS):
            publish(warehouse, report, session, session, STAMP)
    assert _files(shop.settings) == before


def test_an_event_after_the_close_belongs_to_the_session_that_ended(shop: world.World, warehouse: Warehouse) -> None:
    """An expiry at the close must not wait for tomorrow's report, and must agree with the fills' session."""
    _publish(warehouse, shop)
    with warehouse.transaction() as connection:
        sql = "select t.session, trading.session_at(%s, t.event_at) from compliance.order_audit_trail t"
        rows = connection.execute(sql, (shop.settings.exchange,)).fetchall()
        sql = "select session from compliance.order_audit_trail where ord_status = 'expired'"
        expired = connection.execute(sql).fetchone()
    assert all(ours == theirs for ours, theirs in rows)
    assert expired == (shop.traded[0],)


def test_sessions_without_trading_get_no_file(shop: world.World, warehouse: Warehouse) -> None:
    """Thirteen years of history would leave thousands of empty reports."""
    done = publish(warehouse, ORDER_AUDIT_TRAIL, date(2013, 1, 2), date(2013, 1, 31), STAMP)
    assert (done.rows, done.files) == (0, ())
    assert not _files(shop.settings)


def test_a_folder_that_cannot_be_written_changes_nothing(shop: world.World, warehouse: Warehouse) -> None:
    """Rows whose files are missing would be reported as tampering."""
    Path(shop.settings.artifacts).write_text("a file where the folder should be")
    with pytest.raises(ReportError, match="BIFROST_ARTIFACTS"):
        _publish(warehouse, shop)
    with warehouse.transaction() as connection:
        assert connection.execute("select count(*) from compliance.order_audit_trail").fetchone() == (0,)


def test_all_checks_pass_in_a_whole_world(shop: world.World, warehouse: Warehouse) -> None:
    """Through Dagster, over a range: the assets and checks as the nightly job runs them."""
    result = _run(warehouse, shop.traded[0], shop.traded[-1])
    assert result.success
    outcomes = _outcomes(result)
    assert len(outcomes) == CHECKS
    assert all(outcomes.values()), outcomes


TAMPERING = {
    "order_audit_trail:audit_chain_is_whole": (
        "alter table audit.chain disable trigger append_only;"
        "update audit.chain set payload = payload || '{\"last_px\": 1}' where seq = 5"
    ),
    "order_audit_trail:every_event_is_in_the_chain": (
        "alter table trading.order_events disable trigger append_only;"
        "update trading.order_events set last_px = last_px + 1 where last_qty > 0"
    ),
    "order_audit_trail:every_fill_is_in_the_trail": (
        "alter table trading.fills disable trigger append_only; update trading.fills set last_qty = last_qty + 1"
    ),
    "limit_decisions:every_decision_is_in_the_chain": (
        "alter table trading.risk_decisions disable trigger append_only;"
        "update trading.risk_decisions set outcome = 'accepted', reason_code = 'ACCEPTED' where outcome = 'denied'"
    ),
}


@pytest.mark.parametrize("check", TAMPERING)
def test_tampering_is_caught_by_its_check(
    shop: world.World, warehouse: Warehouse, owner: Warehouse, check: str
) -> None:
    """A check that a changed book passes is worse than none."""
    with owner.transaction() as connection:
        connection.execute(TAMPERING[check])  # type: ignore[arg-type]
    assert _outcomes(_run(warehouse, shop.traded[0], shop.traded[-1]))[check] is False


def test_the_first_broken_entry_is_named(shop: world.World, warehouse: Warehouse, owner: Warehouse) -> None:
    """Somebody has to look at the row; the check must say which."""
    assert str(verification.chain_state(warehouse)).endswith("entries, whole")
    with owner.transaction() as connection:
        connection.execute("alter table audit.chain disable trigger append_only")
        connection.execute("delete from audit.chain where seq = 7")
    assert verification.chain_state(warehouse).broken_seq == 7
    assert "broken at entry 7 (not there)" in str(verification.chain_state(warehouse))


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_changed_file_is_named(shop: world.World, warehouse: Warehouse, damage: str) -> None:
    """Files leave the database's protection; their hashes are what is left of it."""
    _publish(warehouse, shop)
    path = f"compliance/{shop.traded[1]}/order_audit_trail.csv"
    file = shop.settings.artifacts / path
    file.unlink() if damage == "remove" else file.write_text("nothing happened")
    assert verification.changed_files(warehouse, "order_audit_trail", *shop.traded[::2]) == [path]
    assert verification.changed_files(warehouse, "limit_decisions", *shop.traded[::2]) == []
