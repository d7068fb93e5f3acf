"""What is held or doubted, and a person's decision on it: shared by the command line and the app."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bifrost_core.errors import BifrostError
from bifrost_core.warehouse.connect import Role, connect

if TYPE_CHECKING:
    import polars as pl

    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

LISTED = """
    select r.quarantine_id, r.status, r.source, r.subject, r.session, r.reason, r.provider, r.quarantined_at,
        d.actor, d.because, d.decided_at
    from quarantine.rows r
    left join quarantine.decisions d using (quarantine_id)
    where ($1 = 'all' or r.status = $1 or ($1 = 'undecided' and r.status in ('held', 'flagged')))
        and ($2 = '' or r.subject = $2)
    order by r.quarantine_id desc
    limit $3
"""
DECIDE = "select quarantine.decide_v1(%s, %s, %s, %s, %s)"
REMEDIES = {
    "BF010": "`bifrost quarantine list --status all` has the ids",
    "BF011": "A decision stands; a mended bar comes with the next load of its session",
    "BF012": "Drop it; a mended bar comes with the next load of its session",
    "BF013": "Drop it: the newer bar stays. Where that one is wrong and flagged, drop it first, then release this one",
}


class Decision(StrEnum):
    """What a person says of a row: it is right, or it is wrong."""

    RELEASE = "released"
    DROP = "dropped"


class QuarantineError(BifrostError):
    """A decision that cannot be made."""


def listed(warehouse: Warehouse, status: str = "undecided", symbol: str = "", limit: int = 200) -> pl.DataFrame:
    """Newest rows first, with the decision on each; `status` is held, flagged, released, dropped, undecided or all."""
    return warehouse.read(LISTED, status, symbol, limit)


def decide(settings: Settings, ids: Sequence[int], decision: Decision, because: str, actor: str) -> int:
    """Release or drop rows, all of them or none, as bifrost_api; returns how many were not decided so before.

    Raises QuarantineError for a row that is not there, is decided otherwise, or cannot be stored as a bar, or
    whose bar was stored anew since.
    """
    import psycopg

    if not because.strip() or not actor.strip():
        missing = "a reason" if not because.strip() else "who decides"
        raise QuarantineError(f"the decision lacks {missing}", "Say it: both are kept in the audit trail")
    lag = timedelta(minutes=settings.availability_lag_minutes)
    with connect(settings, Role.API) as connection:
        try:
            row = connection.execute(DECIDE, (list(ids), decision, because.strip(), actor.strip(), lag)).fetchone()
        except psycopg.Error as error:
            remedy = REMEDIES.get(error.sqlstate or "")
            if remedy is None:
                raise
            raise QuarantineError(str(error.diag.message_primary), remedy) from error
    return int(row[0]) if row else 0
