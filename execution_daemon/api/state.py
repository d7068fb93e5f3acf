"""How the daemon is: for supervisors, people and Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Security
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from execution_daemon.api.access import caller_of
from execution_daemon.api.calls import Here
from execution_daemon.api.gauges import gauges_of
from execution_daemon.api.problems import Kind, ProblemError, documented
from execution_daemon.api.views import State

READ = [Security(caller_of, scopes=["read"])]
GUARDED = documented(Kind.UNAUTHENTICATED, Kind.SCOPE_MISSING, Kind.WAREHOUSE_UNAVAILABLE)
router = APIRouter(tags=["state"])


class Health(BaseModel):
    """The process is alive."""

    status: str


class Ready(BaseModel):
    """Orders are taken."""

    state: str


@router.get("/health")
async def health() -> Health:
    """Whether the process is alive: asks nothing of anybody, and wants no token."""
    return Health(status="ok")


@router.get("/ready", dependencies=READ, responses=GUARDED | documented(Kind.WAREHOUSE_UNAVAILABLE, Kind.NOT_READY))
async def ready(here: Here) -> Ready:
    """200 once the book and the broker's ledger agree and orders are taken; 503 before."""
    if not here.daemon.is_ready:
        raise ProblemError(Kind.NOT_READY, f"its state is {here.daemon.condition}; GET /state says more")
    return Ready(state=here.daemon.condition)


@router.get("/state", dependencies=READ, responses=GUARDED)
async def state(here: Here) -> State:
    """What the daemon is doing, and what stands against it."""
    return State.model_validate(await here.daemon.state())


@router.get("/metrics", dependencies=READ, responses=GUARDED, response_class=PlainTextResponse)
async def metrics(here: Here) -> PlainTextResponse:
    """Counters, histograms and gauges in Prometheus' text format."""
    text = here.daemon.metrics.text(await gauges_of(here))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
