"""What to compute again when data about the past arrives: exactly the sessions that would have been another way."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg

from bifrost_assets.features.daily import LOOKBACK_SESSIONS
from bifrost_assets.partitions import RANGE_END, RANGE_START, SESSIONS
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

COMPUTED = [dg.AssetKey(key.split("/")) for key in ("features/daily", "ml/predictions", "signals/signals")]
BUSY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
ASKED = "bifrost/late_data"  # what a run was asked for; it is tried ATTEMPTS times
ATTEMPTS = 3
EVER = datetime(1970, 1, 1, tzinfo=UTC)

NEWEST = "select max(loaded_at) as at from raw.loads where changed_rows > 0"
# A session is affected by what was stored after it was computed, is of its own past as far as features look back, and
# counts as known at its cutoff. A correction is known when it is stored, so it affects no session of the past.
AFFECTED = """
    with numbered as (
        select session, close_at, row_number() over (order by session) as n
        from reference.sessions where exchange_mic = $2
    ),
    stored as (
        select b.session, b.available_at, b.ingested_at
        from raw.loads l
        join raw.daily_bars b on b.instrument_id = l.instrument_id and b.ingested_at = l.loaded_at
            and b.session between l.first_session - 14 and l.last_session
        where l.changed_rows > 0 and l.loaded_at > $1
        union
        select ex_session, available_at, ingested_at from raw.corporate_actions
        where ingested_at > $1 and kind in ('split', 'cash_dividend')
    ),
    computed as (select session, min(computed_at) as computed_at from features.daily group by session)
    select distinct c.session
    from computed c
    join numbered own on own.session = c.session
    join numbered past on past.n between own.n - $4::int and own.n
    join stored s on s.session = past.session
    where s.ingested_at > c.computed_at and s.available_at <= own.close_at + make_interval(mins => $3::int)
    order by c.session
"""

recompute = dg.define_asset_job(
    "recompute",
    selection=dg.AssetSelection.assets(*COMPUTED),
    description="Features, predictions and signals of past sessions, after data about them arrived. Never targets.",
    partitions_def=SESSIONS,
    executor_def=dg.in_process_executor,
)


def affected_sessions(warehouse: Warehouse, since: datetime) -> list[date]:
    """Sessions whose features would be other ones with what was stored after `since` and after they were computed."""
    settings = warehouse.settings
    found = warehouse.read(AFFECTED, since, settings.exchange, settings.availability_lag_minutes, LOOKBACK_SESSIONS - 1)
    return found["session"].to_list()


def ranges(settings: Settings, sessions: Sequence[date]) -> list[tuple[str, str]]:
    """The partitions of `sessions` as ranges (first, last) of keys without a gap."""
    keys = SESSIONS.get_partition_keys()
    earliest = settings.first_partition  # holds all sessions before it
    places = sorted({keys.index(max(session.isoformat(), earliest)) for session in sessions})
    starts = [n for n in places if n - 1 not in places]
    ends = [n for n in places if n + 1 not in places]
    return [(keys[first], keys[last]) for first, last in zip(starts, ends, strict=True)]


@dg.sensor(
    job=recompute,
    name="late_data",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Computes the sessions again that data stored since would have changed, and no other.",
)
def late_data(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
    """Looks at what was stored since all was in order; asks again until it is, not while a run is on its way."""
    newest = warehouse.read(NEWEST)["at"].item()
    since = datetime.fromisoformat(context.cursor) if context.cursor else EVER
    if newest is None or newest <= since:
        return dg.SensorResult(skip_reason="nothing was stored since the last look")
    if context.instance.get_runs(dg.RunsFilter(statuses=BUSY), limit=1):
        return dg.SensorResult(skip_reason="a run is on its way: what it leaves is looked at afterwards")
    sessions = affected_sessions(warehouse, since)
    if not sessions:
        reason = "what was stored changes no session that was computed before"
        return dg.SensorResult(skip_reason=reason, cursor=newest.isoformat())
    asked = f"{newest.isoformat()}:{sessions[0]}..{sessions[-1]}"
    tried = context.instance.get_runs_count(dg.RunsFilter(job_name=recompute.name, tags={ASKED: asked}))
    wanted = ranges(warehouse.settings, sessions)
    if tried >= ATTEMPTS * len(wanted):
        reason = (
            f"{len(sessions)} sessions stay as they were computed: {tried} runs of {recompute.name} did not mend them"
        )
        return dg.SensorResult(skip_reason=reason)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{asked}:{first}@{tried}", tags={RANGE_START: first, RANGE_END: last, ASKED: asked})
            for first, last in wanted
        ]
    )
