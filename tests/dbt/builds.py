"""Builds of the dbt project on a test's database."""

from __future__ import annotations

from bifrost_assets.warehouse_models.inprocess import GOOD, Dbt, NodeResult
from bifrost_assets.warehouse_models.project import PROJECT, fingerprint
from bifrost_core.environment import part_environment
from bifrost_core.warehouse.warehouse import Warehouse


def build(warehouse: Warehouse, *selection: str, unit_tests: bool = False, **variables: str) -> dict[str, NodeResult]:
    """Results by name; `variables` are dbt's, such as known_at."""
    environment = {k: v for k, v in part_environment(warehouse.settings).items() if k.startswith("DBT_")}
    dbt = Dbt(PROJECT, warehouse.settings.home / "dbt", variables)
    results = dbt.build(environment, selection, key=fingerprint(PROJECT), unit_tests=unit_tests)
    return {one.name: one for one in results}


def bad(results: dict[str, NodeResult]) -> dict[str, str]:
    return {one.name: f"{one.status} {one.message}" for one in results.values() if one.status not in GOOD}
