"""ml/return_model and ml/predictions as assets."""

import dagster as dg

from bifrost_assets.models.inference import predictions
from bifrost_assets.models.return_model import MODEL_NAME, SCORES
from bifrost_assets.models.training import Trained, train_due
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.reporting import materialized
from bifrost_assets.stamp import Stamp
from bifrost_core.warehouse.bulk import replace_sessions
from bifrost_core.warehouse.warehouse import Warehouse


@dg.asset(
    key=["ml", "return_model"],
    group_name="models",
    kinds={"scikitlearn", "mlflow", "postgres"},
    owners=[Owner.RESEARCH],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[
        dg.AssetKey(["features", "daily"]),
        dg.AssetKey(["raw", "daily_bars"]),
        dg.AssetKey(["raw", "corporate_actions"]),
    ],
    metadata={"dagster/table_name": "ml.model_versions"},
)
def return_model(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[None]:
    """One model version per walk-forward fold, in MLflow's registry; a window with no new fold trains nothing."""
    window = window_of(context)
    trained, left_out = train_due(warehouse, Stamp.of(context.run_id), window.first, window.last)
    numbers = {"dagster/row_count": len(trained), "model": MODEL_NAME, "folds_without_enough_rows": left_out}
    return materialized(context, numbers, _folds(trained) if trained else {})


FOLD_COLUMNS = {"version": "string", "usable_from": "string", "train_rows": "int"} | dict.fromkeys(SCORES, "float")


def _folds(trained: list[Trained]) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord({
            "version": t.version,
            "usable_from": str(t.fold.usable_from),
            "train_rows": t.train_rows,
            **{name: t.metrics.get(name) for name in SCORES},  # a first fold has no holdout
        })
        for t in trained
    ]  # fmt: skip
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in FOLD_COLUMNS.items()])
    return {"folds": dg.MetadataValue.table(records, schema=schema)}


@dg.asset(
    key=["ml", "predictions"],
    group_name="models",
    kinds={"scikitlearn", "mlflow", "postgres"},
    owners=[Owner.RESEARCH],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["ml", "return_model"]), dg.AssetKey(["features", "daily"])],
    metadata={"dagster/table_name": "ml.predictions"},
)
def model_predictions(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[None]:
    """Next-5-session return relative to the universe per instrument and session, by a model that knew only the past."""
    window, stamp = window_of(context), Stamp.of(context.run_id)
    rows = predictions(warehouse, window.first, window.last)
    with warehouse.transaction() as connection:
        where = "session between %s and %s"
        replace_sessions(connection, stamp.onto(rows), "ml.predictions", where, (window.first, window.last))
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows.height, "model_versions": rows["model_version"].n_unique()}
    )
