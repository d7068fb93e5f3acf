"""What every command's route takes: who calls, the key, and the one way to run it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Response, Security
from pydantic import BaseModel
from starlette.requests import Request

from bifrost_core.errors import BrokerError
from execution_daemon.api.access import Caller, caller_of
from execution_daemon.api.context import Context, context_of
from execution_daemon.api.fields import KEY
from execution_daemon.api.once import Asked, Work
from execution_daemon.api.problems import Kind, ProblemError, documented
from execution_daemon.brokers.port import BrokerUnclear

Here = Annotated[Context, Depends(context_of)]
Trader = Annotated[Caller, Security(caller_of, scopes=["trade"])]
RiskOfficer = Annotated[Caller, Security(caller_of, scopes=["risk"])]
Administrator = Annotated[Caller, Security(caller_of, scopes=["admin"])]
GUARDED = documented(
    Kind.UNAUTHENTICATED, Kind.SCOPE_MISSING, Kind.TOO_LARGE, Kind.NOT_READY, Kind.BROKER_UNAVAILABLE,
    Kind.WAREHOUSE_UNAVAILABLE,
)  # fmt: skip
COMMAND = documented(
    Kind.UNAUTHENTICATED, Kind.SCOPE_MISSING, Kind.NOT_FOUND, Kind.COMMAND_RUNNING, Kind.REFUSED, Kind.TOO_LARGE,
    Kind.INVALID, Kind.KEY_REUSED, Kind.NOT_READY, Kind.BROKER_UNAVAILABLE, Kind.WAREHOUSE_UNAVAILABLE,
)  # fmt: skip


class Once:
    """Runs a command under the request's Idempotency-Key."""

    def __init__(
        self,
        request: Request,
        here: Here,
        key: Annotated[
            str,
            Header(alias="Idempotency-Key", pattern=KEY, description="Another for each command; a UUID will do."),
        ],
    ) -> None:
        self._route = f"{request.method} {request.url.path}"
        self._here = here
        self._key = key

    async def run(self, caller: Caller, body: BaseModel | None, work: Work) -> Response:
        """The answer of `work`, or the one that was given to this key before."""
        request = None if body is None else body.model_dump(mode="json")
        return await self._here.once.run(Asked(caller.name, self._key, self._route, request), work)


Command = Annotated[Once, Depends()]
T = TypeVar("T")


async def of_the_daemon(work: Awaitable[T]) -> T:
    """What the daemon answers. What it says makes no sense is refused; a broker that is silent may answer later."""
    try:
        return await work
    except BrokerUnclear:
        raise
    except BrokerError as error:
        raise ProblemError(Kind.REFUSED, f"{error.problem}. {error.remedy}") from error
