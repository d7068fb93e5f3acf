"""GET /events: a WebSocket of everything that is in the audit chain, from any place on."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from psycopg.rows import DictRow

from bifrost_core.warehouse.tokens import Scope
from execution_daemon.api import problems
from execution_daemon.api.access import CHALLENGE, NO_TOKEN, ensure_scope, identify, token_in
from execution_daemon.api.context import Context, context_of
from execution_daemon.api.feed import entry
from execution_daemon.api.problems import Kind, ProblemError

HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 10.0
TOKEN_ENDED, TOO_SLOW, NO_SUCH_PLACE, FULL, AWAY = 4401, 4408, 4409, 4429, 4503
SEQ_MAX = 2**63 - 1
router = APIRouter()


@router.websocket("/events")
async def events(
    socket: WebSocket, after: Annotated[int | None, Query(ge=0, le=SEQ_MAX, description="Begin after this one.")] = None
) -> None:
    """Every entry after `after` (without it: from now on), in order, each once; a heartbeat where nothing happens."""
    context = context_of(socket)
    if (listener := await _admitted(socket, context)) is None:
        return
    await socket.accept()
    if context.feed.is_full:
        await socket.close(FULL, "too many listen")
        return
    with context.feed.listening():
        await _serve(listener, after)


async def _admitted(socket: WebSocket, context: Context) -> Listener | None:
    """The listener, where its token lets it read; otherwise the handshake is answered with the problem."""
    try:
        token = token_in(socket)
        if not token:
            raise ProblemError(Kind.UNAUTHENTICATED, NO_TOKEN, CHALLENGE)
        listener = Listener(socket, context, token)
        await listener.ensure_may_read()
    except ProblemError as problem:
        answer: JSONResponse = problems.response(problem.kind, problem.detail, problem.headers)
        await socket.send_denial_response(answer)
        return None
    return listener


class NoSuchPlaceError(Exception):
    """The chain does not lead on from where the listener is: it never did, or an older one was restored."""


@dataclass(slots=True)
class Listener:
    """Who listens, by which token, until when (of the loop's time) that is known to be in force, and what came last."""

    socket: WebSocket
    context: Context
    token: str
    known_until: float = 0.0
    last_hash: str | None = None

    async def ensure_may_read(self) -> None:
        """Raise ProblemError where the token has ended since: looked at once per heartbeat, however much happens."""
        now = asyncio.get_running_loop().time()
        if now >= self.known_until:
            ensure_scope(await identify(self.context, self.token), Scope.READ)
            self.known_until = now + HEARTBEAT_SECONDS

    async def send_entry(self, row: DictRow) -> None:
        """Raise ProblemError, TimeoutError, or NoSuchPlaceError where it does not follow what was sent before."""
        await self.ensure_may_read()
        if self.last_hash not in (None, row["prev_hash"]):
            raise NoSuchPlaceError(f"another chain goes on at {row['seq']}: begin anew")
        await self.send(entry(row))
        self.last_hash = row["entry_hash"]

    async def send(self, message: dict[str, Any]) -> None:
        """Raise TimeoutError where the listener does not take it."""
        async with asyncio.timeout(SEND_SECONDS):
            await self.socket.send_text(json.dumps(message))


async def _serve(listener: Listener, after: int | None) -> None:
    """Send until it goes, is too slow, may no longer, or the warehouse is away; it comes back with its last number."""
    sending = asyncio.create_task(_send_all(listener, after))
    leaving = asyncio.create_task(_gone(listener.socket))
    done, pending = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if sending not in done:
        return
    code, reason = sending.result()
    if code:
        with suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(1):
                await listener.socket.close(code, reason)


async def _gone(socket: WebSocket) -> None:
    """Until the listener has gone. What it says is not listened to."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, KeyError):
        return


async def _send_all(listener: Listener, after: int | None) -> tuple[int, str]:
    """The code and reason to close with; zero where the listener has gone by itself."""
    feed = listener.context.feed
    try:
        place = await feed.head() if after is None else after
        while True:
            await listener.ensure_may_read()
            rows = await feed.page(place)
            if not rows and (end := await feed.head()) < place:
                raise NoSuchPlaceError(f"the chain ends at {end}: begin anew")
            for row in rows:
                await listener.send_entry(row)
                place = row["seq"]
            if not await feed.wait(place, HEARTBEAT_SECONDS):
                await listener.send({"seq": place, "kind": "heartbeat"})
    except NoSuchPlaceError as problem:
        return NO_SUCH_PLACE, str(problem)
    except TimeoutError:
        return TOO_SLOW, f"nothing was taken for {SEND_SECONDS:.0f} s"
    except ProblemError as problem:
        is_ended = problem.kind in {Kind.UNAUTHENTICATED, Kind.SCOPE_MISSING}
        return TOKEN_ENDED if is_ended else AWAY, problem.kind.slug
    except (WebSocketDisconnect, RuntimeError):
        return 0, ""
