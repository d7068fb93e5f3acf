"""Tokens, for administrators: who has one, and taking it away. They are made with `bifrost token create` alone."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from execution_daemon.api.calls import COMMAND, GUARDED, Administrator, Command, Here
from execution_daemon.api.problems import Kind, ProblemError

TOKENS_MAX = 500
router = APIRouter(tags=["tokens"])


class TokenView(BaseModel):
    """A token as it is kept."""

    name: str
    scopes: list[str]
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    last_used_on: date | None


class Tokens(BaseModel):
    """The newest first."""

    items: list[TokenView]


class Revoked(BaseModel):
    """The token opens nothing any more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "desk.anna", "actor": "root"}]})
    name: str
    actor: str


@router.get("/tokens", responses=GUARDED)
async def tokens(here: Here, _caller: Administrator) -> Tokens:
    """Every token, also those that ended."""
    return Tokens(items=[TokenView(**row) for row in await here.warehouse.rows("tokens", {"limit": TOKENS_MAX})])


@router.post("/tokens/{name}/revoke", responses=COMMAND, response_model=Revoked)
async def revoke(
    here: Here, caller: Administrator, once: Command, name: Annotated[str, Path(pattern=r"^[a-z][a-z0-9._-]{0,62}$")]
) -> Response:
    """End a token now."""

    async def work(_id: UUID) -> Revoked:
        row = await here.warehouse.row("revoke_token", {"name": name, "actor": caller.name})
        if row is None or not row["is_revoked"]:
            raise ProblemError(Kind.NOT_FOUND, f"no token named {name} is in force")
        return Revoked(name=name, actor=caller.name)

    return await once.run(caller, None, work)
