"""Revisions that are stored and not looked into yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from bifrost_core.warehouse.warehouse import Warehouse

# A bar with an older vintage or none after it; an action that was stored later than the bar of its session.
NEW = """
    with revised as (
        select s.superseded_at as revised_at, s.instrument_id, s.session, n.close / o.close - 1 as change
        from raw.daily_bars_superseded s
        join raw.daily_bars o using (instrument_id, session, ingested_at)
        left join raw.daily_bars n on n.instrument_id = s.instrument_id and n.session = s.session
            and n.ingested_at = s.superseded_at
        union all
        select a.ingested_at, a.instrument_id, a.ex_session, null
        from raw.corporate_actions a
        where a.kind in ('split', 'cash_dividend') and exists (
            select from raw.daily_bars b
            where b.instrument_id = a.instrument_id and b.session = a.ex_session and b.ingested_at < a.ingested_at
        )
    )
    select r.revised_at, r.instrument_id, r.session, r.change
    from revised r
    where not exists (select from research.revision_effects e where e.revised_at = r.revised_at)
    order by r.revised_at, r.instrument_id, r.session
"""


@dataclass(frozen=True, slots=True)
class Revision:
    """What was revised at one time, from session `first` to `last`.

    `rows` has instrument_id, session and change, which is that of the close, relative, and null for an action.
    """

    revised_at: datetime
    first: date
    last: date
    rows: pl.DataFrame


def new_revisions(warehouse: Warehouse) -> list[Revision]:
    """Revisions of bars and actions without a row in research.revision_effects, oldest first."""
    found = warehouse.read(NEW)
    parts = found.partition_by("revised_at", maintain_order=True)
    return [_revision(part) for part in parts]


def _revision(rows: pl.DataFrame) -> Revision:
    first, last = rows.select(first=pl.col("session").min(), last=pl.col("session").max()).row(0)
    return Revision(rows["revised_at"][0], first, last, rows)
