"""A loopback HTTP server that stands in for a vendor: it answers well, badly, late or not at all, as a test asks."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

Query = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; one that `hangs` never begins, one that `resets` breaks the connection."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    resets: bool = False


@dataclass(frozen=True)
class Asked:
    """One request that was made of the server, and when (monotonic seconds)."""

    path: str
    query: Query
    headers: Mapping[str, str]
    at: float


class VendorServer:
    """Whoever inherits answers in `answer`; `asked` are all requests so far, in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self.over = threading.Event()

    def answer(self, path: str, query: Query) -> Answer:
        raise NotImplementedError


def _handler(server: VendorServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            server.asked.append(
                Asked(parts.path, query, {k.lower(): v for k, v in self.headers.items()}, time.monotonic())
            )
            answer = server.answer(parts.path, query)
            if answer.hangs:
                server.over.wait()
            elif answer.resets:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None: ...

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):  # the client has gone, or we have closed
                self.close_connection = True

    return Handler


@contextmanager
def serving(server: VendorServer) -> Iterator[None]:
    """The server on a free loopback port for the length of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as httpd:
        httpd.daemon_threads = True
        server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.over.set()
            httpd.shutdown()
            thread.join()
