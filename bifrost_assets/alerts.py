"""What is late, kept where the app can read it, and sent to an HTTP address until that has taken it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bifrost_assets.lateness import Verdict

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

SEND_SECONDS = 5.0  # a sensor's tick must never wait for somebody else's server
TRIES_MAX = 10
FORGOTTEN_AFTER = timedelta(days=1)  # older alerts say nothing about now
UNWORTHY = ("on_time", "run_under_way")

ROWS = """
    select * from jsonb_to_recordset(%(rows)s) as r
        (asset text, due_session date, has_session date, due_at timestamptz, is_late boolean, cause text, why text,
        run_id text)
"""
GONE = "delete from quarantine.asset_freshness where not asset = any(%s)"
KEEP = f"""
    insert into quarantine.asset_freshness
        (asset, due_session, has_session, due_at, is_late, cause, why, run_id, judged_at)
    select *, %(now)s from ({ROWS}) late
    on conflict (asset) do update set
        due_session = excluded.due_session, has_session = excluded.has_session, due_at = excluded.due_at,
        is_late = excluded.is_late, cause = excluded.cause, why = excluded.why, run_id = excluded.run_id,
        judged_at = excluded.judged_at
"""  # noqa: S608 - ROWS is above
RAISE = f"""
    insert into quarantine.freshness_alerts (asset, due_session, cause, why, run_id, raised_at)
    select asset, due_session, cause, why, run_id, %(now)s from ({ROWS}) late where not cause = any(%(unworthy)s)
    on conflict (asset, due_session, cause) do nothing
    returning asset
"""  # noqa: S608
# the pause doubles with every try, from a minute on
PENDING = """
    select alert_id, asset, due_session::text, cause, why, run_id, raised_at::text
    from quarantine.freshness_alerts
    where delivered_at is null and attempts < %s and raised_at > %s
        and (tried_at is null or tried_at + interval '1 minute' * 2 ^ (attempts - 1) <= %s)
    order by alert_id
"""
TRIED = """
    update quarantine.freshness_alerts
    set attempts = attempts + 1, tried_at = %(now)s, last_error = %(error)s,
        delivered_at = case when %(error)s::text is null then %(now)s end
    where alert_id = any(%(ids)s)
"""


def keep(warehouse: Warehouse, verdicts: Sequence[Verdict], now: datetime) -> list[Verdict]:
    """Store what is true of every asset; returns the late ones that nobody was told of before, with this cause."""
    rows = json.dumps([{**asdict(one), "is_late": one.is_late} for one in verdicts], default=str)
    values = {"rows": rows, "now": now, "unworthy": list(UNWORTHY)}
    with warehouse.transaction() as connection:
        connection.execute(GONE, ([one.asset for one in verdicts],))
        connection.execute(KEEP, values)
        raised = {row[0] for row in connection.execute(RAISE, values).fetchall()}
    return [one for one in verdicts if one.asset in raised]


def deliver(warehouse: Warehouse, now: datetime) -> str | None:
    """POST the alerts that wait to `alert_url`, all in one document; returns why that failed, if it did.

    An alert that was not taken (no answer, or none of 2xx) waits a minute, then two, then four, ten tries in all; it
    never raises for what the other side does.
    """
    address = warehouse.settings.alert_url
    if address is None or not address.get_secret_value():
        return None
    with warehouse.transaction() as connection:
        rows = connection.execute(PENDING, (TRIES_MAX, now - FORGOTTEN_AFTER, now)).fetchall()
    if not rows:
        return None
    names = ("asset", "due_session", "cause", "why", "run_id", "raised_at")
    alerts = [dict(zip(names, row[1:], strict=True)) for row in rows]
    error = _post(address.get_secret_value(), {"kind": "late_assets", "alerts": alerts})
    with warehouse.transaction() as connection:
        connection.execute(TRIED, {"now": now, "error": error, "ids": [row[0] for row in rows]})
    return error


def _post(address: str, document: dict[str, Any]) -> str | None:
    """Why the document was not taken, without the address: it may hold a token."""
    import httpx

    try:
        answer = httpx.post(address, json=document, timeout=SEND_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the alert address does not answer: {type(error).__name__}"
    return None if answer.is_success else f"the alert address answered {answer.status_code}"
