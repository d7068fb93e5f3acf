"""Which folds are due, and how one is trained and recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

import polars as pl

from bifrost_assets.asof import bars_as_of, known_at
from bifrost_assets.features.daily import FEATURES
from bifrost_assets.models import registry
from bifrost_assets.models.dataset import HORIZON, training_frame
from bifrost_assets.models.return_model import MODEL_NAME, PARAMETERS, fit, predict, scores
from bifrost_assets.models.walk_forward import Fold, Plan, folds, folds_of_window
from bifrost_assets.stamp import Stamp
from bifrost_core.calendar import all_sessions
from bifrost_core.provenance import frame_version
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

PLAN = Plan(purge=HORIZON)
MIN_TRAINING_ROWS = 1_000

REGISTERED = "select usable_from from ml.model_versions where model_name = $1"
NEWEST = """
    select model_version from ml.model_versions where model_name = $1 order by usable_from desc, created_at desc limit 1
"""
LEARNABLE = f"""
    select instrument_id, session, {", ".join(FEATURES)}
    from features.daily where session <= $1 order by session, instrument_id
"""  # noqa: S608, only our own column names
RECORD = """
    insert into ml.model_versions (model_name, model_version, mlflow_run_id, trained_from, trained_to, usable_from,
        purge_sessions, embargo_sessions, train_rows, metrics, data_version, code_version, dagster_run_id)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Trained:
    """A fold's model, registered."""

    version: str
    fold: Fold
    train_rows: int
    metrics: dict[str, float]


def all_folds(settings: Settings, plan: Plan = PLAN) -> tuple[Fold, ...]:
    """The folds of the exchange's sessions from `first_session` on."""
    first = date.fromisoformat(settings.first_session)
    return folds([s.session for s in all_sessions(settings.exchange) if s.session >= first], plan)


def due(warehouse: Warehouse, first: date, last: date, plan: Plan = PLAN) -> tuple[Fold, ...]:
    """Folds that predict sessions of first..last and have no registered model yet."""
    wanted = folds_of_window(all_folds(warehouse.settings, plan), first, last)
    if not wanted:
        return ()
    have = set(warehouse.read(REGISTERED, MODEL_NAME)["usable_from"])
    return tuple(f for f in wanted if f.usable_from not in have)


def train_due(
    warehouse: Warehouse, stamp: Stamp, first: date, last: date, plan: Plan = PLAN
) -> tuple[list[Trained], int]:
    """Train, register and record every due fold; returns those, and how many were left out for want of rows."""
    wanted = due(warehouse, first, last, plan)
    if not wanted:
        return [], 0
    until = max(f.labels_until for f in wanted)
    features = warehouse.read(LEARNABLE, until).drop_nulls(FEATURES)  # half a row teaches what the imputer made up
    trained = []
    for fold in wanted:
        frame = training_frame(features, returns_known(warehouse, fold.labels_until), plan.purge)
        trained += [done] if (done := _train(warehouse, stamp, fold, frame, plan)) else []
    if trained:
        newest = warehouse.read(NEWEST, MODEL_NAME)["model_version"].item()
        registry.promote(warehouse.settings, MODEL_NAME, newest)
    return trained, len(wanted) - len(trained)


def returns_known(warehouse: Warehouse, until: date) -> pl.DataFrame:
    """Total returns of all but the index, as known at the cutoff of `until`: instrument_id, session, total_return."""
    first = date.fromisoformat(warehouse.settings.first_session)
    bars = bars_as_of(warehouse, first, until, known_at(warehouse.settings, until))
    return bars.filter(pl.col("asset_class") != "index").select("instrument_id", "session", "total_return")


def evaluate(fold: Fold, frame: pl.DataFrame) -> dict[str, float]:
    """Metrics of the fold's holdout: a model of one refit earlier on the sessions since. Empty without enough rows."""
    if fold.holdout is None:
        return {}
    before, since = fold.holdout.training_rows(frame), fold.holdout_rows(frame)
    if before.height < MIN_TRAINING_ROWS or since.is_empty():
        return {}
    return scores(since.with_columns(predict(fit(before), since)))


def _train(warehouse: Warehouse, stamp: Stamp, fold: Fold, frame: pl.DataFrame, plan: Plan) -> Trained | None:
    rows = fold.training_rows(frame)
    if rows.height < MIN_TRAINING_ROWS:
        return None
    metrics, version = evaluate(fold, frame), frame_version(rows)
    span = {"trained_from": str(rows["session"].min()), "trained_to": str(rows["session"].max())}
    tags = {**span, "usable_from": str(fold.usable_from), "data_version": version, "code_version": stamp.code_version,
            "dagster_run_id": stamp.dagster_run_id}  # fmt: skip
    registered = registry.publish(
        warehouse.settings,
        MODEL_NAME,
        fit(rows),
        {**PARAMETERS, "horizon": plan.purge, "embargo": plan.embargo, "refit": plan.refit},
        {**metrics, "train_rows": float(rows.height)},
        tags,
    )
    with warehouse.transaction() as connection:
        connection.execute(RECORD, (
            MODEL_NAME, registered.version, registered.run_id, span["trained_from"], span["trained_to"],
            fold.usable_from, plan.purge, plan.embargo, rows.height, json.dumps(metrics), version,
            stamp.code_version, stamp.dagster_run_id,
        ))  # fmt: skip
    return Trained(registered.version, fold, rows.height, metrics)
