"""The code location as a whole: every asset is described, and loading it needs nothing but the code."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from bifrost_assets.definitions import defs
from bifrost_assets.partitions import session_partitions, window_between
from bifrost_core.calendar import sessions_between
from bifrost_core.settings import ROOT, load_settings

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}

EXPECTED = {
    "market_data": {
        *("reference/instruments", "reference/sessions", "reference/universe_members"),
        *("raw/daily_bars", "raw/corporate_actions"),
    },
    "warehouse": {
        *("staging/stg_instruments", "staging/stg_sessions", "staging/stg_daily_bars", "staging/stg_corporate_actions"),
        *("staging/stg_fills", "marts/dim_instrument", "marts/dim_session", "marts/fct_daily_bars", "marts/fct_fills"),
        *("marts/fct_positions_daily", "marts/fct_pnl_daily"),
    },
    "features": {"features/daily"},
    "models": {"ml/return_model", "ml/predictions"},
    "strategies": {"signals/signals"},
    "portfolio": {"signals/targets"},
    "backtests": {"research/backtests"},
    "compliance": {"compliance/order_audit_trail", "compliance/limit_decisions"},
    "trading": {
        *("trading/accounts", "trading/orders", "trading/order_events", "trading/fills", "trading/positions"),
        *("trading/cash", "trading/risk_decisions", "audit/chain"),
    },
}


def test_the_lineage_has_the_groups_and_assets_of_the_picture() -> None:
    """An asset that lost its group, or a domain that did not load, is missing from the lineage page."""
    groups: dict[str, set[str]] = {}
    for key, spec in SPECS.items():
        groups.setdefault(str(spec.group_name), set()).add(key)
    assert {name: EXPECTED[name] <= groups.get(name, set()) for name in EXPECTED} == dict.fromkeys(EXPECTED, True)


@pytest.mark.parametrize("key", sorted(SPECS))
def test_every_asset_says_what_it_is_and_whose(key: str) -> None:
    """A table that nobody answers for, or that says nothing, is of no use to who finds it in the lineage."""
    spec = SPECS[key]
    assert spec.description
    assert spec.group_name != "default"
    assert spec.kinds
    assert spec.owners
    assert spec.metadata.get("dagster/table_name")


@pytest.mark.parametrize(
    ("asset", "upstream"),
    [
        ("staging/stg_daily_bars", "raw/daily_bars"),
        ("staging/stg_corporate_actions", "raw/corporate_actions"),
        ("staging/stg_fills", "trading/fills"),
        ("marts/fct_daily_bars", "staging/stg_daily_bars"),
        ("features/daily", "raw/daily_bars"),
        ("trading/orders", "signals/targets"),
        ("raw/daily_bars", "reference/sessions"),
    ],
)
def test_lineage_leads_from_raw_to_orders_and_back(asset: str, upstream: str) -> None:
    """A broken edge would let an asset be computed before what it is computed from."""
    assert upstream in {dep.asset_key.to_user_string() for dep in SPECS[asset].deps}


def test_the_nightly_job_holds_every_asset_that_dagster_makes() -> None:
    """A new asset that the nightly job leaves out goes stale in silence. Minutes have a job of their own."""
    made = {key for key, spec in SPECS.items() if spec.group_name not in {"trading", "intraday"}}
    job = defs.resolve_job_def("nightly")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == made


def test_no_asset_has_more_checks_than_the_page_shows() -> None:
    """Dagster's page shows fifty checks of an asset."""
    counts: dict[str, int] = {}
    for key in defs.resolve_asset_graph().asset_check_keys:
        counts[key.asset_key.to_user_string()] = counts.get(key.asset_key.to_user_string(), 0) + 1
    assert max(counts.values()) < 50


def test_loading_needs_no_secrets_no_database_and_no_heavy_library(tmp_path: Path) -> None:
    """The webserver could not show the assets while the database is down; every process would pay for MLflow."""
    code = (
        "import sys, bifrost_assets.definitions as d; d.defs.resolve_job_def('nightly');"
        "heavy = ('mlflow', 'sklearn', 'great_expectations', 'backtrader', 'matplotlib', 'yfinance');"
        "print([m for m in heavy if m in sys.modules])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BIFROST_", "DBT_"))}
    environment |= {"BIFROST_HOME": str(tmp_path / "home"), "BIFROST_TOML": str(tmp_path / "none.toml")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
    assert not (tmp_path / "home" / "secrets.json").exists()


def test_partitions_are_exactly_the_sessions_of_the_exchange() -> None:
    """A holiday among the partitions could never be materialized; a missing session would never be run."""
    settings = load_settings(first_partition="2000-01-03")
    keys = [key for key in session_partitions(settings).get_partition_keys() if key <= "2013-12-31"]
    sessions = sessions_between("XNYS", date(2000, 1, 3), date(2013, 12, 31))
    assert keys == [s.session.isoformat() for s in sessions]


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2013-02-15T21:15", "2013-02-15"),  # just closed
        ("2013-02-15T14:00", "2013-02-15"),  # before the open: the partition is there, the load refuses
        ("2013-02-18T22:00", "2013-02-15"),  # a holiday
        ("2013-02-17T12:00", "2013-02-15"),  # a Sunday
    ],
)
def test_the_session_that_has_just_closed_is_a_partition(now: str, last: str) -> None:
    """By Dagster's clock a day is a partition when it is over: the nightly run would wait until midnight."""
    from datetime import UTC, datetime

    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    with dg.partition_loading_context(effective_dt=at):
        keys = session_partitions(load_settings()).get_partition_keys()
    assert max(key for key in keys if key <= now[:10]) == last


def test_the_first_partition_reaches_back_to_where_history_begins() -> None:
    """The initial history would be one session long."""
    settings = load_settings(first_session="2000-01-03", first_partition="2013-02-01")
    window = window_between(settings, date(2013, 2, 1), date(2013, 2, 5))
    assert (window.first, window.last) == (date(2000, 1, 3), date(2013, 2, 5))
    assert window_between(settings, date(2013, 2, 4), date(2013, 2, 5)).first == date(2013, 2, 4)
