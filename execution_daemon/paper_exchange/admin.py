"""What a replay's driver and the tests may do besides trading. `docs/paper-exchange.md` lists the calls."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, fields, replace
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Depends, Request

from execution_daemon.paper_exchange import actions, refusals, requests, wire
from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.exchange import Exchange, fill_model_of
from execution_daemon.paper_exchange.faults import Fault, FaultKind
from execution_daemon.paper_exchange.records import AssetState, CashMovement, Event, StoredExecution
from execution_daemon.paper_exchange.request_log import RequestLog

ASSET_FIELDS = {
    "halted": "is_halted",
    "shortable": "is_shortable",
    "easy_to_borrow": "is_easy_to_borrow",
    "fractionable": "is_fractionable",
    "short_sale_restricted": "is_short_restricted",
}
FAULT_FIELDS = {
    "where": str,
    "probability": float,
    "count": int,
    "seed": int,
    "seconds": float,
    "pieces": int,
}


def router(exchange: Exchange, credentials: Credentials, log: RequestLog) -> APIRouter:
    """The `/admin` routes."""
    routes = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require_admin)])
    _clock(routes, exchange, log)
    _market(routes, exchange)
    _restatements(routes, exchange)
    _faults(routes, exchange)
    return routes


def _clock(routes: APIRouter, exchange: Exchange, log: RequestLog) -> None:
    @routes.post("/clock")
    async def move_clock(request: Request) -> dict[str, Any]:
        at = requests.moment(requests.json_object(await request.body()).get("at"), "at")
        done = exchange.move_clock(at)
        ran = [{"at": wire.time(d.at), "moment": d.moment, "session": d.session.session.isoformat()} for d in done]
        return {"timestamp": wire.time(exchange.now()), "ran": ran}

    @routes.get("/ledger")
    async def ledger() -> dict[str, Any]:
        return contents(exchange) | {"requests": log.read()}

    @routes.post("/reset")
    async def reset() -> dict[str, Any]:
        exchange.reset()
        log.clear()
        return {"timestamp": wire.time(exchange.now())}


def _market(routes: APIRouter, exchange: Exchange) -> None:
    @routes.post("/assets/{symbol}")
    async def asset(symbol: str, request: Request) -> dict[str, Any]:
        told = requests.json_object(await request.body())
        if exchange.market.instrument(symbol.upper()) is None:
            raise refusals.Refused(404, 40410000, f"asset not found for {symbol}")
        exchange.set_asset(_asset(exchange.books.asset(symbol.upper()), told))
        return {name: wire.price(v) if isinstance(v, Decimal) else v for name, v in _said(exchange, symbol).items()}

    @routes.post("/book")
    async def book(request: Request) -> dict[str, int]:
        return {"quotes": exchange.load_book((await request.body()).decode(errors="replace"))}

    @routes.get("/fill-model")
    async def fill_model() -> dict[str, str]:
        return {name: str(value) for name, value in asdict(exchange.fill_model()).items()}

    @routes.post("/fill-model")
    async def set_fill_model(request: Request) -> dict[str, str]:
        told = requests.json_object(await request.body())
        exchange.set_fill_model(fill_model_of(told, exchange.fill_model()))
        return {name: str(value) for name, value in asdict(exchange.fill_model()).items()}


def _said(exchange: Exchange, symbol: str) -> dict[str, Any]:
    return asdict(exchange.books.asset(symbol.upper()))


def _asset(state: AssetState, told: dict[str, Any]) -> AssetState:
    """What is said of a symbol, with `told` on top; null takes back what was said."""
    for name, value in told.items():
        if name == "available_to_short":
            state = replace(state, available_to_short=requests.optional(told, name))
        elif name not in ASSET_FIELDS or not (isinstance(value, bool) or (value is None and name != "halted")):
            raise refusals.malformed(f"{name}={value!r} cannot be said of an asset")
        else:
            said: dict[str, Any] = {ASSET_FIELDS[name]: value}
            state = replace(state, **said)
    return state


def _restatements(routes: APIRouter, exchange: Exchange) -> None:
    @routes.post("/executions/{exec_id}/bust")
    async def bust(exec_id: str) -> dict[str, Any]:
        return _fill(exchange, exchange.bust(exec_id))

    @routes.post("/executions/{exec_id}/correct")
    async def correct(exec_id: str, request: Request) -> dict[str, Any]:
        told = requests.json_object(await request.body())
        return _fill(exchange, exchange.correct(exec_id, requests.number(told, "qty"), requests.number(told, "price")))

    @routes.post("/entries")
    async def enter(request: Request) -> dict[str, Any]:
        told = requests.json_object(await request.body())
        kind = requests.choice(told.get("activity_type"), "activity_type", *actions.ENTRIES)
        exchange.enter(kind, requests.number(told, "net_amount"), str(told.get("description", "")))
        return {"cash": wire.number(exchange.cash())}


def _faults(routes: APIRouter, exchange: Exchange) -> None:
    @routes.get("/faults")
    async def faults() -> list[dict[str, Any]]:
        return [_told(fault) for fault in exchange.faults]

    @routes.post("/faults")
    async def add(request: Request) -> dict[str, Any]:
        fault = _fault(exchange, requests.json_object(await request.body()))
        exchange.faults.add(fault)
        return _told(fault)

    @routes.delete("/faults")
    async def clear() -> dict[str, int]:
        return {"removed": exchange.faults.remove()}

    @routes.delete("/faults/{fault_id}")
    async def remove(fault_id: int) -> dict[str, int]:
        return {"removed": exchange.faults.remove(fault_id)}


def _fault(exchange: Exchange, told: dict[str, Any]) -> Fault:
    if unknown := [name for name in told if name != "kind" and name not in FAULT_FIELDS]:
        raise refusals.malformed(f"a fault has no {', '.join(unknown)}")
    try:
        kind = FaultKind(told["kind"])
        given = {
            name: FAULT_FIELDS[name](value) for name, value in told.items() if name != "kind" and value is not None
        }
        return Fault(exchange.faults.next_id(), kind, **given)
    except (KeyError, ValueError, TypeError) as error:
        raise refusals.malformed(f"the fault cannot be read: {error}; kinds are {', '.join(FaultKind)}") from error


def _told(fault: Fault) -> dict[str, Any]:
    return {one.name: getattr(fault, one.name) for one in fields(fault) if one.name != "draws"}


def _fill(exchange: Exchange, execution: StoredExecution) -> dict[str, Any]:
    return wire.fill_activity(execution, exchange.books.required(execution.order_id))


def contents(exchange: Exchange) -> dict[str, Any]:
    """Everything the exchange knows about the account, for whoever checks a client against it."""
    book = exchange.ledger
    orders = {order.order_id: order for order in book.orders()}
    events = book.events()
    changes = _changes(events)
    return {
        "timestamp": wire.time(exchange.now()),
        "cash": wire.number(exchange.cash()),
        "orders": [wire.order(order) | {"changes": changes[order.order_id]} for order in orders.values()],
        "fills": [
            wire.fill_activity(execution, orders[execution.order_id]) | {"is_live": execution.is_live}
            for execution in book.executions()
        ],
        "activities": [wire.entry_activity(entry) for entry in book.activities() if entry.exec_id is None],
        "positions": [{"symbol": p.symbol, "qty": wire.number(p.qty)} for p in book.positions()],
        "cash_movements": [_movement(movement) for movement in book.cash_movements()],
        "events": [_event(event) for event in events],
    }


def _changes(events: tuple[Event, ...]) -> dict[str, list[dict[str, Any]]]:
    """Each order's events, with its status after them."""
    changes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.kind.startswith("order_"):
            order = event.payload["data"]["order"]
            told = {"seq": event.seq, "event": event.payload["data"]["event"], "status": order["status"]}
            times = {"at": wire.time(event.at), "recorded_at": wire.time(event.recorded_at)}
            changes[order["id"]].append(told | times)
    return changes


def _movement(movement: CashMovement) -> dict[str, Any]:
    amounts = {"amount": wire.number(movement.amount), "balance": wire.number(movement.balance)}
    return {"seq": movement.seq, "at": wire.time(movement.at), "kind": movement.kind, "ref": movement.ref} | amounts


def _event(event: Event) -> dict[str, Any]:
    return asdict(event) | {"at": wire.time(event.at), "recorded_at": wire.time(event.recorded_at)}
