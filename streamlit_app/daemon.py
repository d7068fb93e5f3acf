"""The execution daemon as the app sees it: its state, and the kill switch."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import streamlit as st

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings

TIMEOUT_SECONDS = 2.0
COMMAND_SECONDS = 10.0
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)


class DaemonError(BifrostError):
    """The daemon cannot be reached, refused, or did not say whether it did it."""


def state(settings: Settings) -> dict[str, Any] | None:
    """GET /state; None where no daemon listens. Raises DaemonError where one says anything else, or nothing."""
    try:
        return _state(settings.daemon_url, settings.secrets.daemon_token)
    except NEVER_SENT:
        return None
    except httpx.TransportError as error:
        raise DaemonError(
            f"the daemon at {settings.daemon_url} was asked, and did not say how it is",
            f"It may trade all the same: reload this page, and read {settings.home / 'logs' / 'daemon.log'}",
        ) from error


@st.cache_data(ttl=2, max_entries=4, show_spinner=False)
def _state(address: str, _token: str) -> dict[str, Any]:
    answer = httpx.get(f"{address}/state", headers=_headers(_token), timeout=TIMEOUT_SECONDS, verify=_is_tls(address))
    return _checked(answer)


def halt(settings: Settings, scope: str, key: str, reason: str) -> dict[str, Any]:
    """Engage a switch; the answer says whether its key is known. Raises DaemonError where the daemon did not do it."""
    return _command(settings, "/halt", {"scope": scope, "key": key, "reason": reason})


def resume(settings: Settings, scope: str, key: str, reason: str) -> dict[str, Any]:
    """Propose that a switch is released; the answer says what it takes. Raises DaemonError where it was refused."""
    return _command(settings, "/resume", {"scope": scope, "key": key, "reason": reason})


def apply(settings: Settings, proposal_id: int, diff_hash: str) -> dict[str, Any]:
    """Carry out a proposal whose cool-off is over. Raises DaemonError where it was refused."""
    return _command(settings, "/apply", {"proposal_id": proposal_id, "diff_hash": diff_hash})


def _command(settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {**_headers(settings.secrets.daemon_token), "Idempotency-Key": str(uuid.uuid4())}
    try:
        answer = httpx.post(
            settings.daemon_url + path,
            json=body,
            headers=headers,
            timeout=COMMAND_SECONDS,
            verify=_is_tls(settings.daemon_url),
        )
    except NEVER_SENT as error:
        raise DaemonError(
            f"the daemon does not answer at {settings.daemon_url}, and the switch was not set",
            "Start it with `bifrost up` or `bifrost daemon`; with no daemon, no order is sent",
        ) from error
    except httpx.TransportError as error:
        _state.clear()
        raise DaemonError(
            f"the command was sent to {settings.daemon_url} and not answered: it may have been done",
            "Reload this page and look at the switches before you ask again",
        ) from error
    _state.clear()
    return _checked(answer)


def _is_tls(address: str) -> bool:
    """Whether certificates are needed: to read them takes longer than an answer of this machine's."""
    return address.startswith("https:")


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        return dict(answer.json())
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise DaemonError(f"{answer.url} refuses our token", "Start daemon and dashboard with the same BIFROST_HOME")
    if answer.headers.get("content-type") == "application/problem+json":
        problem = answer.json()
        raise DaemonError(problem["title"], problem["detail"])
    raise DaemonError(f"{answer.url} answered {answer.status_code}: {answer.text[:200]}", "See the daemon's log")
