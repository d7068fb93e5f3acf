"""Errors as RFC 9457 problem documents: one shape, and a `type` for each thing that can be wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, ValidationException, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bifrost_core.errors import BifrostError, BrokerError
from execution_daemon.errors import LeaseLost, NotReady, StoreFailed

log = logging.getLogger("bifrost.daemon.api")
MEDIA_TYPE = "application/problem+json"


class Kind(Enum):
    """What can be wrong: the last part of the problem's `type`, its status and its title. Published: never renamed."""

    UNAUTHENTICATED = ("unauthenticated", 401, "The request carries no token that is in force")
    SCOPE_MISSING = ("scope-missing", 403, "The token may not do this")
    NOT_FOUND = ("not-found", 404, "There is no such thing")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The address does not take this method")
    COMMAND_RUNNING = ("command-running", 409, "The command with this key is being carried out")
    REFUSED = ("refused", 409, "The rules do not allow it")
    TOO_LARGE = ("too-large", 413, "The request is too large")
    INVALID = ("invalid-request", 422, "The request is not valid")
    KEY_REUSED = ("key-reused", 422, "The key was used for another request")
    INTERNAL = ("internal", 500, "The daemon has a defect")
    NOT_READY = ("not-ready", 503, "The daemon takes no orders yet")
    BROKER_UNAVAILABLE = ("broker-unavailable", 503, "The broker, or what is known of it, is not there yet")
    WAREHOUSE_UNAVAILABLE = ("warehouse-unavailable", 503, "The warehouse cannot be used")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title

    @property
    def uri(self) -> str:
        return f"urn:bifrost:problem:{self.slug}"


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="Names the kind of problem; docs/control-plane.md lists them.")
    title: str = Field(description="The kind of problem in words, always the same.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request, and what to do.")


class ProblemError(Exception):
    """Answered as a problem of `kind`."""

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{kind.title}: {detail}")
        self.kind = kind
        self.detail = detail
        self.headers = headers


def document(kind: Kind, detail: str) -> dict[str, Any]:
    """The body of a problem."""
    sane = detail.encode("utf-8", "replace").decode()
    return {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": sane}


def response(kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a request that has this problem."""
    return JSONResponse(document(kind, detail), kind.status, headers, MEDIA_TYPE)


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of `kinds`, with an example of each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = responses.setdefault(kind.status, {"description": "", "content": {MEDIA_TYPE: {"examples": {}}}})
        entry["description"] = f"{entry['description']}; {kind.title}".removeprefix("; ")
        content = entry["content"][MEDIA_TYPE]
        content["schema"] = {"$ref": "#/components/schemas/Problem"}
        content["examples"][kind.slug] = {"value": document(kind, "…")}
    return responses


def install(app: FastAPI) -> None:
    """Have every error of `app` answered as a problem."""
    app.add_exception_handler(ProblemError, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid_handshake)
    app.add_exception_handler(BifrostError, _bifrost)
    app.add_exception_handler(Exception, _defect)


async def _known(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return response(error.kind, error.detail, error.headers)


async def _http(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself answers: an unknown path or method, or a body that is no JSON."""
    assert isinstance(error, HTTPException)
    kinds = {404: Kind.NOT_FOUND, 405: Kind.METHOD_NOT_ALLOWED, 413: Kind.TOO_LARGE}
    kind = kinds.get(error.status_code, Kind.INVALID)
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return response(kind, detail, error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _of_the_first(error)


async def _invalid_handshake(socket: WebSocket, error: Exception) -> None:
    assert isinstance(error, WebSocketRequestValidationError)
    await socket.send_denial_response(_of_the_first(error))


def _of_the_first(error: ValidationException) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return response(Kind.INVALID, f"{where}: {first['msg']}")


async def _bifrost(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BifrostError)
    return response(kind_of(error), f"{error.problem}. {error.remedy}")


def kind_of(error: BifrostError) -> Kind:
    """What an error of ours means to who asked."""
    if isinstance(error, BrokerError):
        return Kind.NOT_READY if isinstance(error, NotReady) else Kind.BROKER_UNAVAILABLE
    return Kind.WAREHOUSE_UNAVAILABLE if isinstance(error, StoreFailed | LeaseLost) else Kind.INTERNAL


async def _defect(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return response(Kind.INTERNAL, "The daemon's log says more; report it")
