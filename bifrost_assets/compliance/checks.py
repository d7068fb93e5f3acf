"""What the compliance reports promise: nothing is missing, and nothing was changed."""

from collections.abc import Sequence

import dagster as dg

from bifrost_assets.compliance import verification
from bifrost_assets.compliance.assets import limit_decisions, order_audit_trail
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.warehouse.warehouse import Warehouse

NAMED = 10


@dg.asset_check(asset=order_audit_trail, partitions_def=SESSIONS)
def audit_chain_is_whole(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Every entry of the audit chain hashes to what was written, from the first to the head, whatever the session."""
    state = verification.chain_state(warehouse)
    metadata: dict[str, int | str] = {"entries": state.length, "state": str(state)}
    return dg.AssetCheckResult(passed=state.broken_seq is None, description=str(state), metadata=metadata)


@dg.asset_check(asset=order_audit_trail, partitions_def=SESSIONS)
def every_event_is_in_the_chain(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Each order event of the session is in the audit chain with the same status, quantity, price and commission."""
    window = window_of(context)
    return _none(verification.unchained_events(warehouse, window.first, window.last), "event_seq")


@dg.asset_check(asset=order_audit_trail, partitions_def=SESSIONS)
def every_fill_is_in_the_trail(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Each fill of the session is in the order audit trail with the same quantity and price."""
    window = window_of(context)
    return _none(verification.fills_outside_the_trail(warehouse, window.first, window.last), "fill_id")


@dg.asset_check(asset=order_audit_trail, name="files_are_as_written", partitions_def=SESSIONS)
def trail_files_are_as_written(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """The report files on disk have the hashes that were stored when they were written."""
    window = window_of(context)
    return _none(verification.changed_files(warehouse, "order_audit_trail", window.first, window.last), "file")


@dg.asset_check(asset=limit_decisions, partitions_def=SESSIONS)
def every_decision_is_in_the_chain(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Each risk decision of the session is in the audit chain with the same outcome and reason."""
    window = window_of(context)
    return _none(verification.unchained_decisions(warehouse, window.first, window.last), "decision_id")


@dg.asset_check(asset=limit_decisions, name="files_are_as_written", partitions_def=SESSIONS)
def decision_files_are_as_written(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """The report files on disk have the hashes that were stored when they were written."""
    window = window_of(context)
    return _none(verification.changed_files(warehouse, "limit_decisions", window.first, window.last), "file")


def _none(found: Sequence[int | str], what: str) -> dg.AssetCheckResult:
    """Passed where nothing was found; else the first ones are named."""
    first = f"{what} {', '.join(map(str, found[:NAMED]))}" if found else "none"
    return dg.AssetCheckResult(passed=not found, description=first, metadata={"found": len(found), "first": first})


ALL = [
    audit_chain_is_whole,
    every_event_is_in_the_chain,
    every_fill_is_in_the_trail,
    trail_files_are_as_written,
    every_decision_is_in_the_chain,
    decision_files_are_as_written,
]
