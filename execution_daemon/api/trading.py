"""Orders by hand: they meet the same risk controls as any other."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from execution_daemon.api.bodies import AllDecided, Amend, Because, Canceling, Concluded
from execution_daemon.api.calls import COMMAND, Command, Here, RiskOfficer, Trader, of_the_daemon
from execution_daemon.api.fields import ORDER_ID
from execution_daemon.api.order_bodies import NewOrder, OneOf

router = APIRouter(tags=["orders"])
OrderId = Annotated[str, Path(pattern=ORDER_ID)]


@router.post("/orders", responses=COMMAND, response_model=AllDecided)
async def submit(here: Here, caller: Trader, once: Command, body: NewOrder) -> Response:
    """Decide on an order and its legs, and send what is accepted."""

    async def work(command_id: UUID) -> AllDecided:
        await here.ensure_symbols([body.symbol, *(leg.symbol for leg in body.then)])
        return AllDecided.of(await of_the_daemon(here.commands.submit(body.order(), caller.name, command_id)))

    return await once.run(caller, body, work)


@router.post("/oco", responses=COMMAND, response_model=AllDecided)
async def submit_one_of(here: Here, caller: Trader, once: Command, body: OneOf) -> Response:
    """Decide on orders of which one cancels the others, and send what is accepted."""

    async def work(command_id: UUID) -> AllDecided:
        await here.ensure_symbols(order.symbol for order in body.orders)
        requests = tuple(order.order() for order in body.orders)
        return AllDecided.of(await of_the_daemon(here.commands.submit_one_of(requests, caller.name, command_id)))

    return await once.run(caller, body, work)


@router.post("/orders/{client_order_id}/cancel", responses=COMMAND, response_model=Canceling)
async def cancel(here: Here, caller: Trader, once: Command, client_order_id: OrderId, body: Because) -> Response:
    """Ask the broker to cancel the order."""

    async def work(_id: UUID) -> Canceling:
        await here.ensure_order(client_order_id)
        await of_the_daemon(here.commands.cancel(client_order_id, caller.name, body.reason))
        return Canceling(client_order_ids=[client_order_id])

    return await once.run(caller, body, work)


@router.post("/orders/{client_order_id}/amend", responses=COMMAND, response_model=AllDecided)
async def amend(here: Here, caller: Trader, once: Command, client_order_id: OrderId, body: Amend) -> Response:
    """Cancel the order, and replace it by one with other terms for what it leaves."""

    async def work(command_id: UUID) -> AllDecided:
        await here.ensure_order(client_order_id)
        changed = (body.qty, body.limit_price, body.stop_price)
        asked = here.commands.amend(client_order_id, *changed, caller.name, command_id)
        return AllDecided.of(await of_the_daemon(asked))

    return await once.run(caller, body, work)


@router.post("/orders/{client_order_id}/conclude", responses=COMMAND, response_model=Concluded)
async def conclude(here: Here, caller: RiskOfficer, once: Command, client_order_id: OrderId, body: Because) -> Response:
    """End an unknown order, of which the broker, asked once more, can say nothing: a person has seen what it became."""

    async def work(_id: UUID) -> Concluded:
        await here.ensure_order(client_order_id)
        await of_the_daemon(here.daemon.conclude(client_order_id, body.reason, caller.name))
        return Concluded(client_order_id=client_order_id, actor=caller.name, reason=body.reason)

    return await once.run(caller, body, work)
