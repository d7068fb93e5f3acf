"""A daemon's address where requests arrive and answers get lost."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from bifrost_core.settings import Settings, load_settings

DROP, SILENCE = "drop", "silence"
Way = str | tuple[int, dict[str, Any]]


@dataclass
class LossyDaemon:
    """Takes one request for each way, then nobody listens: it is dropped, kept waiting, or answered (status, body)."""

    listener: socket.socket
    ways: tuple[Way, ...]
    keys: list[str] = field(default_factory=list)
    waiting: list[socket.socket] = field(default_factory=list)

    def serve(self) -> None:
        """Until every way was gone."""
        for number, way in enumerate(self.ways, 1):
            connection, _ = self.listener.accept()
            self.keys.append(_key_of_request(connection))
            if number == len(self.ways):
                self.listener.close()
            if way == SILENCE:
                self.waiting.append(connection)
                continue
            if not isinstance(way, str):
                connection.sendall(_answer(*way))
            connection.close()


def _key_of_request(connection: socket.socket) -> str:
    """Reads one whole request; its Idempotency-Key."""
    received = b""
    while not (found := re.search(rb"^(.*?\r\n)\r\n(.*)$", received, re.DOTALL)):
        received += connection.recv(65536)
    head, body = found.groups()
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    key = re.search(rb"(?i)idempotency-key: (\S+)", head)
    return key[1].decode() if key else ""


def _answer(status: int, body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    kind = "application/json" if status < 400 else "application/problem+json"
    head = f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return head.encode() + text


@contextmanager
def lossy_daemon(home: Any, *ways: Way) -> Iterator[tuple[LossyDaemon, Settings]]:
    """A daemon that answers so, and the settings that lead to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = load_settings(home=home, daemon_port=listener.getsockname()[1])
    daemon = LossyDaemon(listener, ways)
    if not ways:
        listener.close()
    serving = Thread(target=daemon.serve)
    serving.start()
    yield daemon, settings
    serving.join(10)
    for connection in daemon.waiting:
        connection.close()
