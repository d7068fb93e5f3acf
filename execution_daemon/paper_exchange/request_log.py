"""Every request that came in, one line of JSON each, beside the ledger: also those that were refused, or dropped.

A line is one write to the operating system: it survives the end of the process, not that of the machine. What an order
became is the ledger's, which survives both.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from bifrost_core.errors import BrokerError


class RequestLog:
    """Arrivals and, in lines of their own, answers. One process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise BrokerError(f"the request log {path} cannot be written: {error}", "Make it writable") from error
        self._last = max((line["request"] for line in self._lines()), default=0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def arrived(self, method: str, path: str, client_order_id: str | None) -> int:
        """Note a request; returns its number."""
        self._last += 1
        line = {"request": self._last, "arrived_ns": time.time_ns(), "method": method, "path": path}
        self._write(line if client_order_id is None else line | {"client_order_id": client_order_id})
        return self._last

    def ended(self, request: int, status: int | None, faults: list[str]) -> None:
        """Note what a request was answered; `status` None: nothing."""
        line = {"request": request, "ended_ns": time.time_ns(), "status": status}
        self._write(line | {"faults": faults} if faults else line)

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._file, 0)

    def read(self) -> list[dict[str, Any]]:
        """Every request in the order of arrival, with its end where it has one. Times: nanoseconds of this machine."""
        found: dict[int, dict[str, Any]] = {}
        for line in self._lines():
            found.setdefault(line["request"], {}).update(line)
        return list(found.values())

    def _lines(self) -> list[dict[str, Any]]:
        whole = self.path.read_bytes().rpartition(b"\n")[0]  # a line cut off by the end of the machine is none
        return [json.loads(line) for line in whole.splitlines() if line]

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")
