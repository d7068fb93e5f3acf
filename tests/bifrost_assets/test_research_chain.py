"""From bars to a batch through Dagster, PostgreSQL and MLflow: what each night promises, and what its checks catch."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date

import dagster as dg
import polars as pl
import pytest

from bifrost_assets.backtests.definitions import defs as backtests
from bifrost_assets.features.definitions import defs as features
from bifrost_assets.features.history import FeatureInputError, bars_up_to
from bifrost_assets.models import registry
from bifrost_assets.models.definitions import defs as models
from bifrost_assets.models.return_model import MODEL_NAME, SCORES
from bifrost_assets.models.training import MIN_TRAINING_ROWS, due
from bifrost_assets.partitions import SESSIONS
from bifrost_assets.portfolio.definitions import defs as portfolio
from bifrost_assets.strategies.definitions import defs as strategies
from bifrost_core.environment import mlflow_tracking_uri
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import checks, load, materialize, rows, sample_bars

DOMAINS = (features, models, strategies, portfolio, backtests)
HISTORY = date(2013, 1, 2)  # a run for it computes everything before it too
NIGHT, NEXT_NIGHT = date(2013, 2, 15), date(2013, 2, 19)
COMPUTED = {
    "features.daily": "instrument_id, session, data_version, return_252d, rsi_14d, beta_252d, available_at",
    "ml.predictions": "instrument_id, session, model_version, prediction, data_version",
    "signals.signals": "session, strategy, instrument_id, weight, model_version, data_version",
    "signals.target_batches": "batch_id, content_hash, dagster_run_id",
    "signals.targets": "batch_id, symbol, target_weight, reference_price, contributions::text",
    "research.backtests": "backtest_id, metrics::text, dagster_run_id",
    "research.backtest_trades": "*",
    "ml.model_versions": "model_version, mlflow_run_id, usable_from, metrics::text",
}


@pytest.fixture(autouse=True)
def _own_mlflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow puts its address into the environment and pools connections: both end with the test and its databases."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking_uri(settings))
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")


@pytest.fixture
def loaded(all_databases: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse with the real bars since mid-2008: enough for two models."""
    monkeypatch.setenv("BIFROST_FIRST_PARTITION", HISTORY.isoformat())
    load(warehouse, sample_bars().filter(pl.col("session") > date(2008, 6, 1)))
    return warehouse


def contents(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows(warehouse, f"select {what} from {table} order by 1, 2, 3") for table, what in COMPUTED.items()}


def passed(result: dg.ExecuteInProcessResult) -> set[str]:
    assert result.success
    return {name for name, ok in checks(result).items() if ok}


def test_history_then_nights_and_a_night_twice(loaded: Warehouse) -> None:
    """A re-run that adds or moves a row makes a decision unrepeatable, and one that trains again takes minutes."""
    history = materialize(DOMAINS, loaded, HISTORY)
    assert passed(history) == set(checks(history))
    assert len(checks(history)) == 8
    first = materialize(DOMAINS, loaded, NIGHT)
    assert passed(first) == set(checks(first))
    before = contents(loaded)
    assert all(before.values())
    assert passed(materialize(DOMAINS, loaded, NIGHT)) == set(checks(first))
    assert contents(loaded) == before
    _models_are_in_mlflow(loaded)
    _predictions_and_batches_lead_back(loaded)


def _models_are_in_mlflow(warehouse: Warehouse) -> None:
    """Every row of ml.model_versions is a registered version, and the newest usable one is champion."""
    versions = rows(
        warehouse,
        "select model_version, mlflow_run_id, data_version, usable_from from ml.model_versions order by usable_from",
    )
    assert len(versions) >= 2
    client = registry.client(warehouse.settings)
    for version, run_id, data_version, usable_from in versions:
        known = client.get_model_version(MODEL_NAME, version)
        assert (known.run_id, known.tags["data_version"]) == (run_id, data_version)
        assert known.tags["usable_from"] == usable_from.isoformat()
        assert client.get_run(run_id).data.metrics["train_rows"] >= MIN_TRAINING_ROWS
    newest = client.get_run(versions[-1][1]).data.metrics
    assert {*SCORES, "train_rows"} == set(newest)
    assert str(client.get_model_version_by_alias(MODEL_NAME, registry.CHAMPION).version) == versions[-1][0]


