"""No request is larger than a command can be."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution_daemon.api import problems
from execution_daemon.api.problems import Kind

BODY_BYTES_MAX = 64 * 1024
DETAIL = f"A body has at most {BODY_BYTES_MAX} bytes"


class BoundedBodies:
    """ASGI middleware: refuses a body that is, or turns out to be, too large; it is not read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > BODY_BYTES_MAX:
            await problems.response(Kind.TOO_LARGE, DETAIL)(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > BODY_BYTES_MAX:
            raise HTTPException(413, DETAIL)  # the framework lets no other kind through
        return message

    return counted
