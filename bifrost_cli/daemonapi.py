"""The daemon's API for commands: one request, and an error that says what to do."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings

TIMEOUT_SECONDS = 60.0


class DaemonError(BifrostError):
    """The daemon is not there, or did not do it."""


def get(settings: Settings, path: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer of a read; parameters that are None or empty are left out."""
    given = {name: value for name, value in params.items() if value}
    return _send(settings, httpx.Request("GET", settings.daemon_url + path, params=given))


def command(settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of a command, under a key of its own; asked twice where the connection broke, and done once."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    given = {name: value for name, value in body.items() if value}
    try:
        return _send(settings, httpx.Request("POST", settings.daemon_url + path, json=given, headers=headers))
    except DaemonError as error:
        if not isinstance(error.__cause__, httpx.RemoteProtocolError | httpx.ReadError):
            raise
        return _send(settings, httpx.Request("POST", settings.daemon_url + path, json=given, headers=headers))


def _send(settings: Settings, request: httpx.Request) -> dict[str, Any]:
    request.headers["Authorization"] = f"Bearer {settings.secrets.daemon_token}"
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            answer = client.send(request)
    except httpx.TransportError as error:
        raise DaemonError(
            f"no daemon answers at {settings.daemon_url}, and nothing was done ({type(error).__name__})",
            "Start it with `bifrost up` or `bifrost daemon`",
        ) from error
    if answer.is_success:
        return dict(answer.json())
    raise _refusal(answer)


def _refusal(answer: httpx.Response) -> DaemonError:
    try:
        problem = answer.json()
        title, detail = problem["title"], problem["detail"].rstrip(".")
    except (ValueError, KeyError, TypeError):
        return DaemonError(f"{answer.url} answered {answer.status_code}", "Is another program on the daemon's port?")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return DaemonError(title, "Run `bifrost db migrate` with the BIFROST_HOME that the daemon has")
    return DaemonError(title, detail)
