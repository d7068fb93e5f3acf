"""What a replay's driver and the tests may do besides trading: move the clock, read the whole ledger, start over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, Request

from execution_daemon.paper_exchange import requests, wire
from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.exchange import Exchange


def router(exchange: Exchange, credentials: Credentials) -> APIRouter:
    """The `/admin` routes."""
    routes = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require_admin)])

    @routes.post("/clock")
    async def move_clock(request: Request) -> dict[str, Any]:
        at = requests.moment(requests.json_object(await request.body()).get("at"), "at")
        done = exchange.move_clock(at)
        ran = [{"at": wire.time(d.at), "moment": d.moment, "session": d.session.session.isoformat()} for d in done]
        return {"timestamp": wire.time(exchange.now()), "ran": ran}

    @routes.get("/ledger")
    async def ledger() -> dict[str, Any]:
        return contents(exchange)

    @routes.post("/reset")
    async def reset() -> dict[str, Any]:
        exchange.reset()
        return {"timestamp": wire.time(exchange.now())}

    return routes


def contents(exchange: Exchange) -> dict[str, Any]:
    """Everything the exchange knows about the account: orders, fills, positions, cash and the log."""
    book = exchange.ledger
    orders = {order.order_id: order for order in book.orders()}
    return {
        "timestamp": wire.time(exchange.now()),
        "cash": wire.number(exchange.cash()),
        "orders": [wire.order(order) for order in orders.values()],
        "fills": [wire.activity(execution, orders[execution.order_id]) for execution in book.executions()],
        "positions": [{"symbol": p.symbol, "qty": wire.number(p.qty)} for p in book.positions()],
        "events": [asdict(event) | {"at": wire.time(event.at)} for event in book.events()],
    }
