"""Proof that the record is whole: the audit chain, its coverage of the book, and the files on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from bifrost_assets.compliance.records import SPANS
from bifrost_core.provenance import sha256

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

# what the daemon recorded about an event must be what the chain holds: a changed event shows as one that is missing
UNCHAINED_EVENTS = f"""{SPANS}
    select e.event_seq from trading.order_events e
    join spans s on e.event_at > s.since and e.event_at <= s.until
    where s.session between %(first)s and %(last)s and not exists (
        select from audit.chain c
        where c.kind = 'order_event' and (c.payload ->> 'event_seq')::bigint = e.event_seq
            and c.payload ->> 'client_order_id' = e.client_order_id and c.payload ->> 'ord_status' = e.ord_status
            and (c.payload ->> 'last_qty')::numeric = e.last_qty
            and (e.last_qty = 0 or round((c.payload ->> 'last_px')::numeric, 6) = e.last_px)
            and round((c.payload ->> 'commission')::numeric, 6) = e.commission
            and c.event_at = e.event_at)
        and not exists (
        select from audit.chain c
        where e.kind = 'intent' and c.kind = 'intent' and c.payload ->> 'outcome' = 'accepted'
            and c.payload ->> 'client_order_id' = e.client_order_id and c.event_at = e.event_at)
    order by e.event_seq
"""  # noqa: S608
UNCHAINED_DECISIONS = f"""{SPANS}
    select d.decision_id from trading.risk_decisions d
    join spans s on d.decided_at > s.since and d.decided_at <= s.until
    where s.session between %(first)s and %(last)s and not exists (
        select from audit.chain c
        where c.kind = 'intent' and c.payload ->> 'client_order_id' = d.client_order_id
            and c.payload ->> 'outcome' = d.outcome and c.payload ->> 'reason_code' = d.reason_code
            and c.event_at = d.decided_at)
    order by d.decision_id
"""  # noqa: S608
FILLS_OUTSIDE_THE_TRAIL = """
    select f.fill_id from trading.fills f
    where f.session between %(first)s and %(last)s and not exists (
        select from compliance.order_audit_trail t
        where t.event_seq = f.event_seq and t.session = f.session
            and t.last_qty = f.last_qty and t.last_px = f.last_px)
    order by f.fill_id
"""
REPORTS = """
    select path, sha256 from compliance.reports
    where report = %(report)s and session between %(first)s and %(last)s order by path
"""


@dataclass(frozen=True, slots=True)
class ChainState:
    """`length` entries; `broken_seq` is the first that was changed, removed or put in, None in a whole chain."""

    length: int
    broken_seq: int | None = None
    kind: str | None = None
    event_at: datetime | None = None

    def __str__(self) -> str:
        if self.broken_seq is None:
            return f"{self.length:,} entries, whole"
        where = f" ({self.kind}, {self.event_at:%Y-%m-%d %H:%M:%S} UTC)" if self.event_at else " (not there)"
        return f"broken at entry {self.broken_seq}{where} of {self.length:,}"


def chain_state(warehouse: Warehouse) -> ChainState:
    """Recompute the audit chain from its first entry."""
    sql = """
        select (select count(*) from audit.chain), v.seq, c.kind, c.event_at
        from audit.verify() as v(seq) left join audit.chain c on c.seq = v.seq
    """
    with warehouse.transaction() as connection:
        row = connection.execute(sql).fetchone()
    return ChainState(*row) if row else ChainState(0)


def unchained_events(warehouse: Warehouse, first: date, last: date) -> list[int]:
    """Order events of sessions first..last that the chain does not hold as they are: their event_seq."""
    return _ids(warehouse, UNCHAINED_EVENTS, first, last)


def unchained_decisions(warehouse: Warehouse, first: date, last: date) -> list[int]:
    """Risk decisions of sessions first..last that the chain does not hold as they are: their decision_id."""
    return _ids(warehouse, UNCHAINED_DECISIONS, first, last)


def fills_outside_the_trail(warehouse: Warehouse, first: date, last: date) -> list[int]:
    """Fills of sessions first..last that the order audit trail does not show as they are: their fill_id."""
    return _ids(warehouse, FILLS_OUTSIDE_THE_TRAIL, first, last)


def changed_files(warehouse: Warehouse, report: str, first: date, last: date) -> list[str]:
    """Files of `report` that are missing, unreadable, or not what was written: their paths."""
    with warehouse.transaction() as connection:
        rows = connection.execute(REPORTS, {"report": report, "first": first, "last": last}).fetchall()
    return [path for path, stored in rows if _hash(warehouse, path) != stored]


def _hash(warehouse: Warehouse, path: str) -> str | None:
    try:
        return sha256((warehouse.settings.artifacts / path).read_bytes())
    except OSError:
        return None


def _ids(warehouse: Warehouse, sql: str, first: date, last: date) -> list[int]:
    params: dict[str, Any] = {"exchange": warehouse.settings.exchange, "first": first, "last": last}
    with warehouse.transaction() as connection:
        return [row[0] for row in connection.execute(sql, params).fetchall()]
