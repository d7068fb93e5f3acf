"""GET /events: a WebSocket of everything that is in the audit chain, from any place on."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from bifrost_core.warehouse.tokens import Scope
from execution_daemon.api import problems
from execution_daemon.api.access import CHALLENGE, NO_TOKEN, ensure_scope, identify, token_in
from execution_daemon.api.context import Context, context_of
from execution_daemon.api.feed import Feed, entry
from execution_daemon.api.problems import Kind, ProblemError

HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 10.0
TOO_SLOW, FULL, AWAY = 4408, 4429, 4503
SEQ_MAX = 2**63 - 1
router = APIRouter()


@router.websocket("/events")
async def events(
    socket: WebSocket, after: Annotated[int | None, Query(ge=0, le=SEQ_MAX, description="Begin after this one.")] = None
) -> None:
    """Every entry after `after` (without it: from now on), in order, each once; a heartbeat where nothing happens."""
    context = context_of(socket)
    if not await _admitted(socket, context):
        return
    await socket.accept()
    if context.feed.is_full:
        await socket.close(FULL, "too many listen")
        return
    with context.feed.listening():
        await _serve(socket, context.feed, after)


async def _admitted(socket: WebSocket, context: Context) -> bool:
    """Whether the token lets it read; otherwise the handshake is answered with the problem."""
    try:
        token = token_in(socket)
        if not token:
            raise ProblemError(Kind.UNAUTHENTICATED, NO_TOKEN, CHALLENGE)
        ensure_scope(await identify(context, token), Scope.READ)
    except ProblemError as problem:
        answer: JSONResponse = problems.response(problem.kind, problem.detail, problem.headers)
        await socket.send_denial_response(answer)
        return False
    return True


async def _serve(socket: WebSocket, feed: Feed, after: int | None) -> None:
    """Send until the listener goes, is too slow, or the warehouse is away; it comes back with its last number."""
    sending = asyncio.create_task(_send_all(socket, feed, after))
    leaving = asyncio.create_task(_gone(socket))
    done, pending = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if sending not in done:
        return
    code, reason = sending.result()
    if code:
        with suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(1):
                await socket.close(code, reason)


async def _gone(socket: WebSocket) -> None:
    """Until the listener has gone. What it says is not listened to."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, KeyError):
        return


async def _send_all(socket: WebSocket, feed: Feed, after: int | None) -> tuple[int, str]:
    """The code and reason to close with; zero where the listener has gone by itself."""
    try:
        place = await feed.head() if after is None else after
        while True:
            for row in await feed.page(place):
                await _send(socket, entry(row))
                place = row["seq"]
            if not await feed.wait(place, HEARTBEAT_SECONDS):
                await _send(socket, {"seq": place, "kind": "heartbeat"})
    except TimeoutError:
        return TOO_SLOW, f"nothing was taken for {SEND_SECONDS:.0f} s"
    except ProblemError as problem:
        return AWAY, problem.kind.slug
    except (WebSocketDisconnect, RuntimeError):
        return 0, ""


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await socket.send_text(json.dumps(message))
