"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bifrost_core.errors import BifrostError, BrokerError

MEDIA_TYPE = "application/problem+json"


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """One problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Have every error of `app` answered as a problem."""

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, "The request cannot be served", str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "The request is not valid", f"{where}: {first['msg']}")

    @app.exception_handler(BrokerError)
    async def _broker(_request: Request, error: BrokerError) -> JSONResponse:
        return problem(503, error.problem, error.remedy)

    @app.exception_handler(BifrostError)
    async def _bifrost(_request: Request, error: BifrostError) -> JSONResponse:
        return problem(500, error.problem, error.remedy)
