"""Freshness: a policy for Dagster's own pages, and a sensor that says what is late and why.

A Dagster policy sees the time of the last materialization, not its partition, and knows no holidays. So the policy is a
window as long as the exchange ever rests, which never fails falsely; the sensor compares each asset's newest session
with the one that is due by the calendar.
"""

import warnings
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import dagster as dg

from bifrost_assets import alerts
from bifrost_assets.lateness import Due, Verdict, judge
from bifrost_assets.market_data.intraday.assets import GROUP as MINUTES
from bifrost_assets.market_data.providers.base import BarProvider, MinuteProvider
from bifrost_assets.partitions import SESSIONS
from bifrost_core.calendar import all_sessions
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

YEAR = timedelta(days=366)
# a preview in Dagster 1.13; we know, and every start would say so
warnings.filterwarnings("ignore", message=r"Function `Definitions\.map_(resolved_)?asset_specs`")


def policy_of(settings: Settings, now: datetime) -> dg.FreshnessPolicy | None:
    """Fails when an asset was not made for longer than the exchange's longest rest around `now`, and the grace.

    None with provider `sample`, whose data ends in 2013: by this machine's clock it would always be stale.
    """
    if settings.provider == "sample":
        return None
    closes = [s.close_at for s in all_sessions(settings.exchange) if now - YEAR <= s.close_at <= now + YEAR]
    rest = max(later - earlier for earlier, later in pairwise(closes))
    return dg.FreshnessPolicy.time_window(fail_window=rest + timedelta(minutes=settings.freshness_grace_minutes))


def with_policies(definitions: dg.Definitions, settings: Settings) -> dg.Definitions:
    """The policy on every asset that the nightly run makes: those partitioned by session, and the marts."""
    policy = policy_of(settings, datetime.now(UTC))

    def watched(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.partitions_def != SESSIONS and spec.key.path[0] != "marts":
            return spec
        return spec.replace_attributes(freshness_policy=policy)

    return definitions.map_asset_specs(func=watched)


@dg.sensor(
    name="freshness",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Compares each asset's newest session with the one due; says what is late and why, once, and alerts.",
)
def freshness(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    provider: dg.ResourceParam[BarProvider],
) -> dg.SensorResult:
    """Keeps every verdict in the warehouse, where the app reads it without Dagster."""
    assert context.repository_def is not None
    graph, now = context.repository_def.asset_graph, datetime.now(UTC)
    due = {key: graph.get(key) for key in graph.materializable_asset_keys if graph.get(key).partitions_def == SESSIONS}
    minutes = isinstance(provider, MinuteProvider)  # where the provider has none, none are due
    watched = [key for key, node in due.items() if minutes or node.group_name != MINUTES]
    verdicts = judge(context.instance, sorted(watched), Due.at_time(warehouse.settings, provider, now))
    new = alerts.keep(warehouse, verdicts, now)
    for one in new:
        context.log.warning(f"{one.asset} lacks session {one.due_session}: {one.why}")
    if failure := alerts.deliver(warehouse, now):
        context.log.warning(f"alerts wait to be sent: {failure}")
    late = ", ".join(one.asset for one in verdicts if one.is_late)
    reason = dg.SkipReason(f"late: {late}" if late else "every asset has the session that is due")
    return dg.SensorResult(skip_reason=reason, asset_events=[_observation(one) for one in new])


def _observation(one: Verdict) -> dg.AssetObservation:
    facts = {"late_because": one.why, "cause": one.cause, "due_session": one.due_session.isoformat()}
    run = {"run": dg.MetadataValue.dagster_run(one.run_id)} if one.run_id else {}
    return dg.AssetObservation(dg.AssetKey.from_user_string(one.asset), metadata={**facts, **run})
