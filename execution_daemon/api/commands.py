"""Commands that stop trading, and those that let it go on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from psycopg.types.json import Jsonb

from execution_daemon.api.bodies import (
    AllDecided,
    Approval,
    Because,
    CancelAll,
    Canceling,
    Change,
    Flatten,
    Halt,
    Halted,
    Reconciled,
    Released,
    Resume,
    Unblock,
    Unblocked,
    Woken,
)
from execution_daemon.api.calls import COMMAND, GUARDED, Command, Here, RiskOfficer, Trader, of_the_daemon
from execution_daemon.api.context import Context
from execution_daemon.api.problems import Kind, ProblemError

router = APIRouter(tags=["commands"])


@router.post("/halt", responses=COMMAND, response_model=Halted)
async def halt(here: Here, caller: Trader, once: Command, body: Halt) -> Response:
    """Stop new orders in a scope, from the next one on. Needs no lease, no broker and nobody's consent."""

    async def work(_id: UUID) -> Halted:
        await here.daemon.halt(body.scope, body.key, body.reason, caller.name)
        is_known = await here.is_known(body.scope, body.key)
        return Halted(**body.model_dump(), engaged=True, actor=caller.name, is_known=is_known)

    return await once.run(caller, body, work)


@router.post("/resume", responses=COMMAND, response_model=Change)
async def resume(here: Here, caller: RiskOfficer, once: Command, body: Resume) -> Response:
    """Propose that a switch is released: applied by `/approve` (a second person) or `/apply` (after a cool-off)."""

    async def work(_id: UUID) -> Change:
        payload = {"scope": body.scope, "key": body.key, "reason": body.reason}
        return await _change(here, "propose_release", {"payload": Jsonb(payload), "actor": caller.name})

    return await once.run(caller, body, work)


@router.post("/approve", responses=COMMAND, response_model=Change)
async def approve(here: Here, caller: RiskOfficer, once: Command, body: Approval) -> Response:
    """Apply a proposal of somebody else."""

    async def work(_id: UUID) -> Change:
        return await _change(here, "approve_change", {**body.model_dump(), "actor": caller.name})

    return await once.run(caller, body, work)


@router.post("/apply", responses=COMMAND, response_model=Change)
async def apply(here: Here, caller: RiskOfficer, once: Command, body: Approval) -> Response:
    """Apply a proposal whose cool-off is over."""

    async def work(_id: UUID) -> Change:
        return await _change(here, "apply_cooled", {**body.model_dump(), "actor": caller.name})

    return await once.run(caller, body, work)


async def _change(here: Context, statement: str, params: dict[str, Any]) -> Change:
    row = await here.warehouse.row(statement, params)
    outcome = row["outcome"] if row else {}
    if outcome.get("outcome") not in ("applied", "proposed"):
        raise ProblemError(Kind.REFUSED, str(outcome.get("reason", "the warehouse gave no reason")))
    return Change.model_validate(outcome)


@router.post("/cancel-all", responses=COMMAND, response_model=Canceling)
async def cancel_all(here: Here, caller: Trader, once: Command, body: CancelAll) -> Response:
    """Ask the broker to cancel every open order."""

    async def work(_id: UUID) -> Canceling:
        asked = here.commands.cancel_all(caller.name, body.reason, body.symbol)
        return Canceling(client_order_ids=await of_the_daemon(asked))

    return await once.run(caller, body, work)


@router.post("/flatten", responses=COMMAND, response_model=AllDecided)
async def flatten(here: Here, caller: Trader, once: Command, body: Flatten) -> Response:
    """Cancel what is open, and close what is held."""

    async def work(command_id: UUID) -> AllDecided:
        symbols = None if body.symbols is None else tuple(body.symbols)
        asked = here.commands.flatten(caller.name, body.reason, command_id, symbols)
        return AllDecided.of(await of_the_daemon(asked))

    return await once.run(caller, body, work)


@router.post("/batches/{batch_id}/release", responses=COMMAND, response_model=Released)
async def release(here: Here, caller: RiskOfficer, once: Command, batch_id: UUID, body: Because) -> Response:
    """Have the daemon look at a quarantined batch again."""

    async def work(_id: UUID) -> Released:
        await of_the_daemon(here.commands.release_batch(batch_id, caller.name, body.reason))
        return Released(batch_id=str(batch_id), actor=caller.name, reason=body.reason)

    return await once.run(caller, body, work)


@router.post("/unblock", responses=COMMAND, response_model=Unblocked)
async def unblock(here: Here, caller: RiskOfficer, once: Command, body: Unblock) -> Response:
    """Let a blocked symbol trade again."""

    async def work(_id: UUID) -> Unblocked:
        if not await of_the_daemon(here.daemon.unblock(body.symbol, caller.name)):
            raise ProblemError(Kind.NOT_FOUND, f"{body.symbol} is not blocked")
        return Unblocked(symbol=body.symbol, actor=caller.name)

    return await once.run(caller, body, work)


@router.post("/reconcile", responses=GUARDED)
async def reconcile(here: Here, _caller: Trader) -> Reconciled:
    """Compare the book with the broker's ledger now. Takes no key: done twice it is done once more."""
    return Reconciled.model_validate((await here.daemon.reconcile()).as_json())


@router.post("/wake", responses=GUARDED)
async def wake(here: Here, _caller: Trader) -> Woken:
    """Read the clock again and look for batches now; answers when that is done. Takes no key."""
    return Woken(market_time=await here.daemon.wake())
