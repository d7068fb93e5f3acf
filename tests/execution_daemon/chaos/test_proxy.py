"""The proxy does what each of its faults says, and nothing where it has none."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from random import Random

import httpx
import pytest

from benchmarks.chaos.proxy import FAIR, Fault, Proxy, Weather

ORDER = {"client_order_id": "an-order"}
ARRIVES = {Fault.LATENCY, Fault.LATE_REQUEST, Fault.CUT_AFTER, Fault.DROP_ANSWER, Fault.RESET, Fault.TRICKLE}
ARRIVES |= {Fault.HALF_OPEN}
ANSWERED = {Fault.LATENCY: 200, Fault.TRICKLE: 200, Fault.BAD_GATEWAY: 502}


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers every order with 200, and counts them."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Upstream.taken += 1
        self.send_response(200)
        self.send_header("Content-Length", "64")
        self.end_headers()
        self.wfile.write(b"x" * 64)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    between = Proxy(server.server_address[1], Random(1))
    between.start()
    Upstream.taken = 0
    yield between
    between.stop()
    server.shutdown()
    server.server_close()


def post(proxy: Proxy) -> int | None:
    """Status of an order, or None where no whole answer came."""
    try:
        return httpx.post(f"http://127.0.0.1:{proxy.port}/v2/orders", json=ORDER, timeout=0.4).status_code
    except httpx.TransportError:
        return None


def test_without_a_fault_everything_passes_and_is_written_down(proxy):
    """The account of what was sent is evidence: it must be complete."""
    before = time.time()
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}") as client:
        assert [client.post("/v2/orders", json=ORDER).status_code for _ in range(3)] == [200] * 3
    assert Upstream.taken == 3
    assert [sent.client_order_id for sent in proxy.sent] == ["an-order"] * 3
    assert all(before <= sent.at <= time.time() for sent in proxy.sent)
    assert proxy.harmed == 0


@pytest.mark.parametrize("fault", list(Fault))
def test_each_fault_loses_what_it_says(proxy, fault):
    """A fault that does less than its name would make a scenario prove less than it says."""
    proxy.weather = Weather((fault,), probability=1.0, gone_seconds=0.6, delay_seconds=0.05)
    assert post(proxy) == ANSWERED.get(fault)
    if fault is Fault.LATE_REQUEST:
        assert Upstream.taken == 0
        time.sleep(0.5)
    assert Upstream.taken == (fault in ARRIVES)
    assert proxy.harmed == 1
    proxy.weather = FAIR
    assert post(proxy) == 200


def test_a_fault_of_orders_spares_everything_else(proxy):
    """`only` is how a scenario keeps the faults where it wants them."""
    proxy.weather = Weather((Fault.CUT_BEFORE,), probability=1.0, only=b"GET")
    assert post(proxy) == 200
