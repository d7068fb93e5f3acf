"""Metadata of a materialization, where one run may stand for many partitions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg


def materialized(
    context: dg.AssetExecutionContext, numbers: Mapping[str, Any], report: Mapping[str, Any]
) -> dg.MaterializeResult[None]:
    """A result with `numbers`, and with `report` (tables, pictures) stored once.

    Dagster stores a materialization, metadata and all, for each partition of a range; then `report` goes into one
    observation of the last partition instead.
    """
    keys = context.partition_key_range
    if keys.start == keys.end:
        return dg.MaterializeResult(metadata={**numbers, **report})
    if report:
        context.log_event(dg.AssetObservation(context.asset_key, partition=keys.end, metadata=dict(report)))
    return dg.MaterializeResult(metadata=dict(numbers))
