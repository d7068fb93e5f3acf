"""The parts as processes of their own: started, frozen and killed from here, and started again when they have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.world import free_port
from bifrost_core.environment import part_environment
from bifrost_core.settings import ROOT, Settings

STOP_SECONDS = 15.0


@dataclass
class Process:
    """One part; `ends` are its exit codes so far, `kills` the SIGKILLs among them, `ended_at` the last (monotonic)."""

    module: str
    settings: Settings
    log: Path
    arguments: tuple[str, ...] = ()
    kills: int = 0
    handle: subprocess.Popen[bytes] | None = None
    ends: list[int] = field(default_factory=list)
    ended_at: float = 0.0

    def spawn(self, **extra: str) -> None:
        """Start it; `extra` are environment variables of this one start."""
        environment = {**_inherited(), **part_environment(self.settings), **extra}
        command = [sys.executable, "-m", self.module, *self.arguments]
        with self.log.open("ab") as log:
            self.handle = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)

    @property
    def pid(self) -> int:
        return self.handle.pid if self.handle else 0

    @property
    def is_running(self) -> bool:
        return self.handle is not None and self.handle.poll() is None

    def ended(self) -> bool:
        """Whether it has ended since it was last asked; counts the end."""
        if self.handle is None or self.handle.poll() is None:
            return False
        code = self.handle.returncode
        self.handle, self.ended_at = None, time.monotonic()
        self.ends.append(code)
        self.kills += code == -signal.SIGKILL
        return True

    def send(self, word: signal.Signals) -> None:
        """A signal, if it runs."""
        if self.is_running:
            os.kill(self.pid, word)

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        self.send(signal.SIGKILL)
        if self.handle is not None:
            self.handle.wait(STOP_SECONDS)
        self.ended()

    def stop(self) -> None:
        """Ask it to end; by force where it does not."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if self.handle is not None:
            try:
                self.handle.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.ended()

    def words(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:]) if self.log.exists() else ""


class Exchange(Process):
    """The paper exchange and its ledger."""

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.spawn()
        deadline = time.monotonic() + STOP_SECONDS * 2
        while not self._answers():
            if not self.is_running or time.monotonic() > deadline:
                raise RuntimeError(f"the exchange does not start: {self.words()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.settings.paper_exchange_url}/health", verify=False).is_success
        except httpx.TransportError:
            return False

    def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """An administrator's request, past every proxy."""
        token = {"Authorization": f"Bearer {self.settings.secrets.exchange_admin_token}"}
        url = f"{self.settings.paper_exchange_url}/admin/{path}"
        return dict(
            httpx.request(method, url, json=body, headers=token, timeout=10.0, verify=False).raise_for_status().json()
        )


class DaemonProcess(Process):
    """The execution daemon; `spawned_at` is when it was last started (monotonic)."""

    spawned_at: float = 0.0

    def spawn(self, **extra: str) -> None:
        """Start it, and remember when."""
        self.spawned_at = time.monotonic()
        super().spawn(**extra)

    def is_ready(self) -> bool:
        """Whether it leads, has reconciled, and takes orders."""
        try:
            return self.request("GET", "/ready", timeout=1.0).is_success
        except httpx.TransportError:
            return False

    def request(self, method: str, path: str, body: Any = None, timeout: float = 5.0, key: str = "") -> httpx.Response:
        """An operator's request to its control plane; with the `key` of one before, the same one again."""
        token = self.settings.secrets.daemon_token
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key or str(uuid.uuid4())}
        address = self.settings.daemon_url + path  # no TLS: reading certificates would cost more than the request
        return httpx.request(method, address, json=body, headers=headers, timeout=timeout, verify=False)


def exchange_at(settings: Settings, folder: Path) -> Exchange:
    """An exchange of the scenario's own, its ledger in `folder`."""
    ours = settings.model_copy(update={"paper_exchange_port": free_port()})
    return Exchange(
        "execution_daemon.paper_exchange.main", ours, folder / "exchange.log", (str(folder / "ledger.sqlite"),)
    )


def daemon_at(settings: Settings, folder: Path, name: str) -> DaemonProcess:
    """A daemon with a port of its own."""
    ours = settings.model_copy(update={"daemon_port": free_port()})
    return DaemonProcess("execution_daemon.main", ours, folder / f"{name}.log")


def _inherited() -> Mapping[str, str]:
    """This process's environment without settings of the person who runs it."""
    return {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")} | {"BIFROST_TOML": os.devnull}
