"""Every dbt model as an asset, every dbt test as a check of its model; run by dbt in this process."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from bifrost_assets.warehouse_models.inprocess import GOOD, Dbt, NodeResult
from bifrost_assets.warehouse_models.project import fingerprint, prepared_project
from bifrost_assets.warehouse_models.translator import ModelTranslator
from bifrost_core.environment import part_environment
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.warehouse import Warehouse

PROJECT = prepared_project(load_settings())
TRANSLATOR = ModelTranslator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
FINGERPRINT = fingerprint(PROJECT.project_dir)

Reported = dg.MaterializeResult[Any] | dg.AssetCheckResult


@dbt_assets(manifest=PROJECT.manifest_path, project=PROJECT, dagster_dbt_translator=TRANSLATOR, name="dbt_models")  # type: ignore[untyped-decorator]
def dbt_models(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Reported]:
    """Build the selected models in dbt's order, each with its tests."""
    settings = warehouse.settings
    environment = {name: value for name, value in part_environment(settings).items() if name.startswith("DBT_")}
    dbt = Dbt(PROJECT.project_dir, settings.home / "dbt")
    results = dbt.build(environment, _selection(context), key=FINGERPRINT)
    yield from _events(results, _manifest(), context.selected_asset_check_keys)
    if broken := [one for one in results if one.unique_id.startswith("model.") and one.status not in GOOD]:
        raise dg.Failure(_why(broken, results), allow_retries=False)


def _manifest() -> Mapping[str, Any]:
    from dagster_dbt.dbt_manifest import validate_manifest

    manifest: Mapping[str, Any] = validate_manifest(PROJECT.manifest_path)
    return manifest


def _selection(context: dg.AssetExecutionContext) -> list[str]:
    """What to tell dbt where only some of the models were asked for."""
    if not context.is_subset:
        return []
    names = [key.path[-1] for key in context.selected_asset_keys]
    names += [check.name for check in context.selected_asset_check_keys if not names]
    return ["--select", *names]


def _events(
    results: Iterable[NodeResult], manifest: Mapping[str, Any], wanted: Iterable[dg.AssetCheckKey]
) -> Iterator[Reported]:
    checks = set(wanted)
    for one in results:
        if one.unique_id.startswith("model.") and one.status == "success":
            yield dg.MaterializeResult(asset_key=_key(manifest, one.unique_id), metadata=_metadata(one))
        elif one.unique_id.startswith("test.") and one.status != "skipped":
            check = get_asset_check_key_for_test(manifest, TRANSLATOR, one.unique_id, PROJECT)
            if check in checks:
                yield _check_result(one, check)


def _key(manifest: Mapping[str, Any], unique_id: str) -> dg.AssetKey:
    return TRANSLATOR.get_asset_spec(manifest, unique_id, PROJECT).key


def _metadata(one: NodeResult) -> dict[str, Any]:
    rows = {} if one.rows is None else {"dagster/row_count": one.rows}
    return {**rows, "seconds": one.seconds}


def _check_result(one: NodeResult, check: dg.AssetCheckKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=one.status in GOOD,
        severity=dg.AssetCheckSeverity.WARN if one.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"failing_rows": one.failures, "message": one.message, "status": one.status},
    )


def _why(broken: list[NodeResult], results: list[NodeResult]) -> str:
    """The models that failed with dbt's words, else the tests because of which models were left out."""
    failed = [f"{one.name}: {one.message}" for one in broken if one.status == "error"]
    failed += [
        f"test {one.name}: {one.message}" for one in results if one.status in {"fail", "error"} and one not in broken
    ]
    left_out = [one.name for one in broken if one.status == "skipped"]
    return "; ".join(failed) + (f" (not built because of it: {', '.join(left_out)})" if left_out else "")
