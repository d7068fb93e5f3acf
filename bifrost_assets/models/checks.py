"""What models and predictions promise."""

from datetime import date

import dagster as dg
import polars as pl

from bifrost_assets.causality import sampled
from bifrost_assets.features.daily import FEATURES
from bifrost_assets.models.inference import predict_assigned
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.warehouse.warehouse import Warehouse

PREDICTIONS = dg.AssetKey(["ml", "predictions"])
CHECKED_SESSIONS = 5
TOLERANCE = 1e-11  # predictions are stored to 12 decimals

FROM_THE_FUTURE = """
    select count(*) as predictions,
           count(*) filter (where m.usable_from > p.session or m.trained_to >= p.session) as by_a_later_model,
           count(*) filter (where m.usable_from < newest.usable_from) as by_an_older_model
    from ml.predictions p
    join ml.model_versions m using (model_name, model_version)
    join lateral (
        select max(usable_from) as usable_from from ml.model_versions v
        where v.model_name = p.model_name and v.usable_from <= p.session
    ) newest on true
    where p.session between $1 and $2
"""
STORED = f"""
    select p.instrument_id, p.session, p.model_version, p.prediction as stored, p.data_version as predicted_from,
           f.data_version as feature_version, {", ".join(f"f.{name}" for name in FEATURES)}
    from ml.predictions p join features.daily f using (instrument_id, session)
    where p.session = $1 order by p.instrument_id
"""  # noqa: S608, only our own column names
SESSIONS_PREDICTED = "select distinct session from ml.predictions where session between $1 and $2 order by session"


@dg.asset_check(asset=PREDICTIONS, partitions_def=SESSIONS, blocking=True)
def only_past_models(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Every prediction is by the newest model whose training had ended before its session."""
    window = window_of(context)
    counts = warehouse.read(FROM_THE_FUTURE, window.first, window.last).row(0, named=True)
    return dg.AssetCheckResult(passed=counts["by_a_later_model"] == counts["by_an_older_model"] == 0, metadata=counts)


@dg.asset_check(asset=PREDICTIONS, partitions_def=SESSIONS)
def reproduced_by_the_registry(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """The model version in MLflow, given the stored features, predicts what is stored."""
    window = window_of(context)
    sessions = sampled(list(warehouse.read(SESSIONS_PREDICTED, window.first, window.last)["session"]), CHECKED_SESSIONS)
    gap = largest_gap(warehouse, sessions)
    return dg.AssetCheckResult(
        passed=gap <= TOLERANCE, metadata={"sessions": ", ".join(map(str, sessions)), "largest_difference": gap}
    )


def largest_gap(warehouse: Warehouse, sessions: list[date]) -> float:
    """Largest absolute difference between stored and recomputed predictions of `sessions`; 0 where there are none."""
    if not sessions:
        return 0.0
    stored = pl.concat([warehouse.read(STORED, day) for day in sessions])
    again = predict_assigned(warehouse.settings, stored)
    both = stored.join(again, on=["instrument_id", "session"])
    gap = both.select((pl.col("stored") - pl.col("prediction")).abs().max()).item()
    return float("inf") if both.height != stored.height or gap is None else float(gap)
