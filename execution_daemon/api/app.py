"""The control plane, put together. `/health` and `/openapi.json` are open; everything else wants a token."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bifrost_core.settings import Settings
from execution_daemon.api import commands, events, problems, reads, state, tokens, trading
from execution_daemon.api.bounds import BoundedBodies
from execution_daemon.api.context import Context
from execution_daemon.api.feed import Feed
from execution_daemon.api.once import Once
from execution_daemon.api.problems import Problem
from execution_daemon.api.warehouse import Warehouse
from execution_daemon.shell.daemon import Daemon

DESCRIPTION = """Orders, fills, positions, limits and decisions of one account, and commands over them.

Every command takes an `Idempotency-Key`: sent again it is answered again and not done again. Errors are RFC 9457
problems. `GET /events` is a WebSocket of the audit chain from any sequence number on; see docs/control-plane.md."""


def create_app(daemon: Daemon, settings: Settings) -> FastAPI:
    """The control plane of `daemon`. It connects to the warehouse when it is first asked something; whoever serves it
    closes `state.context.warehouse` in the end."""
    warehouse = Warehouse(settings)

    app = FastAPI(
        title="Bifrost execution daemon",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = Context(daemon, settings, warehouse, Once(warehouse, daemon.host.name), Feed(warehouse))
    app.add_middleware(BoundedBodies)
    problems.install(app)
    for part in (state, reads, trading, commands, tokens, events):
        app.include_router(part.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The framework's schema, with our one error shape in place of its own."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = Problem.model_json_schema()
        app.openapi_schema = schema
    return app.openapi_schema
