"""The compliance tables: the daemon's events and decisions by exchange session, replaced per window."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Row = dict[str, Any]

# an event belongs to the first session whose close is not more than four hours before it: see trading.session_at
SPANS = """
    with spans as (
        select session, close_at + interval '4 hours' as until,
            coalesce(lag(close_at) over (order by session) + interval '4 hours', '-infinity') as since
        from reference.sessions where exchange_mic = %(exchange)s
    )
"""
TRAIL = f"""{SPANS}
    insert into compliance.order_audit_trail (session, event_seq, event_at, client_order_id, broker_order_id, account,
        symbol, side, order_type, time_in_force, order_qty, event_kind, ord_status, last_qty, last_px, batch_id,
        dagster_run_id)
    select s.session, e.event_seq, e.event_at, e.client_order_id, coalesce(e.broker_order_id, o.broker_order_id),
        e.account, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty, e.kind, e.ord_status, e.last_qty,
        e.last_px, o.batch_id, %(run_id)s
    from trading.order_events e
    join trading.orders o using (client_order_id)
    join spans s on e.event_at > s.since and e.event_at <= s.until
    where s.session between %(first)s and %(last)s
"""  # noqa: S608
DECISIONS = f"""{SPANS}
    insert into compliance.limit_decisions (session, decision_id, decided_at, account, symbol, client_order_id, outcome,
        reason_code, limit_value, actual_value, dagster_run_id)
    select s.session, d.decision_id, d.decided_at, d.account, d.symbol, d.client_order_id, d.outcome, d.reason_code,
        d.limit_value, d.actual_value, %(run_id)s
    from trading.risk_decisions d
    join spans s on d.decided_at > s.since and d.decided_at <= s.until
    where s.session between %(first)s and %(last)s
"""  # noqa: S608
INSERTS = {"order_audit_trail": (TRAIL, "event_seq"), "limit_decisions": (DECISIONS, "decision_id")}


def replace(
    connection: psycopg.Connection, table: str, exchange: str, first: date, last: date, run_id: str
) -> list[Row]:
    """Replace the rows of compliance.`table` for sessions first..last by what the daemon recorded.

    Returns them by session, in the sequence in which they were recorded.
    """
    insert, sequence = INSERTS[table]
    params = {"exchange": exchange, "first": first, "last": last, "run_id": run_id}
    names = {"table": sql.Identifier("compliance", table), "sequence": sql.Identifier(sequence)}
    window = sql.SQL("from {table} where session between %(first)s and %(last)s").format(**names)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.SQL("delete ") + window, params)
        cursor.execute(insert, params)
        in_order = sql.SQL(" order by session, {sequence}").format(**names)
        return cursor.execute(sql.SQL("select * ") + window + in_order, params).fetchall()
