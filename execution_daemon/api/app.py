"""The routes of the control plane. Everything but /health wants the daemon's token."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field, model_validator

from execution_daemon.api import problems
from execution_daemon.shell.daemon import Daemon


class KillSwitch(BaseModel):
    """Engage or release: `key` names the account, strategy or symbol; of the global one it is `*`."""

    scope: Literal["global", "account", "strategy", "symbol"]
    key: str = Field(default="*", min_length=1, max_length=100)
    engaged: bool
    reason: str = Field(min_length=1, max_length=500)
    actor: str = Field(default="operator", min_length=1, max_length=100)

    @model_validator(mode="after")
    def _key_fits(self) -> KillSwitch:
        if (self.scope == "global") is not (self.key == "*"):
            raise ValueError("key is '*' for the global switch, and names one thing for any other")
        return self


class Unblock(BaseModel):
    """A person has dealt with what blocked the symbol (`*`: the account)."""

    symbol: str = Field(min_length=1, max_length=20)
    actor: str = Field(default="operator", min_length=1, max_length=100)


def create_app(daemon: Daemon, token: str) -> FastAPI:
    """The control plane of `daemon`, for holders of `token`."""

    def authorised(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(
                401, "Send the daemon's token: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
            )

    app = FastAPI(title="Bifrost execution daemon", version="1", docs_url=None, redoc_url=None)
    problems.install(app)
    guard = [Depends(authorised)]

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.get("/ready", dependencies=guard)
    async def ready() -> JSONResponse:
        """200 once the book and the broker's ledger agree and orders are taken; 503 before."""
        if daemon.is_ready:
            return JSONResponse({"state": daemon.condition})
        return problems.problem(503, "The daemon takes no orders yet", f"state is {daemon.condition}")

    @app.get("/state", dependencies=guard)
    async def state() -> dict[str, Any]:
        """What the daemon is doing, and what stands against it."""
        return await daemon.state()

    @app.post("/kill-switch", dependencies=guard)
    async def kill_switch(switch: KillSwitch) -> dict[str, Any]:
        """Stop new orders in a scope, or let them flow again. Audited."""
        await daemon.kill(switch.scope, switch.key, switch.engaged, switch.reason, switch.actor)
        return switch.model_dump()

    @app.post("/unblock", dependencies=guard)
    async def unblock(what: Unblock) -> dict[str, Any]:
        """Let a blocked symbol trade again. Audited."""
        if not await daemon.unblock(what.symbol, what.actor):
            raise HTTPException(404, f"{what.symbol} is not blocked")
        return what.model_dump()

    @app.post("/reconcile", dependencies=guard)
    async def reconcile() -> dict[str, Any]:
        """Compare the book with the broker's ledger now; answers with the outcome."""
        return (await daemon.reconcile()).as_json()

    @app.post("/wake", dependencies=guard)
    async def wake() -> dict[str, str]:
        """Read the clock again and look for batches now; answers when that is done."""
        return {"market_time": (await daemon.wake()).isoformat()}

    @app.get("/metrics", dependencies=guard)
    async def metrics() -> PlainTextResponse:
        """Counters and gauges in Prometheus' text format."""
        return PlainTextResponse(await daemon.metrics_text(), media_type="text/plain; version=0.0.4")

    return app
