"""The control plane: who may ask, and how errors look."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from execution_daemon.api.app import create_app
from execution_daemon.brokers.simulated import EPOCH, SimulatedBroker
from execution_daemon.shell.daemon import Daemon

TOKEN = "a-token"
PROBLEM = "application/problem+json"


@pytest.fixture
async def client(settings):
    """The API of a daemon that is not started."""
    daemon = Daemon(settings, SimulatedBroker({}, Decimal(1000)))
    transport = httpx.ASGITransport(create_app(daemon, TOKEN), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://daemon", headers=headers) as one:
        yield one


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/ready"), ("GET", "/state"), ("GET", "/metrics"), ("POST", "/kill-switch"), ("POST", "/reconcile"),
     ("POST", "/wake"), ("POST", "/unblock")],
)  # fmt: skip
@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", TOKEN, f"bearer {TOKEN}x", "Bearer ünicode"])
async def test_everything_but_health_wants_the_token(client, method, path, given):
    """Anybody on the machine could halt or wake the daemon."""
    answer = await client.request(method, path, headers={"Authorization": given.encode()})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == PROBLEM
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_health_is_open(client):
    """A supervisor has no token."""
    answer = await client.get("/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_before_it_is_ready_it_says_so(client):
    """A driver that sends work too early would wait for nothing."""
    assert (await client.get("/ready")).status_code == 503
    state = (await client.get("/state")).json()
    assert (state["state"], state["epoch"], state["last_reconciliation"]) == ("starting", 0, None)
    answer = await client.post("/reconcile")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    assert (await client.post("/wake")).json() == {"market_time": EPOCH.isoformat()}
    assert "bifrost_ready 0.0" in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": "everything", "key": "*", "engaged": True, "reason": "x"},
        {"scope": "global", "key": "AAPL", "engaged": True, "reason": "x"},
        {"scope": "symbol", "key": "*", "engaged": True, "reason": "x"},
        {"scope": "global", "engaged": True, "reason": ""},
    ],
)
async def test_a_bad_kill_switch_is_refused_with_its_fault(client, body):
    """A switch that stops nothing because of a typo must not answer 200."""
    answer = await client.post("/kill-switch", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["detail"]


async def test_an_unknown_path_is_a_problem_too(client):
    """One error shape."""
    answer = await client.get("/nothing")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
