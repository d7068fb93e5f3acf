"""The daemon as a process of its own against the paper exchange's, and target batches as the pipeline writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb

from bifrost_core.calendar import Session
from bifrost_core.settings import Settings
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from tests.execution_daemon.conftest import PaperExchange

WAIT_SECONDS = 30.0
BEFORE_OPEN = timedelta(minutes=30)
# closes of 2013-02-19
CLOSES = {"AAPL": "459.99", "FB": "28.93", "GOOG": "806.85", "IBM": "200.32", "MSFT": "28.045"}


def make_batch(
    settings: Settings,
    session: Session,
    weights: Mapping[str, str],
    prices: Mapping[str, str] | None = None,
    strategies: tuple[str, ...] = ("momentum_12_1",),
) -> TargetBatch:
    """A batch to be traded in `session`."""
    targets = tuple(
        Target(symbol, Decimal(weight), Decimal((prices or CLOSES)[symbol]), {strategies[0]: weight})
        for symbol, weight in weights.items()
    )
    window = (session.open_at - timedelta(hours=1), session.close_at)
    as_of = session.session - timedelta(days=1)
    digest = hash_of(settings.account, strategies, as_of, *window, targets)
    number = uuid.uuid5(uuid.NAMESPACE_OID, digest)
    return TargetBatch(
        number, settings.account, strategies, as_of, *window, targets, digest, len(targets), "run", "code", "data"
    )


def write_batch(warehouse: Warehouse, batch: TargetBatch, **changes: Any) -> uuid.UUID:
    """Write the batch as the pipeline does, in one transaction with its bell; `changes` are to its header row."""
    header = {
        "batch_id": batch.batch_id,
        "account": batch.account,
        "strategies": list(batch.strategies),
        "as_of_session": batch.as_of_session,
        "valid_from": batch.valid_from,
        "valid_until": batch.valid_until,
        "row_count": batch.row_count,
        "content_hash": batch.content_hash,
        "dagster_run_id": batch.dagster_run_id,
        "code_version": batch.code_version,
        "data_version": batch.data_version,
        **changes,
    }
    with warehouse.transaction() as connection, connection.cursor() as cursor:
        names = ", ".join(header)
        places = ", ".join(f"%({name})s" for name in header)
        cursor.execute(f"insert into signals.target_batches ({names}) values ({places})", header)
        cursor.executemany(
            "insert into signals.targets values (%s, %s, %s, %s, %s)",
            [
                (batch.batch_id, t.symbol, t.target_weight, t.reference_price, Jsonb(dict(t.contributions)))
                for t in batch.targets
            ],
        )
        cursor.execute("select pg_notify('bifrost_targets', %s)", (str(batch.batch_id),))
    return batch.batch_id


def cut_connections(settings: Settings) -> None:
    """Have the server drop the daemon's connections, as when it is restarted."""
    with connect(settings, Role.TRADER) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename = current_user and pid <> pg_backend_pid()"
        )


