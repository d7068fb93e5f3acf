"""Asset checks on what is plausible: doubtful bars are flagged for a person, impossible tables block."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.assets import ACTIONS, BARS, CALENDAR, INSTRUMENTS, MEMBERS
from bifrost_assets.market_data.evidence import CheckResult
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.quality import comparison, judging, suites
from bifrost_assets.market_data.quality.assets import COMPARISON
from bifrost_assets.market_data.quality.suites import Suite
from bifrost_assets.partitions import SESSIONS, Window, window_of
from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.warehouse import Warehouse

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dg.asset_check(asset=BARS, additional_deps=[ACTIONS], partitions_def=SESSIONS)
def bars_are_plausible(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """No bar of the window, or of the few sessions before it, is doubtful; those that are wait for a person."""
    window = window_of(context)
    judged = judging.judge(warehouse, window.first, window.last)
    flagged = _flagged(context, warehouse, judged.doubts)
    _keep(context, warehouse, evidence.BARS, judging.SUITE, judged.results, window)
    return _verdict(judged.results, WARN, flagged)


@dg.asset_check(asset=COMPARISON, partitions_def=SESSIONS)
def sources_agree(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    second_provider: dg.ResourceParam[BarProvider],
) -> dg.AssetCheckResult:
    """Closes and volumes of the second provider are ours within the tolerance; bars that are not wait for a person."""
    window = window_of(context)
    results, doubts = comparison.compare(warehouse, second_provider.name, window.first, window.last)
    flagged = _flagged(context, warehouse, doubts)
    _keep(context, warehouse, "raw.comparison_bars", comparison.SUITE, results, window)
    return _verdict(results, WARN, flagged)


@dg.asset_check(asset=ACTIONS, partitions_def=SESSIONS)
def actions_meet_expectations(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Splits and dividends of the window are of a believable size, on a session with a bar, once each."""
    return _run(context, warehouse, suites.ACTIONS, evidence.ACTIONS, window_of(context), WARN)


@dg.asset_check(asset=MEMBERS, partitions_def=SESSIONS)
def members_meet_expectations(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Memberships do not overlap, are of instruments with bars, and none of the index."""
    return _run(context, warehouse, suites.MEMBERS, "reference.universe_members", window_of(context), WARN)


@dg.asset_check(asset=INSTRUMENTS, blocking=True)
def instruments_meet_expectations(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Each instrument has a well-formed symbol that no other listed one has, a currency and an exchange."""
    return _run(context, warehouse, suites.INSTRUMENTS, "reference.instruments", _all(warehouse), ERROR)


@dg.asset_check(asset=CALENDAR, blocking=True)
def sessions_meet_expectations(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Sessions are of a believable length, follow each other without overlap, and leave no long hole."""
    return _run(context, warehouse, suites.CALENDAR, "reference.sessions", _all(warehouse), ERROR)


def _all(warehouse: Warehouse) -> Window:
    """The whole calendar: what a check of a table without partitions is about."""
    sessions = all_sessions(warehouse.settings.exchange)
    return Window(sessions[0].session, sessions[-1].session)


def _run(
    context: dg.AssetCheckExecutionContext,
    warehouse: Warehouse,
    suite: Suite,
    table: str,
    window: Window,
    severity: dg.AssetCheckSeverity,
) -> dg.AssetCheckResult:
    results = suites.run(warehouse, suite, window.first, window.last)
    _keep(context, warehouse, table, suite.name, results, window)
    return _verdict(results, severity, {})


def _flagged(context: dg.AssetCheckExecutionContext, warehouse: Warehouse, doubts: pl.DataFrame) -> dict[str, Any]:
    with warehouse.transaction() as connection:
        new = judging.flag(connection, doubts, context.run.run_id)
    return {"newly_flagged": new, "doubted_by_reason": dict(doubts["reason"].value_counts().iter_rows())}


def _keep(
    context: dg.AssetCheckExecutionContext,
    warehouse: Warehouse,
    table: str,
    suite: str,
    results: list[CheckResult],
    window: Window,
) -> None:
    with warehouse.transaction() as connection:
        evidence.keep_results(connection, table, suite, results, (window.first, window.last), context.run.run_id)


def _verdict(
    results: list[CheckResult], severity: dg.AssetCheckSeverity, more: Mapping[str, Any]
) -> dg.AssetCheckResult:
    failed = {one.expectation: dict(one.observed) for one in results if not one.passed}
    metadata = {"expectations": len(results), "failed": failed, **more}
    return dg.AssetCheckResult(passed=not failed, severity=severity, metadata=metadata)
