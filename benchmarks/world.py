"""A fresh installation for a benchmark: its own home, server and migrated warehouse, removed afterwards."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse import embedded, migrate


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def fresh_settings(**overrides: object) -> Iterator[Settings]:
    """Settings of an installation that exists for the length of the block, server not started."""
    home = Path(tempfile.mkdtemp(prefix="bifrost-bench-"))
    ports = {name: free_port() for name in ("daemon_port", "paper_exchange_port", "dagster_port", "streamlit_port")}
    try:
        yield load_settings(home=home / "home", artifacts=home / "artifacts", **ports, **overrides)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def fresh_warehouse(**overrides: object) -> Iterator[Settings]:
    """The same, with the server running and the warehouse migrated."""
    with fresh_settings(**overrides) as settings:
        embedded.start(settings.home, settings.secrets)
        try:
            migrate.upgrade(settings)
            yield settings
        finally:
            embedded.stop(settings.home)
