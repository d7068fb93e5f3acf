"""The schema is what the API does: schemathesis asks the running daemon, real orders and all."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from execution_daemon.api.problems import Kind
from tests.execution_daemon.shell.conftest import shop as shop

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, ignored_auth, unsupported_method,
]  # fmt: skip
EXAMPLES = 6
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture
def running(shop):
    """A daemon that trades, with a position, so that reads and commands meet rows."""
    shop.daemon.start()
    shop.daemon.wait_intake(shop.write({"AAPL": "0.25", "MSFT": "0.10"}), "worked")
    return shop


@pytest.mark.timeout(300)
def test_every_operation_keeps_to_the_schema(running, token_of_all):
    """A client made from the schema would break; a body nobody thought of would stop the daemon."""
    schema = schemathesis.openapi.from_url(f"{running.settings.daemon_url}/openapi.json")
    settings = hypothesis.settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    asked = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/health":
            continue
        for mode in MODES:

            @settings
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                case.call_and_validate(headers=token_of_all, checks=CHECKS)

            ask()
            asked.append(operation.label)
    assert len(set(asked)) >= 22
    assert running.daemon.is_ready()
    assert running.daemon.read("select audit.verify()") == [(None,)]


def test_every_answer_has_an_example_and_every_error_one_shape(app):
    """Who reads the schema first learns from its examples."""
    document = app.openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    name = content["schema"].get("$ref", "").rpartition("/")[2]
                    where = f"{method} {path} {status}"
                    if int(status) >= 400:
                        assert (kind, name) == ("application/problem+json", "Problem"), where
                        assert content["examples"], where
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                name = body["schema"]["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name]["examples"], f"{method} {path}"
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_problems_are_documented():
    """A type that nobody explains is a number."""
    from bifrost_core.settings import ROOT

    text = (ROOT / "docs" / "control-plane.md").read_text()
    assert [kind.slug for kind in Kind if f"| `{kind.slug}` | {kind.status} |" not in text] == []
