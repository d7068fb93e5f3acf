"""The daemon's API for commands: one request, and an error that says what to do."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings

TIMEOUT_SECONDS = 60.0
START = "Start it with `bifrost up` or `bifrost daemon`"
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)


class DaemonError(BifrostError):
    """The daemon is not there, did not do it, or did not say whether it did."""


def get(settings: Settings, path: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer of a read; parameters that are None or empty are left out."""
    given = {name: value for name, value in params.items() if value}
    try:
        return _send(settings, httpx.Request("GET", settings.daemon_url + path, params=given))
    except NEVER_SENT as error:
        raise DaemonError(f"no daemon answers at {settings.daemon_url} ({_name(error)})", START) from error
    except httpx.TransportError as error:
        raise DaemonError(
            f"the daemon at {settings.daemon_url} did not answer ({_name(error)})", "Ask again"
        ) from error


def command(settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of a command, under a key of its own; asked twice where the answer was lost, and done once."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    given = {name: value for name, value in body.items() if value}
    request = httpx.Request("POST", settings.daemon_url + path, json=given, headers=headers)
    try:
        return _send(settings, request)
    except NEVER_SENT as error:
        what = f"no daemon answers at {settings.daemon_url}, and nothing was done ({_name(error)})"
        raise DaemonError(what, START) from error
    except httpx.TransportError:
        return _send_again(settings, request)


def _send_again(settings: Settings, request: httpx.Request) -> dict[str, Any]:
    try:
        return _send(settings, request)
    except httpx.TransportError as error:
        raise DaemonError(
            f"the command was sent to {settings.daemon_url} and not answered: it may have been done ({_name(error)})",
            "Look before you ask again: `bifrost orders`, GET /state, or the dashboard",
        ) from error


def _send(settings: Settings, request: httpx.Request) -> dict[str, Any]:
    """The answer. Raises httpx.TransportError where there is none, and DaemonError where it is a refusal."""
    request.headers["Authorization"] = f"Bearer {settings.secrets.daemon_token}"
    with httpx.Client(timeout=TIMEOUT_SECONDS, verify=request.url.scheme == "https") as client:
        answer = client.send(request)
    if answer.is_success:
        return dict(answer.json())
    raise _refusal(answer)


def _name(error: Exception) -> str:
    return type(error).__name__


def _refusal(answer: httpx.Response) -> DaemonError:
    try:
        problem = answer.json()
        title, detail = problem["title"], problem["detail"].rstrip(".")
    except (ValueError, KeyError, TypeError):
        return DaemonError(f"{answer.url} answered {answer.status_code}", "Is another program on the daemon's port?")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return DaemonError(title, "Run `bifrost db migrate` with the BIFROST_HOME that the daemon has")
    return DaemonError(title, detail)
