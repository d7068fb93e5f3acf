"""Great Expectations as the runner: a frame and a list of expectations in, results that can be stored out."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import polars as pl

from bifrost_assets.market_data.evidence import CheckResult


def validated(frame: pl.DataFrame, suite: str, expectations: Sequence[Any]) -> list[CheckResult]:
    """Each expectation, whether `frame` meets it, and what was seen."""
    import great_expectations as gx

    batch = _definition().get_batch(batch_parameters={"dataframe": frame.to_pandas()})
    report = batch.validate(gx.ExpectationSuite(name=suite, expectations=list(expectations)))
    return [CheckResult(_name(one.expectation_config), bool(one.success), _observed(one)) for one in report.results]


@cache
def _definition() -> Any:
    """One ephemeral context a process: making it costs more than all its validations."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("window").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def _name(config: Any) -> str:
    about = config.kwargs
    subject = about.get("column") or " and ".join(filter(None, (about.get("column_A"), about.get("column_B"))))
    return f"{config.type} ({subject})" if subject else str(config.type)


def _observed(result: Any) -> dict[str, Any]:
    seen = result.result or {}
    names: Sequence[str] = ("observed_value", "element_count", "unexpected_count", "partial_unexpected_list")
    found = {name: seen[name] for name in names if seen.get(name) not in (None, [])}
    if error := (result.exception_info or {}).get("exception_message"):
        found["error"] = error
    return found
