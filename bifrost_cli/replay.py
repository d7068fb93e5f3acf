"""Trading one past session: move the paper exchange's clock through it while the daemon trades."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from bifrost_cli.children import Child, wait_until
from bifrost_core.calendar import Session
from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings

BEFORE_OPEN = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class SessionTraded:
    """What one replayed session came to."""

    session: Session
    orders: int
    fills: int
    denied: int


class Replay:
    """Drives the exchange and watches the daemon. Every step looks at what is already done, so it resumes anywhere."""

    def __init__(self, settings: Settings, connection: psycopg.Connection, children: tuple[Child, ...]) -> None:
        self.settings = settings
        self.connection = connection
        self.children = children
        self.exchange = httpx.Client(
            base_url=settings.paper_exchange_url,
            headers={
                "Authorization": f"Bearer {settings.secrets.exchange_admin_token}",
                "APCA-API-KEY-ID": settings.secrets.broker_key,
                "APCA-API-SECRET-KEY": settings.secrets.broker_secret,
            },
            timeout=30.0,
        )
        self.daemon = httpx.Client(
            base_url=settings.daemon_url,
            headers={"Authorization": f"Bearer {settings.secrets.daemon_token}"},
            timeout=30.0,
        )

    def wait_for_exchange(self) -> None:
        """Until the paper exchange answers."""
        self._wait(lambda: _answers(self.exchange, "/v2/clock"), "the paper exchange to answer")

    def wait_for_daemon(self) -> None:
        """Until the daemon has reconciled and takes orders."""
        self._wait(lambda: _answers(self.daemon, "/ready"), "the daemon to be ready")

    def clock(self) -> datetime:
        """The exchange's market time."""
        stamp = _ok(self.exchange.get("/v2/clock")).json()["timestamp"]
        return datetime.fromisoformat(stamp).astimezone(UTC)

    def move_clock(self, at: datetime) -> None:
        """Move the exchange's clock forward to `at` (a later clock stays) and wake the daemon."""
        self.open_at(at)
        _ok(self.daemon.post("/wake"))

    def open_at(self, at: datetime) -> None:
        """Give a new exchange its first market time; one that has a later time keeps it."""
        if self.clock() < at:
            _ok(self.exchange.post("/admin/clock", json={"at": at.isoformat()}))

    def trade(self, session: Session) -> SessionTraded:
        """Trade the batch that is valid in `session` through its open and close; reconciled when it returns."""
        batch_id = self._batch(session)
        if self.clock() >= session.close_at and self._intake(batch_id) and not self._open_orders():
            return self._summary(session, batch_id)
        if self.clock() < session.open_at:
            self.move_clock(session.open_at - BEFORE_OPEN)
        self._wait(lambda: self._intake(batch_id) is not None, f"the daemon to work batch {batch_id}")
        self.move_clock(session.open_at)
        self.move_clock(session.close_at)
        self._wait(lambda: not self._open_orders(), f"the orders of {session.session} to end")
        self._reconcile(session)
        return self._summary(session, batch_id)

    def _wait(self, done: Any, what: str) -> None:
        wait_until(done, what, self.children)

    def _batch(self, session: Session) -> str:
        row = self._one(
            "select b.batch_id::text from signals.target_batches b left join trading.batch_intake i using (batch_id)"
            " where b.account = %s and b.valid_from <= %s and b.valid_until >= %s"
            " order by (i.status = 'worked') is true desc, b.created_at desc limit 1",
            (self.settings.account, session.open_at, session.close_at),
        )
        if row is None:
            raise BifrostError(
                f"no target batch is valid in session {session.session}",
                "Run the nightly job for the session before it",
            )
        return str(row[0])

    def _intake(self, batch_id: str) -> str | None:
        row = self._one(
            "select status, coalesce(reason_code || ': ' || detail, '') from trading.batch_intake where batch_id = %s"
            " and status in ('worked', 'quarantined')",
            (batch_id,),
        )
        if row is not None and row[0] == "quarantined":
            raise BifrostError(f"the daemon quarantined batch {batch_id}: {row[1]}", "Run the nightly job again")
        return None if row is None else str(row[0])

    def _open_orders(self) -> int:
        row = self._one(
            "select count(*) from trading.orders where account = %s"
            " and ord_status not in ('filled', 'canceled', 'rejected', 'expired')",
            (self.settings.account,),
        )
        return int(row[0]) if row else 0

    def _reconcile(self, session: Session) -> None:
        result = _ok(self.daemon.post("/reconcile")).json()
        if not result["is_clean"]:
            raise BifrostError(
                f"the book differs from the exchange's after session {session.session}: {result['breaks']}",
                "See the Risk and compliance page; the symbols are blocked until it is cleared",
            )

    def _summary(self, session: Session, batch_id: str) -> SessionTraded:
        row = self._one(
            "select (select count(*) from trading.orders where batch_id = %(b)s),"
            " (select count(*) from trading.fills join trading.orders using (client_order_id) where batch_id = %(b)s),"
            " (select count(*) from trading.risk_decisions where batch_id = %(b)s and outcome = 'denied')",
            {"b": batch_id},
        )
        orders, fills, denied = row or (0, 0, 0)
        return SessionTraded(session, int(orders), int(fills), int(denied))

    def _one(self, sql: str, params: Any) -> tuple[Any, ...] | None:
        row = self.connection.execute(sql, params).fetchone()
        self.connection.rollback()  # each look sees the newest rows
        return row


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def _ok(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise BifrostError(
            f"{response.request.method} {response.request.url} answered {response.status_code}: {response.text[:300]}",
            "Read the part's log under the home folder",
        )
    return response
