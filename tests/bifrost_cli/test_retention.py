"""The commands as a person runs them, on the test's warehouse."""

from __future__ import annotations

import os
import subprocess
import sys

from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

OLD = """
    insert into quarantine.check_results (asset_key, suite, expectation, passed, observed, dagster_run_id, checked_at)
    select 'a', 's', 'e', true, '{}', 'r', now() - interval '6 years' from generate_series(1, 3)
"""


def retention(settings: Settings, *words: str) -> str:
    environment = {**os.environ, "BIFROST_HOME": str(settings.home), "BIFROST_DATABASE": settings.database}
    command = [sys.executable, "-m", "bifrost_cli.main", "retention", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout


def test_apply_removes_only_when_really_meant(settings: Settings, warehouse: Warehouse) -> None:
    """A person who wants to see what would go would lose it."""
    with warehouse.transaction() as connection:
        connection.execute(OLD)
    rows = "select count(*) from quarantine.check_results"
    shown = retention(settings)
    assert "raw.daily_bars: for ever" in shown
    assert "quarantine.check_results: 1826 days by checked_at" in shown
    assert "3 rows would be removed" in retention(settings, "apply")
    assert warehouse.read(rows).item() == 3
    assert "3 rows removed with quarantine.check_results" in retention(settings, "apply", "--really")
    assert warehouse.read(rows).item() == 0
    assert "kept 30 days" in retention(settings, "set", "raw.minute_bars", "--days", "30", "--reason", "small disk")
    assert "raw.minute_bars: 30 days by start_at  # small disk (bifrost_owner" in retention(settings)
