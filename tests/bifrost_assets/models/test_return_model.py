"""The model learns what is there, from training rows only, and is scored by the formulas."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from bifrost_assets.features.daily import FEATURES
from bifrost_assets.models.return_model import fit, predict, scores


def frame(rows: int, seed: int) -> pl.DataFrame:
    """Random features; the label is a tenth of the first one, and noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, len(FEATURES)))
    label = 0.1 * values[:, 0] + rng.normal(scale=0.01, size=rows)
    days = [date(2001, 1, 1) + timedelta(days=i // 5) for i in range(rows)]
    columns: dict[str, Any] = dict(zip(FEATURES, values.T, strict=True))
    return pl.DataFrame({"session": days, **columns, "label": label})


def test_a_planted_relation_is_learnt() -> None:
    """A pipeline that mixes up columns or rows predicts noise, with every check green."""
    test = frame(1_000, 2)
    found = scores(test.with_columns(predict(fit(frame(20_000, 1)), test)))
    assert found["ic"] > 0.9
    assert found["hit_rate"] > 0.9


def test_imputer_and_scaler_know_training_rows_only() -> None:
    """A scaler fitted while scoring lets the test set shift its own predictions."""
    model, test = fit(frame(2_000, 1)), frame(500, 3)
    shifted = test.with_columns(pl.col(FEATURES[1]) + 1_000.0)
    assert predict(model, test).to_list() == pytest.approx(predict(model, pl.concat([test, shifted]))[:500].to_list())


def test_missing_features_are_imputed_and_an_empty_column_is_no_error() -> None:
    """A new listing has no year of history; it must get a number, not stop the night's run."""
    training = frame(2_000, 1).with_columns(pl.lit(None, pl.Float64).alias(FEATURES[-1]))
    young = frame(5, 4).with_columns(pl.lit(None, pl.Float64).alias(name) for name in FEATURES[3:])
    assert predict(fit(training), young).is_finite().all()


def test_scores_are_the_formulas() -> None:
    """Numbers that promote a model have to be what they are called."""
    days = [date(2001, 1, 1)] * 3 + [date(2001, 1, 2)] * 3
    scored = pl.DataFrame({"session": days, "label": [1.0, 2, 3, 1, 2, 9], "prediction": [1.0, 2, 3, 3, 2, 1]})
    found = scores(scored)
    assert found["rank_ic"] == pytest.approx((1 - 1) / 2)
    assert found["ic"] == pytest.approx((1 + np.corrcoef([1, 2, 9], [3, 2, 1])[0, 1]) / 2)
    assert found["rmse"] == pytest.approx(((4 + 0 + 64) / 6) ** 0.5)
    assert found["hit_rate"] == 1.0
    assert scores(scored.clear()) == {}