def _predictions_and_batches_lead_back(warehouse: Warehouse) -> None:
    orphans = """
        select count(*) from signals.signals s left join ml.predictions p using (instrument_id, session)
        where s.strategy = 'model' and s.weight <> 0 and s.model_version is distinct from p.model_version
    """
    assert rows(warehouse, orphans) == [(0,)]
    sessions = rows(warehouse, "select as_of_session from signals.target_batches order by 1")
    assert sessions == [(HISTORY,), (NIGHT,)]
    early = """
        select count(*) from ml.predictions p
        where not exists (select from ml.model_versions where usable_from <= p.session)
    """
    assert rows(warehouse, early) == [(0,)]
    curves = "select strategy, count(*) from research.backtests where last_session = %s group by 1 order by 1"
    assert rows(warehouse, curves, NIGHT) == [("combined", 1), ("model", 1), ("momentum", 1)]


def test_checks_catch_what_they_promise(loaded: Warehouse) -> None:
    """Checks that cannot fail are decoration."""
    materialize(DOMAINS, loaded, HISTORY)
    materialize(DOMAINS, loaded, NIGHT)
    later = "update features.daily set available_at = available_at + interval '1 s'"
    future = "update ml.model_versions set usable_from = '2013-02-18' where usable_from > '2013-01-01'"
    planted = {
        "features/daily:complete_and_known_at_cutoff": later,
        "ml/predictions:only_past_models": future,
        "ml/predictions:reproduced_by_the_registry": "update ml.predictions set prediction = prediction + 1e-9",
        "research/backtests:curves_are_sound": "update research.backtest_equity set equity = 'NaN'",
        "signals/targets:batch_is_whole_and_within_limits": "delete from signals.targets where symbol = 'IBM'",
    }
    only = _checks_alone(loaded)
    assert all(checks(only).values())
    for change in planted.values():
        with loaded.transaction() as connection:
            connection.execute(change)
    failed = {name for name, ok in checks(_checks_alone(loaded)).items() if not ok}
    assert failed == set(planted)


def _checks_alone(warehouse: Warehouse) -> dg.ExecuteInProcessResult:
    every = [check for domain in DOMAINS for check in domain.asset_checks or ()]
    selection = dg.AssetSelection.checks(*every)
    job = dg.define_asset_job(
        "checks", selection=selection, partitions_def=SESSIONS, executor_def=dg.in_process_executor
    )
    defs = dg.Definitions.merge(*DOMAINS, dg.Definitions(jobs=[job], resources={"warehouse": warehouse}))
    with dg.instance_for_test() as instance:
        return defs.resolve_job_def("checks").execute_in_process(
            instance=instance, tags={"dagster/partition": NIGHT.isoformat()}, raise_on_error=False
        )


def test_a_night_with_nothing_due_imports_no_mlflow(loaded: Warehouse) -> None:
    """MLflow and scikit-learn cost seconds to import, every night, in every fresh process."""
    materialize((features, models), loaded, HISTORY)
    materialize((features, models), loaded, NIGHT)
    assert due(loaded, NEXT_NIGHT, NEXT_NIGHT) == ()
    code = (
        "import sys; from datetime import date; from bifrost_assets.models.training import train_due;"
        "from bifrost_assets.stamp import Stamp; from bifrost_core.settings import load_settings;"
        "from bifrost_core.warehouse.connect import Role; from bifrost_core.warehouse.warehouse import Warehouse;"
        "w = Warehouse(load_settings(), Role.PIPELINE);"
        f"day = date.fromisoformat('{NEXT_NIGHT}');"
        "assert train_due(w, Stamp('r', 'c'), day, day) == ([], 0);"
        "sys.exit([m for m in ('mlflow', 'sklearn') if m in sys.modules] or 0)"
    )
    settings = loaded.settings
    env = {**os.environ, "BIFROST_HOME": str(settings.home), "BIFROST_DATABASE": settings.database}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_model_is_named_with_its_remedy(all_databases: Settings) -> None:
    """`RESOURCE_DOES_NOT_EXIST` in a log tells nobody what to do."""
    with pytest.raises(registry.RegistryError, match=r"no usable model .* version 99.*train again"):
        registry.load(all_databases, MODEL_NAME, "99")


def test_a_missing_benchmark_is_named(loaded: Warehouse) -> None:
    """Without the index every beta is null, and nobody sees why the model changed."""
    with loaded.transaction() as connection:
        connection.execute("update reference.instruments set symbol = 'NDX' where symbol = 'SPX'")
    with pytest.raises(FeatureInputError, match="benchmark SPX has no bars"):
        bars_up_to(loaded, NIGHT, NIGHT)
