"""dbt's models in Dagster's terms: keys [schema, model], one group, kinds, owners and freshness."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

NIGHTLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=5), warn_window=timedelta(days=4))


class ModelTranslator(DagsterDbtTranslator):  # type: ignore[misc]
    """Keys and owners are dagster-dbt's own (the schema config, `meta.dagster.owners`); the rest is set here."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec: dg.AssetSpec = super().get_asset_spec(manifest, unique_id, project)
        if not unique_id.startswith("model."):
            return spec
        schema, name = self.get_resource_props(manifest, unique_id)["config"]["schema"], spec.key.path[-1]
        return spec.replace_attributes(
            group_name="warehouse",
            kinds={"dbt", "postgres"},
            freshness_policy=NIGHTLY if schema == "marts" else None,
        ).merge_attributes(metadata={"dagster/table_name": f"{schema}.{name}"})

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return " ".join(str(dbt_resource_props.get("description") or "").split())
