"""The daemon: cold start to ready, memory, and durable intents per second against bare durable commits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks.result import Result
from benchmarks.world import fresh_warehouse
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_core.environment import part_environment
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from execution_daemon.shell.statements import SQL

INTENTS = 1_000
BATCH = 500
AT = datetime(2013, 2, 20, 14, 0, tzinfo=UTC)
HOLDER = "benchmark"
LIMIT = Decimal(10**9)


def run() -> list[Result]:
    """Processes first, then the order path alone, all on one server."""
    with fresh_warehouse() as settings:
        warehouse = Warehouse(settings, Role.PIPELINE)
        register_instruments(warehouse, provider_of(settings))
        store_sessions(warehouse)
        started, resident = cold_start(settings)
        bare, intent, batch = order_path(settings)
    return [
        Result("daemon, cold start to ready", started, "s", target=1.0),
        Result("daemon, resident memory", resident / 2**20, "MiB", target=120),
        Result("durable intents", 1 / intent, "1/s", "bare durable commits", 1 / bare, 0.5, "higher"),
        Result("500 intents in one batch", batch * 1000, "ms", target=60),
    ]


def cold_start(settings: Settings) -> tuple[float, int]:
    """Seconds from spawn to a reconciled, ready daemon, and its resident bytes then."""
    environment = {**os.environ, **part_environment(settings)}
    token = {"Authorization": f"Bearer {settings.secrets.daemon_token}"}
    with (settings.home / "exchange.log").open("wb") as log:
        exchange = spawn("paper-exchange", environment, log)
        try:
            wait_for(f"{settings.paper_exchange_url}/health", {}, exchange)
            began = time.monotonic()
            daemon = spawn("daemon", environment, log)
            try:
                wait_for(f"{settings.daemon_url}/ready", token, daemon)
                return time.monotonic() - began, psutil.Process(daemon.pid).memory_info().rss
            finally:
                daemon.terminate()
                daemon.wait()
        finally:
            exchange.terminate()
            exchange.wait()


def spawn(part: str, environment: dict[str, str], log: Any) -> subprocess.Popen[bytes]:
    """A part in its own process."""
    command = [sys.executable, "-m", "bifrost_cli.main", part]
    return subprocess.Popen(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=Path(__file__).parent.parent
    )


def wait_for(url: str, headers: dict[str, str], process: subprocess.Popen[bytes]) -> None:
    """Until `url` answers with success."""
    while process.poll() is None:
        try:
            if httpx.get(url, headers=headers).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"{process.args} ended with {process.returncode}")


def order_path(settings: Settings) -> tuple[float, float, float]:
    """Median seconds of a bare committed insert and of an intent, taken in turn; seconds of one batch of 500."""
    with connect(settings, Role.OWNER) as owner:
        owner.execute("create schema bench")
        owner.execute("create table bench.commits (id bigint primary key, payload text)")
        owner.execute("grant usage on schema bench to bifrost_trader")
        owner.execute("grant insert on bench.commits to bifrost_trader")
    with connect(settings, Role.TRADER) as connection:
        connection.autocommit = True
        lead = lease(connection, settings)
        bare, intents = [], []
        for n in range(INTENTS):
            bare.append(
                timed(lambda n=n: connection.execute("insert into bench.commits values (%s, %s)", (n, "x" * 200)))
            )
            intents.append(timed(lambda n=n: submit(connection, lead, [intent(n)])))
        batch = timed(lambda: submit(connection, lead, [intent(INTENTS + n) for n in range(BATCH)]))
    return median(bare), median(intents), batch


def lease(connection: psycopg.Connection, settings: Settings) -> dict[str, Any]:
    """Lead the account as a daemon does, and open it."""
    who = {"account": settings.account, "holder": HOLDER}
    row = connection.execute(SQL["acquire_lease"], {**who, "seconds": 600.0}).fetchone()
    assert row is not None and row[0] is not None, "another daemon leads"
    lead = {**who, "epoch": row[0]}
    if connection.execute("select 1 from trading.accounts where account = %(account)s", lead).fetchone() is None:
        connection.execute(SQL["open_account"], {**lead, "broker": "bench", "initial_cash": LIMIT, "at": AT})
    return lead


def submit(connection: psycopg.Connection, lead: dict[str, Any], intents: list[dict[str, Any]]) -> None:
    """Commit the intents in one call, as the daemon's store does."""
    given = {**lead, "at": AT, "reserve_limit": LIMIT, "intents": json.dumps(intents)}
    rows = connection.execute(SQL["submit_intents"], given).fetchall()
    assert all(row[1] == "accepted" for row in rows), rows[:1]


def intent(number: int) -> dict[str, Any]:
    """A small accepted order."""
    return {
        "client_order_id": f"bench-{number}",
        "batch_id": str(uuid.UUID(int=1)),
        "strategies": ["momentum"],
        "symbol": "AAPL",
        "side": "buy",
        "order_type": "market",
        "time_in_force": "opg",
        "order_qty": "10",
        "reference_price": "12.5",
        "leg": "open",
        "reserved_value": "125",
        "outcome": "accepted",
        "reason_code": "ACCEPTED",
        "limit_value": None,
        "actual_value": None,
        "detail": {},
    }


def timed(work: Callable[[], Any]) -> float:
    """Seconds that `work` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
