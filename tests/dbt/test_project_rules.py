"""Rules of the dbt project, read off its manifest: layers, documentation, grain tests, exposures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bifrost_assets.warehouse_models.assets import PROJECT as PREPARED
from bifrost_assets.warehouse_models.project import PROJECT
from bifrost_core.settings import ROOT

MANIFEST: dict[str, Any] = json.loads(PREPARED.manifest_path.read_text())
MODELS = {node["name"]: node for node in MANIFEST["nodes"].values() if node["resource_type"] == "model"}
TESTS = [node for node in MANIFEST["nodes"].values() if node["resource_type"] == "test"]
LAYERS = {"stg_": "staging", "int_": "intermediate", "dim_": "marts", "fct_": "marts"}
HARD_CODED = re.compile(r"\b(?:from|join)\s+(?!lateral\b)(?:raw|reference|trading|staging|intermediate|marts)\.\w+")


def parents(node: dict[str, Any], kind: str) -> set[str]:
    return {one for one in node["depends_on"]["nodes"] if one.startswith(f"{kind}.")}


def layer(node: dict[str, Any]) -> str:
    return str(node["config"]["schema"])


def grain_tests(model: dict[str, Any]) -> Iterator[str]:
    for test in TESTS:
        if test.get("attached_node") == model["unique_id"] and (metadata := test.get("test_metadata")):
            yield metadata["name"]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_models_name_says_its_layer(name: str) -> None:
    """A reader could not tell a cleaned source from a fact."""
    [prefix] = [prefix for prefix in LAYERS if name.startswith(prefix)]
    assert layer(MODELS[name]) == LAYERS[prefix]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_staging_reads_sources_and_everything_else_reads_models(name: str) -> None:
    """A mart on a raw table breaks with the table; staging is the one place that knows its columns."""
    model = MODELS[name]
    if layer(model) == "staging":
        assert parents(model, "source")
        assert not parents(model, "model")
    else:
        assert not parents(model, "source")
        assert parents(model, "model")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_relation_is_named_outright(name: str) -> None:
    """dbt would not know of the dependency; the as-of functions go through a macro that tells it."""
    assert HARD_CODED.findall(MODELS[name]["raw_code"].lower()) == []


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_and_column_is_described_and_its_grain_tested(name: str) -> None:
    """A column without a description is a question to whoever made it; two rows where one is meant count twice."""
    model = MODELS[name]
    assert model["description"].startswith("One row per"), name
    assert [column["name"] for column in model["columns"].values() if not column["description"]] == []
    tests = set(grain_tests(model))
    assert tests & {"primary_key", "unique_together"} or {"unique", "not_null"} <= tests, f"{name} has no grain test"


def test_every_source_is_described() -> None:
    """The lineage begins with tables that nobody explains."""
    assert [one["name"] for one in MANIFEST["sources"].values() if not one["description"]] == []


def test_every_mart_has_a_contract_and_whoever_answers_for_it() -> None:
    """A column that changes its type would be found by the page that reads it."""
    marts = [model for model in MODELS.values() if layer(model) == "marts"]
    assert [m["name"] for m in marts if not m["config"]["contract"]["enforced"]] == []
    assert [m["name"] for m in marts if not m["config"]["meta"].get("dagster", {}).get("owners")] == []


def test_an_incremental_model_carries_the_mark_of_its_version() -> None:
    """Without the mark, rows made by an older formula stay for ever."""
    incremental = [m for m in MODELS.values() if m["config"]["materialized"] == "incremental"]
    assert incremental
    hooks = {m["name"]: " ".join(hook["sql"] for hook in m["config"]["post-hook"]) for m in incremental}
    assert [name for name, sql in hooks.items() if "write_mark()" not in sql] == []


def test_every_page_of_the_app_is_an_exposure_and_no_other() -> None:
    """Who changes a mart could not see which page it breaks."""
    app = (ROOT / "streamlit_app" / "app.py").read_text()  # importing it would draw it
    pages = {path or "overview": title for title, path in re.findall(r'\(\w+, "(.+?)", ":.+?", "(.*?)"\)', app)}
    assert "overview" in pages
    assert {one["name"]: one["label"] for one in MANIFEST["exposures"].values()} == pages


def test_the_exposures_name_every_mart_that_the_app_reads() -> None:
    """An exposure that leaves one out says that nobody reads it."""
    code = "\n".join(file.read_text() for file in (ROOT / "streamlit_app").rglob("*.py"))
    read = set(re.findall(r"\bmarts\.((?:fct|dim)_\w+)", code))
    exposed = {one.split(".")[-1] for e in MANIFEST["exposures"].values() for one in parents(e, "model")}
    assert read <= exposed


def test_one_yml_per_model() -> None:
    """A model's description and tests are found beside it."""
    models = PROJECT / "models"
    assert {p.relative_to(models).with_suffix("") for p in models.rglob("*.sql")} == {
        p.relative_to(models).with_suffix("")
        for p in models.rglob("*.yml")
        if "models" in yaml.safe_load(p.read_text())
    }
