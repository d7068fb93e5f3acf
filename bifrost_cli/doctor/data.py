"""The pipeline and what it has stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bifrost_cli.doctor.finding import Check, Finding
from bifrost_core.environment import part_environment
from bifrost_core.settings import ROOT, Settings
from bifrost_core.warehouse.connect import Role, connect

LOAD = "from bifrost_assets.definitions import defs; print(len(list(defs.resolve_all_asset_specs())))"
PARSE = 'Run eval "$(bifrost env)" and dbt parse --project-dir dbt_project'


def code_location(settings: Settings) -> Iterator[Finding]:
    """Dagster can load the assets."""
    environment = {**os.environ, **part_environment(settings)}
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, env=environment)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1:]
    detail = f"{said[0]} assets" if done.returncode == 0 else f"bifrost_assets does not load: {''.join(said)}"
    yield Finding("code location", done.returncode == 0, detail, 'Run python -c "import bifrost_assets.definitions"')


def dbt_manifest(_settings: Settings) -> Iterator[Finding]:
    """dbt's manifest is there, is whole and is of these models."""
    project = ROOT / "dbt_project"
    manifest = project / "target" / "manifest.json"
    if not manifest.exists():
        yield Finding("dbt manifest", False, f"{manifest} is missing", PARSE)
        return
    nodes = json.loads(manifest.read_text())["nodes"]
    models = sum(node["resource_type"] == "model" for node in nodes.values())
    files = [path for kind in ("*.sql", "*.yml") for path in (project / "models").rglob(kind)]
    newer = [path.name for path in files if path.stat().st_mtime > manifest.stat().st_mtime]
    detail = f"older than {', '.join(newer[:3])}" if newer else f"{models} models"
    yield Finding("dbt manifest", not newer, detail, PARSE)


def bars(settings: Settings) -> Iterator[Finding]:
    """The newest bars are the provider's newest."""
    from bifrost_assets.market_data.providers import provider_of

    wanted = provider_of(settings).latest_session()
    ((have, symbols),) = _rows(settings, "select max(session), count(distinct instrument_id) from raw.daily_bars")
    if have is None:
        yield Finding("bars", False, "none are stored", "Run `bifrost demo`")
        return
    detail = f"of {symbols} instruments, up to {have}; the provider {settings.provider} has {wanted}"
    yield Finding("bars", have >= wanted, detail, f"Run `bifrost nightly --session {wanted}`")


def targets(settings: Settings) -> Iterator[Finding]:
    """The newest batch was not quarantined."""
    sql = """
        select b.as_of_session, coalesce(i.status, 'not taken in'), coalesce(i.reason_code || ': ' || i.detail, '')
        from signals.target_batches b left join trading.batch_intake i using (batch_id)
        where b.account = %s order by b.created_at desc limit 1
    """
    for session, status, why in _rows(settings, sql, settings.account):
        detail = f"batch of {session} {status} {why}"
        yield Finding("targets", status != "quarantined", detail, "Mend the cause and run the nightly job again")


def book(settings: Settings) -> Iterator[Finding]:
    """The last reconciliation was clean, nothing is halted."""
    sql = "select is_clean, event_at, breaks from trading.reconciliations where account = %s"
    for clean, at, breaks in _rows(settings, f"{sql} order by reconciliation_id desc limit 1", settings.account):
        detail = f"reconciled at {at:%Y-%m-%d %H:%M} UTC" + (
            "" if clean else f" with breaks: {json.dumps(breaks)[:200]}"
        )
        yield Finding("book", clean, detail, "See Risk and compliance in the app")
    halted = _rows(settings, "select scope, key, reason from trading.kill_switches where engaged")
    for scope, key, reason in halted:
        yield Finding(
            "kill switch", False, f"{scope} {key} is engaged: {reason}", "Release it in the app, under Operations"
        )
    if not halted:
        yield Finding("kill switches", True, "none is engaged")
    sql = "select symbol, reason_code, detail from trading.blocked_symbols where account = %s"
    for symbol, code, detail in _rows(settings, sql, settings.account):
        yield Finding("blocked symbol", False, f"{symbol}: {code}, {detail}", "See Risk and compliance in the app")


def _rows(settings: Settings, sql: str, *params: object) -> list[tuple[Any, ...]]:
    with connect(settings, Role.READER) as connection:
        return connection.execute(sql, params or None).fetchall()


CHECKS: tuple[Check, ...] = (code_location, dbt_manifest, bars, targets, book)
