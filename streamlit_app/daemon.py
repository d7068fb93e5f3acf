"""The execution daemon as the app sees it: its state, and the kill switch."""

from __future__ import annotations

from typing import Any

import httpx
import streamlit as st

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings

TIMEOUT_SECONDS = 2.0
ACTOR = "dashboard"


class DaemonError(BifrostError):
    """The daemon cannot be reached, or refused."""


def state(settings: Settings) -> dict[str, Any] | None:
    """GET /state; None where no daemon answers. Raises DaemonError where one answers with anything but its state."""
    try:
        return _state(settings.daemon_url, settings.secrets.daemon_token)
    except httpx.TransportError:
        return None


@st.cache_data(ttl=2, max_entries=4, show_spinner=False)
def _state(address: str, _token: str) -> dict[str, Any]:
    answer = httpx.get(f"{address}/state", headers=_headers(_token), timeout=TIMEOUT_SECONDS)
    return _checked(answer)


def set_kill_switch(settings: Settings, scope: str, key: str, engaged: bool, reason: str) -> None:
    """Engage or release a switch; raises DaemonError where the daemon did not do it."""
    body = {"scope": scope, "key": key, "engaged": engaged, "reason": reason, "actor": ACTOR}
    address = f"{settings.daemon_url}/kill-switch"
    try:
        answer = httpx.post(
            address, json=body, headers=_headers(settings.secrets.daemon_token), timeout=TIMEOUT_SECONDS
        )
    except httpx.TransportError as error:
        raise DaemonError(
            f"the daemon does not answer at {settings.daemon_url}, and the switch was not set",
            "Start it with `bifrost up` or `bifrost daemon`; with no daemon, no order is sent",
        ) from error
    _checked(answer)
    _state.clear()


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        return dict(answer.json())
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise DaemonError(f"{answer.url} refuses our token", "Start daemon and dashboard with the same BIFROST_HOME")
    raise DaemonError(f"{answer.url} answered {answer.status_code}: {answer.text[:200]}", "See the daemon's log")
