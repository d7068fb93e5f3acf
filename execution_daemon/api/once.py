"""Commands happen once: the answer to a key is stored, and given again to whoever repeats the request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from execution_daemon.api import problems
from execution_daemon.api.problems import Kind, ProblemError
from execution_daemon.api.warehouse import Warehouse

REPLAYED = "Idempotency-Replayed"
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was asked for: by whom, under which key, and for what."""

    actor: str
    key: str
    route: str
    request: Any

    @property
    def digest(self) -> bytes:
        """Of the validated request: how it was spelt does not matter."""
        return sha256(json.dumps([self.route, self.request], sort_keys=True).encode()).digest()


Work = Callable[[UUID], Awaitable[BaseModel]]


class Once:
    """Runs commands and keeps their answers in trading.commands. `runner` names this process as the lease does."""

    def __init__(self, warehouse: Warehouse, runner: str) -> None:
        self._warehouse = warehouse
        self._runner = runner
        self._running: set[tuple[str, str]] = set()

    async def run(self, asked: Asked, work: Work) -> Response:
        """Do `work` with the command's id and answer it, or answer what was answered before.

        An answer below 500 is stored. What failed may be asked for again: it runs under the same id.
        """
        mine = (asked.actor, asked.key)
        if mine in self._running:
            raise _running()
        self._running.add(mine)
        try:
            return await self._run(asked, work)
        finally:
            self._running.discard(mine)

    async def _run(self, asked: Asked, work: Work) -> Response:
        begun = await self._begin(asked)
        command_id = begun["command_id"]
        match begun["outcome"]:
            case "done":
                return _answer(begun["status_code"], begun["response"], is_replay=True)
            case "running":
                raise _running()
            case "other":
                detail = f"Idempotency-Key {asked.key!r} was used for another request: take a new key"
                raise ProblemError(Kind.KEY_REUSED, detail)
        try:
            status, text = await _outcome(work, command_id)
        except BaseException:
            with suppress(ProblemError):  # the first error is the one to tell; a warehouse that is away keeps `running`
                await self._end(command_id, None, None)
            raise
        await self._end(command_id, status, text)
        return _answer(status, text)

    async def _begin(self, asked: Asked) -> dict[str, Any]:
        params = {
            "actor": asked.actor,
            "key": asked.key,
            "route": asked.route,
            "request": json.dumps(asked.request),
            "hash": asked.digest,
            "runner": self._runner,
        }
        (row,) = await self._warehouse.rows("begin_command", params)
        return row

    async def _end(self, command_id: UUID, status: int | None, text: str | None) -> None:
        params = {"command_id": command_id, "runner": self._runner, "status_code": status, "response": text}
        await self._warehouse.rows("end_command", params)


async def _outcome(work: Work, command_id: UUID) -> tuple[int, str]:
    """Status and body of what `work` answers, a refusal too. Raises what says nothing of the command itself."""
    try:
        return 200, (await work(command_id)).model_dump_json()
    except ProblemError as problem:
        if problem.kind.status >= SERVER_ERROR:
            raise
        return problem.kind.status, json.dumps(problems.document(problem.kind, problem.detail))


def _running() -> ProblemError:
    return ProblemError(Kind.COMMAND_RUNNING, "Ask again with the same key in a moment", {"Retry-After": "1"})


def _answer(status: int, text: str, is_replay: bool = False) -> Response:
    media_type = "application/json" if status < 400 else problems.MEDIA_TYPE
    return Response(text, status, {REPLAYED: "true"} if is_replay else None, media_type)
