"""Who asks, and what the token lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.requests import HTTPConnection

from bifrost_core.warehouse.tokens import Scope, digest
from execution_daemon.api.context import Context, context_of
from execution_daemon.api.problems import Kind, ProblemError

CHALLENGE = {"WWW-Authenticate": "Bearer"}
NO_TOKEN = "Send `Authorization: Bearer TOKEN`; `bifrost token create` makes one"  # noqa: S105 - no token
bearer = HTTPBearer(
    scheme_name="token",
    description="A token of `bifrost token create`. The scopes of each operation are named with it.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is: the actor of everything done with it."""

    name: str
    scopes: frozenset[Scope]


async def identify(context: Context, token: str) -> Caller:
    """Whom `token` stands for. Raises ProblemError where it is unknown, expired or revoked."""
    found = await context.warehouse.row("use_token", {"hash": digest(token)})
    if found is None:
        raise ProblemError(Kind.UNAUTHENTICATED, f"The token is unknown, expired or revoked. {NO_TOKEN}", CHALLENGE)
    return Caller(found["name"], frozenset(map(Scope, found["scopes"])))


def ensure_scope(caller: Caller, scope: Scope) -> None:
    """Raise ProblemError where the caller's token lacks `scope`."""
    if scope not in caller.scopes:
        has = ", ".join(sorted(caller.scopes))
        raise ProblemError(Kind.SCOPE_MISSING, f"This needs the scope {scope}; the token of {caller.name} has {has}")


async def caller_of(
    wanted: SecurityScopes,
    context: Annotated[Context, Depends(context_of)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """The dependency of every guarded route: `Security(caller_of, scopes=["read"])`."""
    if credentials is None:
        raise ProblemError(Kind.UNAUTHENTICATED, NO_TOKEN, CHALLENGE)
    caller = await identify(context, credentials.credentials)
    for scope in wanted.scopes:
        ensure_scope(caller, Scope(scope))
    return caller


def token_in(connection: HTTPConnection) -> str:
    """The bearer token of a request or a WebSocket handshake; empty where there is none."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
