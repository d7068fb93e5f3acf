"""The model: a ridge regression on imputed, standardised features.

Linear, because five names over a decade hold little that more freedom would not overfit. The imputer and the scaler
are part of the pipeline, so they only ever learn from training rows.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from bifrost_assets.features.daily import FEATURES

MODEL_NAME = "relative_return_5d"
PARAMETERS: dict[str, float] = {"alpha": 1_000.0}
SCORES = ("ic", "rank_ic", "rmse", "hit_rate", "rows")
DIGITS = 12  # predictions are stored to these decimals: a batch of another size may round otherwise beyond them


def fit(frame: pl.DataFrame, parameters: dict[str, float] | None = None) -> Any:
    """A fitted scikit-learn pipeline from rows with FEATURES and `label`."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = parameters or PARAMETERS
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        Ridge(alpha=chosen["alpha"], solver="cholesky"),
    )
    return pipeline.fit(matrix(frame), frame["label"].to_numpy())


def predict(model: Any, frame: pl.DataFrame) -> pl.Series:
    """One prediction per row of `frame` (FEATURES): next-5-session return relative to the universe mean."""
    return pl.Series("prediction", model.predict(matrix(frame)), dtype=pl.Float64).round(DIGITS)


def matrix(frame: pl.DataFrame) -> Any:
    """The float64 array (rows x FEATURES) of `frame`, null as NaN."""
    return frame.select(pl.col(FEATURES).cast(pl.Float64).fill_null(float("nan"))).to_numpy()


def scores(scored: pl.DataFrame) -> dict[str, float]:
    """Out-of-sample metrics of rows (session, label, prediction); empty where there are none.

    ic and rank_ic are the means over sessions of the cross-sectional Pearson and Spearman correlation of prediction
    and label (Grinold and Kahn, Active Portfolio Management, 1999, chapter 6); rmse is in return units; hit_rate is
    the share of rows whose sign was right.
    """
    if scored.is_empty():
        return {}
    ranks = [pl.col(c).rank().over("session").alias(f"{c}_rank") for c in ("label", "prediction")]
    daily = (
        scored.with_columns(ranks)
        .group_by("session", maintain_order=True)
        .agg(ic=pl.corr("label", "prediction"), rank_ic=pl.corr("label_rank", "prediction_rank"))
        .fill_nan(None)
    )
    error = pl.col("label") - pl.col("prediction")
    right = (pl.col("label") * pl.col("prediction")) > 0
    whole = scored.select(rmse=(error**2).mean().sqrt(), hit_rate=right.mean()).row(0, named=True)
    means = {name: daily[name].mean() for name in ("ic", "rank_ic")}
    return {**{k: float(v) for k, v in (means | whole).items() if isinstance(v, float)}, "rows": float(scored.height)}
