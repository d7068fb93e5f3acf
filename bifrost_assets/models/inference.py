"""Predictions: each session by the newest model that was trained on what came before it."""

from __future__ import annotations

from datetime import date

import polars as pl

from bifrost_assets.features.daily import FEATURES
from bifrost_assets.models import registry
from bifrost_assets.models.return_model import MODEL_NAME, predict
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

USABLE = """
    select distinct on (usable_from) usable_from, model_version
    from ml.model_versions where model_name = $1 and usable_from <= $2
    order by usable_from, created_at desc
"""
FEATURE_ROWS = f"""
    select instrument_id, session, data_version as feature_version, {", ".join(FEATURES)}
    from features.daily where session between $1 and $2 order by session, instrument_id
"""  # noqa: S608, only our own column names


def predictions(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Rows (instrument_id, session, model_name, model_version, prediction, data_version) of sessions first..last.

    Sessions before the first usable model have none. `data_version` is that of the features predicted from.
    """
    usable = warehouse.read(USABLE, MODEL_NAME, last)
    assigned = assign_versions(warehouse.read(FEATURE_ROWS, first, last), usable)
    return predict_assigned(warehouse.settings, assigned)


def assign_versions(features: pl.DataFrame, usable: pl.DataFrame) -> pl.DataFrame:
    """`features` with the model_version of the latest usable_from <= session; rows without one are left out."""
    versions = usable.select("usable_from", "model_version").sort("usable_from")
    joined = features.sort("session", "instrument_id").join_asof(versions, left_on="session", right_on="usable_from")
    return joined.filter(pl.col("model_version").is_not_null())


def predict_assigned(settings: Settings, rows: pl.DataFrame) -> pl.DataFrame:
    """Predictions of `rows` (features and model_version), each by its own version, loaded from MLflow."""
    parts = [
        part.with_columns(predict(registry.load(settings, MODEL_NAME, str(part["model_version"][0])), part))
        for part in rows.partition_by("model_version", maintain_order=True)
    ]
    done = pl.concat(parts) if parts else rows.with_columns(prediction=pl.lit(None, pl.Float64))
    return done.select(
        "instrument_id",
        "session",
        pl.lit(MODEL_NAME).alias("model_name"),
        "model_version",
        "prediction",
        pl.col("feature_version").alias("data_version"),
    )
