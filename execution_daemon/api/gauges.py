"""What is true of the daemon at the moment it is scraped."""

from __future__ import annotations

import asyncio

from bifrost_core.errors import BrokerError
from bifrost_core.trading.orders import OrdStatus
from execution_daemon.api.context import Context
from execution_daemon.api.headroom import used_of
from execution_daemon.shell.metrics import Gauges


async def gauges_of(here: Context) -> Gauges:
    """Gauges for `Metrics.text`; fewer before the book is loaded. Raises ProblemError where the warehouse is away."""
    row = await here.warehouse.row("standing", {"account": here.settings.account}) or {}
    gauges: dict[str, float] = {"bifrost_ready": float(here.daemon.is_ready), **_of_the_parts(here)}
    gauges["bifrost_blocked_symbols"] = row["blocked"]
    gauges["bifrost_pending_batches"] = row["pending"]
    if row["breaks"] is not None:
        gauges["bifrost_breaks"] = row["breaks"]
        gauges["bifrost_last_reconciliation_clean"] = float(row["breaks"] == 0)
    if row["clean_seconds_ago"] is not None:
        gauges["bifrost_seconds_since_clean_reconciliation"] = row["clean_seconds_ago"]
    return {**gauges, **_of_the_throttle(here), **await _of_the_limits(here)}


def _of_the_parts(here: Context) -> dict[str, float]:
    try:
        parts = here.daemon.parts
    except BrokerError:
        return {}
    statuses = [order.status for order in parts.keeper.book.open_orders()]
    return {
        "bifrost_lease_epoch": parts.store.epoch,
        "bifrost_open_orders": len(statuses),
        "bifrost_unknown_orders": statuses.count(OrdStatus.UNKNOWN),
        "bifrost_inbox_jobs": here.daemon.inbox.depth,
        "bifrost_orders_to_send": parts.keeper.to_send.qsize(),
        "bifrost_orders_to_look_up": parts.keeper.to_look_up.qsize(),
    }


def _of_the_throttle(here: Context) -> Gauges:
    """Messages to the broker that may go now: any, and those kept for cancels."""
    try:
        left = here.daemon.parts.sender.throttle.left(asyncio.get_running_loop().time())
    except BrokerError:
        return {}
    return {"bifrost_message_tokens": {(("for", whom),): tokens for whom, tokens in left._asdict().items()}}


async def _of_the_limits(here: Context) -> Gauges:
    """Value, use and headroom of each limit that fills up, in its unit."""
    used = await used_of(here)
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {"bifrost_limit": {}, "bifrost_limit_headroom": {}}
    for row in await here.warehouse.rows("limits", {"account": here.settings.account}):
        labels = (("code", row["code"]), ("unit", row["unit"]))
        found["bifrost_limit"][labels] = float(row["value"])
        if row["code"] in used:
            found["bifrost_limit_headroom"][labels] = float(row["value"] - used[row["code"]])
    return found
