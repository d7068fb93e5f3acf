"""The always-on parts: how each is started, where it answers, and which setting moves it."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bifrost_core.environment import dagster_home, mlflow_artifacts, mlflow_tracking_uri
from bifrost_core.errors import BifrostError
from bifrost_core.settings import ROOT, Settings

LOOPBACK = "127.0.0.1"
WORKSPACE = """\
load_from:
  - grpc_server:
      host: {host}
      port: {port}
      location_name: bifrost
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of `bifrost up`. `setting` names the port's setting; `shows` is what a person finds there.

    It is started once the port `after` answers, or has not for a while.
    """

    name: str
    command: tuple[str, ...]
    setting: str | None = None
    port: int | None = None
    shows: str = ""
    after: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{LOOPBACK}:{self.port}"


def postgresql() -> Part:
    """The embedded server, as a child of its supervisor."""
    return Part("postgresql", _bifrost("db", "run"))


def all_parts(settings: Settings) -> tuple[Part, ...]:
    """Every part but the database, in the order in which they are started."""
    return (
        code_location(settings),
        Part("paper-exchange", _bifrost("paper-exchange"), "paper_exchange_port", settings.paper_exchange_port),
        daemon(settings),
        Part("deadman", _bifrost("deadman"), after=settings.daemon_port),
        dagster_webserver(settings),
        dagster_daemon(settings),
        dashboard(settings),
        mlflow(settings),
        dbt_docs(settings),
    )


def code_location(settings: Settings) -> Part:
    """The one process that has the assets loaded; webserver and daemon ask it."""
    port = settings.code_location_port
    where = ("-h", LOOPBACK, "-p", str(port), "-m", "bifrost_assets.definitions", "--location-name", "bifrost")
    return Part("code-location", _module("dagster", "api", "grpc", *where), "code_location_port", port)


def daemon(settings: Settings) -> Part:
    """The execution daemon; the local exchange comes first, where it is the broker."""
    after = settings.paper_exchange_port if not settings.broker_url else None
    return Part("daemon", _bifrost("daemon"), "daemon_port", settings.daemon_port, after=after)


def dagster_daemon(settings: Settings) -> Part:
    """Dagster's schedules, sensors and run queue."""
    command = _module("dagster._daemon", "run", "-w", str(workspace(settings)))
    return Part("dagster-daemon", command, after=settings.code_location_port)


def dagster_webserver(settings: Settings) -> Part:
    """Dagster's pages."""
    where = ("-h", LOOPBACK, "-p", str(settings.dagster_port), "-w", str(workspace(settings)))
    command = _module("dagster_webserver", *where)
    shows = "assets, lineage, runs, checks"
    return Part("dagster", command, "dagster_port", settings.dagster_port, shows, settings.code_location_port)


def dashboard(settings: Settings) -> Part:
    """The Streamlit app."""
    options = (
        f"--server.port={settings.streamlit_port}",
        f"--server.address={LOOPBACK}",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
    )
    command = _module("streamlit", "run", str(ROOT / "streamlit_app" / "app.py"), *options)
    return Part("dashboard", command, "streamlit_port", settings.streamlit_port, "equity, positions, risk, operations")


def mlflow(settings: Settings) -> Part:
    """MLflow's pages; the address of its store travels in the environment, since it holds a password."""
    where = ("--host", LOOPBACK, "--port", str(settings.mlflow_port), "--workers", "1")
    artifacts = ("--artifacts-destination", str(mlflow_artifacts(settings)))
    environment = {"MLFLOW_BACKEND_STORE_URI": mlflow_tracking_uri(settings)}
    command = _module("mlflow", "server", *where, *artifacts)
    return Part(
        "mlflow", command, "mlflow_port", settings.mlflow_port, "models and training runs", environment=environment
    )


def dbt_docs(settings: Settings) -> Part:
    """The generated dbt documentation."""
    command = _module("bifrost_cli.dbtdocs", str(settings.dbt_docs_port))
    return Part("dbt-docs", command, "dbt_docs_port", settings.dbt_docs_port, "tables, columns, tests")


def workspace(settings: Settings) -> Path:
    """A Dagster workspace file that points at the running code location."""
    path = dagster_home(settings) / "workspace.yaml"
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(WORKSPACE.format(host=LOOPBACK, port=settings.code_location_port))
    draft.replace(path)
    return path


def answers(port: int) -> bool:
    """Whether something listens on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def ensure_port_free(part: Part) -> None:
    """Raise BifrostError, naming part, port and setting, where another program has the part's port."""
    if part.port is None or part.setting is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, part.port))
        except OSError as error:
            raise BifrostError(
                f"port {part.port} of {part.name} cannot be used: {error.strerror}",
                f"Stop what uses it (another `bifrost up`?), or set BIFROST_{part.setting.upper()} to another port",
            ) from error


def _bifrost(*words: str) -> tuple[str, ...]:
    return _module("bifrost_cli.main", *words)


def _module(name: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *words)
