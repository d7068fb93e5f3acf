"""A small real market in the warehouse, and the paper exchange as a process of its own over it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from bifrost_core.calendar import Session, sessions_between
from bifrost_core.settings import Settings
from bifrost_core.warehouse import databases
from bifrost_core.warehouse.connect import Database, Role
from bifrost_core.warehouse.warehouse import Warehouse

FIRST, LAST = date(2013, 2, 1), date(2013, 3, 28)
START_SECONDS = 30.0
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
UNKNOWN_PAYLOAD = "0" * 64


def seed_market(owner: Warehouse, mic: str) -> None:
    """Instruments, sessions and the packaged real bars of February 2013 up to the 27th."""
    from bokeh_sampledata import stocks

    with owner.transaction() as connection, connection.cursor() as cursor:
        listed = [(symbol, "equity") for symbol in SYMBOLS] + [("SPX", "index")]
        cursor.executemany(
            "insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
            " values (%s, %s, %s, %s, 'USD')",
            [(symbol, symbol, kind, mic) for symbol, kind in listed],
        )
        cursor.executemany(
            "insert into reference.sessions values (%s, %s, %s, %s, %s)",
            [(mic, s.session, s.open_at, s.close_at, s.is_half_day) for s in sessions_between(mic, FIRST, LAST)],
        )
        for symbol in SYMBOLS:
            data = getattr(stocks, symbol)
            rows = zip(*(data[k] for k in ("date", "open", "high", "low", "close", "volume")), strict=True)
            for day, *numbers in rows:
                if "2013-02-01" <= day <= "2013-02-27":
                    insert_bar(cursor, symbol, date.fromisoformat(day), *numbers)


def insert_bar(cursor: Any, symbol: str, session: date, *numbers: float) -> None:
    """One vintage of one bar: open, high, low, close, volume."""
    cursor.execute(
        "insert into raw.daily_bars (instrument_id, session, ingested_at, available_at, open, high, low, close, volume,"
        " provider, payload_sha256) select instrument_id, %s, clock_timestamp(), clock_timestamp(), %s, %s, %s, %s, %s,"
        " 'test', %s from reference.instruments where symbol = %s",
        (session, *numbers, UNKNOWN_PAYLOAD, symbol),
    )


@pytest.fixture(scope="session")
def calendar() -> Callable[[str], Session]:
    """Gives the session of an ISO date."""
    return {s.session.isoformat(): s for s in sessions_between("XNYS", FIRST, LAST)}.__getitem__


@pytest.fixture
def market(settings: Settings, owner: Warehouse, calendar: Callable[[str], Session]) -> Callable[[str], Session]:
    """A warehouse of the test's own with a real month in it; called with an ISO date, gives that session."""
    seed_market(owner, settings.exchange)
    return calendar


@pytest.fixture(scope="session")
def shared_market(server: Settings, _maintenance: psycopg.Connection) -> Iterator[Settings]:
    """One warehouse with a real month in it, for tests that only read it."""
    name = f"m_{uuid.uuid4().hex[:16]}"
    clone = sql.SQL("create database {} template {} strategy file_copy")
    _maintenance.execute(clone.format(sql.Identifier(name), sql.Identifier(server.database)))
    databases.grant_database(_maintenance, name, Database.WAREHOUSE)
    settings = server.model_copy(update={"database": name})
    seed_market(Warehouse(settings, Role.OWNER), settings.exchange)
    yield settings
    _maintenance.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


@dataclass
class PaperExchange:
    """The exchange's process and ways to talk to it."""

    settings: Settings
    ledger: Path
    log: Path
    extra: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def trader(self) -> httpx.Client:
        secrets = self.settings.secrets
        keys = {"APCA-API-KEY-ID": secrets.broker_key, "APCA-API-SECRET-KEY": secrets.broker_secret}
        return httpx.Client(base_url=self.settings.paper_exchange_url, headers=keys, timeout=10.0, verify=False)

    @property
    def admin(self) -> httpx.Client:
        token = {"Authorization": f"Bearer {self.settings.secrets.exchange_admin_token}"}
        return httpx.Client(base_url=self.settings.paper_exchange_url, headers=token, timeout=10.0, verify=False)

    def spawn(self) -> subprocess.Popen[bytes]:
        """The process, without waiting for it."""
        environment = {
            **os.environ,
            "BIFROST_HOME": str(self.settings.home),
            "BIFROST_DATABASE": self.settings.database,
            "BIFROST_PAPER_EXCHANGE_PORT": str(self.settings.paper_exchange_port),
            **self.extra,
        }
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "execution_daemon.paper_exchange.main", str(self.ledger)]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process = self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if httpx.get(f"{self.settings.paper_exchange_url}/health", verify=False).is_success:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def kill(self) -> None:
        """kill -9: no goodbye."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def move_clock(self, at: datetime) -> dict[str, Any]:
        """Move market time; fails the test if it is refused."""
        with self.admin as client:
            response = client.post("/admin/clock", json={"at": at.isoformat()})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def contents(self) -> dict[str, Any]:
        """The exchange's own ledger."""
        with self.admin as client:
            return dict(client.get("/admin/ledger").raise_for_status().json())

    def reset(self) -> None:
        """An empty ledger and the first market time; started again if it does not run."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        with self.admin as client:
            client.post("/admin/reset").raise_for_status()


@pytest.fixture(scope="module")
def exchange_environment() -> dict[str, str]:
    """Settings of a module's exchange process; modules override it."""
    return {}


@pytest.fixture(scope="module")
def module_exchange(
    shared_market: Settings, exchange_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PaperExchange]:
    """One process for a module's tests."""
    yield from _running(shared_market, tmp_path_factory.mktemp("exchange"), exchange_environment)


@pytest.fixture
def shared_exchange(module_exchange: PaperExchange) -> PaperExchange:
    """The module's paper exchange with an empty ledger, its clock at the start of a replay."""
    module_exchange.reset()
    return module_exchange


@pytest.fixture
def paper_exchange(settings: Settings, market: Callable[[str], Session], tmp_path: Path) -> Iterator[PaperExchange]:
    """A paper exchange of the test's own over `market`, its clock at the start of a replay."""
    yield from _running(settings, tmp_path / "exchange", {})


def _running(settings: Settings, folder: Path, extra: dict[str, str]) -> Iterator[PaperExchange]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(exist_ok=True)
    ours = settings.model_copy(update={"paper_exchange_port": port})
    exchange = PaperExchange(ours, folder / "ledger.sqlite", folder / "exchange.log", extra)
    exchange.start()
    yield exchange
    exchange.stop()
