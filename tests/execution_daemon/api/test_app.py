"""The control plane: who may ask, and how errors look."""

from __future__ import annotations

import json

import pytest

from bifrost_core.warehouse import tokens
from bifrost_core.warehouse.tokens import Scope
from execution_daemon.brokers.simulated import EPOCH
from tests.execution_daemon.api.conftest import PROBLEM, key

READS = ("/ready", "/state", "/metrics", "/orders", "/orders/x", "/fills", "/positions", "/limits", "/decisions")
COMMANDS = {
    "/orders": Scope.TRADE, "/orders/x/cancel": Scope.TRADE, "/orders/x/amend": Scope.TRADE, "/oco": Scope.TRADE,
    "/halt": Scope.TRADE, "/cancel-all": Scope.TRADE, "/flatten": Scope.TRADE, "/reconcile": Scope.TRADE,
    "/wake": Scope.TRADE, "/resume": Scope.RISK, "/approve": Scope.RISK, "/apply": Scope.RISK, "/unblock": Scope.RISK,
    "/batches/6f9619ff-8b86-5d01-b42d-00cf4fc964ff/release": Scope.RISK, "/tokens/x/revoke": Scope.ADMIN,
    "/orders/x/conclude": Scope.RISK,
}  # fmt: skip
ROUTES = {("GET", path): Scope.READ for path in READS} | {("POST", path): scope for path, scope in COMMANDS.items()}
ROUTES |= {("GET", "/tokens"): Scope.ADMIN}


def test_every_route_is_here(app):
    """A route that is added is guarded, or nobody notices."""
    routes = {(method, path) for path, item in app.openapi()["paths"].items() for method in item}
    assert len(routes) - 1 == len(ROUTES)  # all but /health


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "bft_x", "Basic abc", "Bearer ünicode"])
async def test_everything_but_health_wants_a_token(client, given):
    """Anybody on the machine could halt or wake the daemon."""
    for method, path in ROUTES:
        answer = await client.request(method, path, headers={"Authorization": given.encode(), **key()}, json={})
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM), path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "urn:bifrost:problem:unauthenticated"


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_token_does_what_its_scopes_say_and_no_more(client, token, scope):
    """The reader of a dashboard could trade."""
    mine = token("anna", scope)
    for (method, path), wanted in ROUTES.items():
        answer = await client.request(method, path, headers={**mine, **key()}, json={"x": 1})
        if wanted is not scope:
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:bifrost:problem:scope-missing"), path
            assert wanted in answer.json()["detail"]
        else:
            assert answer.status_code not in (401, 403, 500), path


async def test_a_token_that_is_revoked_opens_nothing(client, token, settings):
    """Who has left could go on for as long as the daemon runs."""
    mine = token("anna", Scope.READ)
    assert (await client.get("/orders", headers=mine)).status_code == 200
    tokens.revoke(settings, "anna", "root")
    assert (await client.get("/orders", headers=mine)).status_code == 401


async def test_administrators_see_and_revoke_tokens(client, token):
    """A lost token has to be taken away from where one is, by somebody with a name."""
    root, anna = token("root", Scope.ADMIN), token("anna", Scope.READ)
    names = [one["name"] for one in (await client.get("/tokens", headers=root)).json()["items"]]
    assert names == ["anna", "root", "local"]
    answer = await client.post("/tokens/anna/revoke", headers={**root, **key()})
    assert answer.json() == {"name": "anna", "actor": "root"}
    assert (await client.get("/orders", headers=anna)).status_code == 401
    assert (await client.post("/tokens/anna/revoke", headers={**root, **key()})).status_code == 404


async def test_health_and_the_schema_are_open(client):
    """A supervisor has no token; the schema holds nothing that is not in the source."""
    for path in ("/health", "/openapi.json"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 200


async def test_before_it_is_ready_it_says_so(client):
    """A driver that sends work too early would wait for nothing."""
    assert (await client.get("/ready")).json()["type"] == "urn:bifrost:problem:not-ready"
    state = (await client.get("/state")).json()
    assert (state["state"], state["epoch"], state["last_reconciliation"]) == ("starting", 0, None)
    answer = await client.post("/reconcile")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    assert answer.json()["type"] == "urn:bifrost:problem:not-ready"
    assert (await client.post("/wake")).json() == {"market_time": EPOCH.isoformat().replace("+00:00", "Z")}
    assert "bifrost_ready 0.0" in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": "everything", "key": "*", "reason": "x"},
        {"scope": "global", "key": "AAPL", "reason": "x"},
        {"scope": "symbol", "key": "*", "reason": "x"},
        {"scope": "symbol", "key": "aapl", "reason": "x"},
        {"scope": "symbol", "key": "momentum_12_1", "reason": "x"},
        {"scope": "global", "reason": ""},
        {"scope": "global", "reason": "nul\0"},
        {"scope": "global", "reason": "x", "\ud800": 1},
    ],
)
async def test_a_bad_switch_is_refused_with_its_fault(client, body):
    """A switch that stops nothing because of a typo must not answer 200."""
    for path in ("/halt", "/resume"):
        headers = key() | {"Content-Type": "application/json"}
        answer = await client.post(path, content=json.dumps(body), headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
        assert answer.json()["detail"]


async def test_a_command_without_a_key_is_refused(client):
    """It could not be repeated after a lost answer."""
    answer = await client.post("/halt", json={"scope": "global", "reason": "x"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "header.Idempotency-Key: Field required")


async def test_a_body_without_end_is_not_read(client):
    """One request could fill the memory of the process that trades."""
    huge = b'{"reason": "' + b"x" * 70_000 + b'"}'

    async def chunks():
        yield huge[:35_000]
        yield huge[35_000:]

    for content in (huge, chunks()):
        answer = await client.post("/halt", content=content, headers=key())
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:bifrost:problem:too-large")


async def test_unknown_paths_and_methods_are_problems_too(client):
    """One error shape."""
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/state", 405)):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["status"], answer.headers["content-type"]) == (
            status,
            status,
            PROBLEM,
        )
