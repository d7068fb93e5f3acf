"""The campaign's PostgreSQL server, with a migrated database and a market in it, cloned for every scenario."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.chaos.market import Market, build
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse import databases, embedded, migrate
from bifrost_core.warehouse.connect import Database, Role
from bifrost_core.warehouse.warehouse import Warehouse

TEMPLATE = "chaos"
LOCAL = "track_commit_timestamp = on\n"  # the wall clock of each commit: what was durable before what was sent


@dataclass
class Server:
    """A server of its own under `settings.home`, and the market that each of its clones begins with."""

    settings: Settings
    market: Market

    def start(self) -> None:
        """Start it, or find it running."""
        embedded.start(self.settings.home, self.settings.secrets)

    def kill(self) -> None:
        """kill -9 the postmaster; its backends notice and end."""
        pid = embedded.status(self.settings.home).pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def superuser(self, database: str) -> psycopg.Connection:
        """An autocommit connection that may do anything."""
        return psycopg.connect(
            host=str(embedded.socket_folder(self.settings.home)),
            user="postgres",
            password=self.settings.secrets.superuser_password,
            dbname=database,
            autocommit=True,
        )

    @contextmanager
    def clone(self) -> Iterator[Settings]:
        """Settings of a copy of the template, dropped afterwards."""
        name = f"c_{uuid.uuid4().hex[:16]}"
        with migrate.maintenance(self.settings) as owner:
            copy = sql.SQL("create database {} template {} strategy file_copy")
            owner.execute(copy.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
            databases.grant_database(owner, name, Database.WAREHOUSE)
        try:
            yield self.settings.model_copy(update={"database": name})
        finally:
            self.start()
            with migrate.maintenance(self.settings) as owner:
                owner.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def running_server(generated: int, home: Path | None = None, local: str = LOCAL) -> Iterator[Server]:
    """A migrated server with a market of real and `generated` symbols, removed afterwards."""
    folder = home or Path(tempfile.mkdtemp(prefix="chaos-"))
    settings = load_settings(home=folder / "home", artifacts=folder / "artifacts", database=TEMPLATE)
    try:
        embedded.start(settings.home, settings.secrets)
        configured = embedded.data_folder(settings.home) / "conf.d" / "local.conf"
        configured.write_text(local)
        configured.chmod(0o644)
        embedded.stop(settings.home)
        embedded.start(settings.home, settings.secrets)
        migrate.upgrade(settings)
        yield Server(settings, build(Warehouse(settings, Role.OWNER), settings.exchange, generated))
    finally:
        embedded.stop(settings.home)
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)
