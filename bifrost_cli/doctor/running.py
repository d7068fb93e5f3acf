"""The always-on parts: each port is free or answered by the part it belongs to, and the part is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from bifrost_cli import parts
from bifrost_cli.doctor.finding import Check, Finding
from bifrost_cli.parts import Part
from bifrost_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Probe:
    """Where a part says that it is well, and what its answer must hold to be that part's."""

    path: str
    is_ours: Callable[[httpx.Response], bool]


PROBES: Mapping[str, Probe] = {
    "paper-exchange": Probe("/v2/clock", lambda answer: "timestamp" in answer.text),
    "daemon": Probe("/health", lambda answer: answer.headers.get("content-type", "").startswith("application/json")),
    "dagster": Probe("/server_info", lambda answer: "dagster_version" in answer.text),
    "dashboard": Probe("/_stcore/health", lambda answer: answer.text.strip() == "ok"),
    "mlflow": Probe("/health", lambda answer: answer.text.strip() == "OK"),
    "dbt-docs": Probe("/", lambda answer: "dbt" in answer.text),
}


def always_on(settings: Settings) -> Iterator[Finding]:
    """Every part answers, or none does."""
    every = [part for part in parts.all_parts(settings) if part.port is not None]
    up = [part for part in every if part.port is not None and parts.answers(part.port)]
    if not up:
        yield Finding("parts", True, "none runs; `bifrost up` starts them")
        return
    for part in every:
        yield _part(settings, part) if part in up else Finding(part.name, False, "does not run", "Run `bifrost up`")


def daemon(settings: Settings) -> Iterator[Finding]:
    """A running daemon is ready to trade."""
    if not parts.answers(settings.daemon_port):
        return
    answer = httpx.get(
        f"{settings.daemon_url}/state", headers={"Authorization": f"Bearer {settings.secrets.daemon_token}"}, timeout=5
    )
    if answer.is_error:
        yield Finding(
            "daemon state", False, f"answered {answer.status_code}", "Restart it: it has another home's token"
        )
        return
    state = answer.json()
    detail = f"{state['state']}, market time {state['market_time']}, {state['unknown_orders']} unknown orders"
    ok = state["state"] == "ready" and not state["unknown_orders"]
    yield Finding("daemon state", ok, detail, f"Read {settings.home / 'logs' / 'daemon.log'}")


def _part(settings: Settings, part: Part) -> Finding:
    remedy = f"Stop what uses port {part.port}, or set BIFROST_{(part.setting or '').upper()}"
    probe = PROBES.get(part.name)
    if probe is None:
        return Finding(part.name, True, f"port {part.port} answers")
    keys = {"APCA-API-KEY-ID": settings.secrets.broker_key, "APCA-API-SECRET-KEY": settings.secrets.broker_secret}
    try:
        answer = httpx.get(part.address + probe.path, headers=keys if part.name == "paper-exchange" else {}, timeout=5)
    except httpx.HTTPError as error:
        return Finding(part.name, False, f"port {part.port} is used by something else: {error}", remedy)
    ok = answer.is_success and probe.is_ours(answer)
    detail = part.address if ok else f"{part.address}{probe.path} answered {answer.status_code}"
    return Finding(part.name, ok, detail, remedy)


CHECKS: tuple[Check, ...] = (always_on, daemon)