@dataclass
class DaemonProcess:
    """The daemon's process and ways to talk to it."""

    settings: Settings
    log: Path
    extra: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def client(self, token: str | None = None) -> httpx.Client:
        given = self.settings.secrets.daemon_token if token is None else token
        return httpx.Client(
            base_url=self.settings.daemon_url,
            headers={"Authorization": f"Bearer {given}"},
            timeout=WAIT_SECONDS,
            verify=False,  # no TLS here: reading the certificates takes a hundred times as long as a request
        )

    def spawn(self, **extra: str) -> subprocess.Popen[bytes]:
        """The process, without waiting for it."""
        environment = {
            **os.environ,
            "BIFROST_HOME": str(self.settings.home),
            "BIFROST_DATABASE": self.settings.database,
            "BIFROST_PAPER_EXCHANGE_PORT": str(self.settings.paper_exchange_port),
            "BIFROST_DAEMON_PORT": str(self.settings.daemon_port),
            "BIFROST_POLL_SECONDS": "0.2",
            **self.extra,
            **extra,
        }
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "execution_daemon.main"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        return self.process

    def start(self, **extra: str) -> None:
        """Start, and wait until it takes orders."""
        self.spawn(**extra)
        self.wait(self.is_ready, "the daemon to be ready")

    def is_ready(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/ready").is_success
        except httpx.TransportError:
            return False

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Until `done`; fails the test with the daemon's log if it ends first or time runs out."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not done():
            assert self.process is not None
            assert self.process.poll() is None, f"the daemon ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"waited for {what}: {self.log.read_text()}"
            time.sleep(0.02)

    def wait_killed(self) -> None:
        """Until the failpoint has killed it."""
        assert self.process is not None
        assert self.process.wait(WAIT_SECONDS) == -signal.SIGKILL, self.log.read_text()

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        with self.client() as client:
            response = client.post(path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        assert response.is_success, response.text
        return dict(response.json())

    def state(self) -> dict[str, Any]:
        with self.client() as client:
            return dict(client.get("/state").raise_for_status().json())

    def read(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows, as the daemon's role sees them."""
        with connect(self.settings, Role.TRADER) as connection:
            return connection.execute(sql, params).fetchall()

    def intake(self, batch_id: uuid.UUID) -> tuple[str, str | None, str | None] | None:
        rows = self.read("select status, reason_code, detail from trading.batch_intake where batch_id = %s", batch_id)
        return rows[0] if rows else None

    def wait_intake(self, batch_id: uuid.UUID, status: str) -> tuple[str, str | None, str | None]:
        """Until the batch has that status; returns its row."""
        self.wait(lambda: (self.intake(batch_id) or ("",))[0] == status, f"batch {batch_id} to be {status}")
        found = self.intake(batch_id)
        assert found is not None
        return found

    def stop(self) -> None:
        """Ask it to end, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


@dataclass
class Shop:
    """The exchange, the daemon and the pipeline's role, on 20 February 2013."""

    exchange: PaperExchange
    daemon: DaemonProcess
    warehouse: Warehouse
    session: Session
    next_session: Session

    @property
    def settings(self) -> Settings:
        return self.daemon.settings

    def write(self, weights: Mapping[str, str], **changes: Any) -> uuid.UUID:
        """Write a batch for the session."""
        return write_batch(self.warehouse, make_batch(self.settings, self.session, weights), **changes)

    def move_clock(self, at: Any) -> None:
        """Move the exchange's clock and wake the daemon."""
        self.exchange.move_clock(at)
        self.daemon.post("/wake")

    def until_sent(self) -> None:
        """Until every order that leaves by itself has been answered: what comes after a close is for the day after."""
        leaving = "select from trading.orders where ord_status in ('pending_new', 'unknown')"
        self.daemon.wait(lambda: not self.daemon.read(leaving), "orders to be answered")

    def trade_to_close(self) -> None:
        """Through the open to the close, until no order is open."""
        self.move_clock(self.session.open_at)
        self.move_clock(self.session.close_at)
        self.daemon.wait(lambda: self.daemon.state()["open_orders"] == 0, "orders to end")


@pytest.fixture
def shop(
    paper_exchange: PaperExchange,
    market: Callable[[str], Session],
    free_port: Callable[[], int],
    tmp_path: Path,
    warehouse: Warehouse,
) -> Iterator[Shop]:
    """A running exchange half an hour before the open, and a daemon that is not started yet."""
    settings = paper_exchange.settings.model_copy(update={"daemon_port": free_port()})
    daemon = DaemonProcess(settings, tmp_path / "daemon.log")
    session = market("2013-02-20")
    paper_exchange.move_clock(session.open_at - BEFORE_OPEN)
    yield Shop(paper_exchange, daemon, warehouse, session, market("2013-02-21"))
    daemon.stop()
