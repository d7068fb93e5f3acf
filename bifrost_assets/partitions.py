"""Exchange sessions as partitions: weekdays less the exchange's holidays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from bifrost_core.calendar import Session, all_sessions, sessions_between
from bifrost_core.settings import Settings, load_settings

# a check's partitions are a preview in Dagster 1.13; we know, and each of ours would say so at every start
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"  # a run's tags


def session_partitions(settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """One partition per session of the exchange, from `first_partition` on; keys are ISO dates.

    The first partition holds all history before it as well. Dagster writes events per asset and partition, so a history
    of 3,000 partitions would cost minutes of bookkeeping, and one partition costs none.
    """
    sessions = [s.session for s in all_sessions(settings.exchange)]
    first = date.fromisoformat(settings.first_partition)
    trading = set(sessions)
    weekdays = (first + timedelta(days=n) for n in range((sessions[-1] - first).days + 1))
    holidays = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in weekdays if d.weekday() < 5 and d not in trading]
    return dg.TimeWindowPartitionsDefinition(
        start=settings.first_partition,
        cron_schedule="0 0 * * 1-5",
        fmt="%Y-%m-%d",
        timezone="UTC",
        exclusions=holidays,
        end_offset=1,
    )


SESSIONS = session_partitions(load_settings())


@dataclass(frozen=True, slots=True)
class Window:
    """The sessions one run is about, first and last included."""

    first: date
    last: date

    def sessions(self, mic: str) -> tuple[Session, ...]:
        return sessions_between(mic, self.first, self.last)


def window_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Window:
    """The window of a run over one partition or a range of them."""
    if isinstance(context, dg.AssetCheckExecutionContext):
        first, last = _keys_of_run(context.run.tags)  # Dagster finds no range where a run holds checks only
    else:
        first, last = context.partition_key_range.start, context.partition_key_range.end
    return window_between(load_settings(), date.fromisoformat(first), date.fromisoformat(last))


def _keys_of_run(tags: Mapping[str, str]) -> tuple[str, str]:
    """First and last partition key of a run, from the tags that Dagster puts on it."""
    one = tags.get("dagster/partition", "")
    return tags.get(RANGE_START, one), tags.get(RANGE_END, one)


def window_between(settings: Settings, first: date, last: date) -> Window:
    """Partitions first..last as sessions: the first partition reaches back to where history begins."""
    is_history = first == date.fromisoformat(settings.first_partition)
    return Window(date.fromisoformat(settings.first_session) if is_history else first, last)
