"""dbt's models in Dagster's terms: keys [schema, model], one group, kinds and owners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject


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
        ).merge_attributes(metadata={"dagster/table_name": f"{schema}.{name}"})

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return " ".join(str(dbt_resource_props.get("description") or "").split())
