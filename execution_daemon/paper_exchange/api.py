"""Alpaca's trading API v2 and the snapshots and latest trades and quotes of its data API, over the exchange."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from bifrost_core.errors import BifrostError, WarehouseError
from execution_daemon.paper_exchange import admin, refusals, requests, stream, wire
from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.exchange import Exchange
from execution_daemon.paper_exchange.gate import Gate
from execution_daemon.paper_exchange.ledger import Ledger, Page
from execution_daemon.paper_exchange.records import Activity, StoredExecution, StoredOrder
from execution_daemon.paper_exchange.refusals import Refused
from execution_daemon.paper_exchange.request_log import RequestLog
from execution_daemon.paper_exchange.stream import Hub

DUE_EVERY_SECONDS = 1.0
ORDERS_PAGE = 500
ACTIVITIES_PAGE = 100

logger = logging.getLogger("bifrost.paper_exchange")

Text = Annotated[str | None, Query()]


def make_app(exchange: Exchange, hub: Hub, credentials: Credentials, log: RequestLog) -> ASGIApp:
    """The application: the routes, behind the record of what came in and the faults that an administrator set."""
    app = FastAPI(title="Bifrost paper exchange", openapi_url=None, lifespan=_following(exchange))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(WarehouseError, _unavailable)
    app.add_exception_handler(RequestValidationError, _malformed)

    async def up_to_date() -> None:
        exchange.run_due()

    traders = APIRouter(prefix="/v2", dependencies=[Depends(credentials.require_trader), Depends(up_to_date)])
    _orders(traders, exchange)
    _account(traders, exchange)
    _activities(traders, exchange)
    _market(traders, exchange)
    app.include_router(traders)
    app.include_router(admin.router(exchange, credentials, log))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "market_time": wire.time(exchange.now())}

    @app.websocket("/stream")
    async def trade_updates(socket: WebSocket) -> None:
        await stream.serve(socket, hub, credentials)

    return Gate(app, exchange.faults, log)


def _following(exchange: Exchange) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that runs what the wall clock makes due; a replay has nothing of the kind."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_follow(exchange))
        try:
            yield
        finally:
            task.cancel()

    return lifespan


async def _follow(exchange: Exchange) -> None:
    while True:
        try:
            exchange.run_due()
        except BifrostError as error:
            logger.warning("%s", error)  # the warehouse is away: what is due stays due
        await asyncio.sleep(DUE_EVERY_SECONDS)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return JSONResponse({"code": error.code, "message": error.message}, error.status)


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"code": 50310000, "message": str(error)}, 503)


async def _malformed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return JSONResponse({"code": 40010001, "message": wrong}, 422)


def _orders(router: APIRouter, exchange: Exchange) -> None:
    @router.post("/orders")
    async def submit(request: Request) -> dict[str, Any]:
        return wire.order(exchange.submit(requests.new_order(await request.body())))

    @router.get("/orders")
    async def orders(
        status: Text = None, limit: Text = None, after: Text = None, direction: Text = None, after_order_id: Text = None
    ) -> list[dict[str, Any]]:
        wanted = requests.choice(status, "status", "open", "closed", "all")
        page = Page(
            size=requests.count(limit, "limit", 50, ORDERS_PAGE),
            is_ascending=requests.choice(direction, "direction", "desc", "asc") == "asc",
        )
        if after_order_id is not None:
            cursor = _order(exchange.ledger.order(after_order_id), after_order_id).seq
            page = replace(page, cursor=cursor) if page.is_ascending else replace(page, newer_than=cursor)
        elif after is not None:
            page = replace(page, since=requests.moment(after, "after"))
        return [wire.order(o) for o in exchange.ledger.page_of_orders(page, wanted)]

    @router.get("/orders:by_client_order_id")
    async def by_client_order_id(client_order_id: str) -> dict[str, Any]:
        return wire.order(_order(exchange.ledger.order_by_client_id(client_order_id), client_order_id))

    @router.get("/orders/{order_id}")
    async def by_id(order_id: str) -> dict[str, Any]:
        return wire.order(_order(exchange.ledger.order(order_id), order_id))

    @router.delete("/orders/{order_id}", status_code=204)
    async def cancel(order_id: str) -> Response:
        exchange.cancel(order_id)
        return Response(status_code=204)


def _order(found: StoredOrder | None, name: str) -> StoredOrder:
    if found is None:
        raise refusals.unknown_order(name)
    return found


def _account(router: APIRouter, exchange: Exchange) -> None:
    @router.get("/account")
    async def account() -> dict[str, Any]:
        return {
            "id": exchange.ledger.get("ledger_id"),
            "account_number": exchange.ledger.get("ledger_id"),
            "status": "ACTIVE",
            "currency": "USD",
            "cash": wire.number(exchange.cash()),
            "equity": wire.number(exchange.capacity.equity()),
            "buying_power": wire.number(exchange.capacity.buying_power()),
            "shorting_enabled": True,
            "trading_blocked": False,
            "account_blocked": False,
            "created_at": exchange.ledger.get("opened_at"),
        }

    @router.get("/positions")
    async def positions() -> list[dict[str, Any]]:
        held = exchange.books.positions()
        marks = exchange.marks(p.symbol for p in held)
        return [wire.position(p, marks.get(p.symbol)) for p in held]


def _activities(router: APIRouter, exchange: Exchange) -> None:
    @router.get("/account/activities")
    async def activities(
        activity_types: Text = None,
        category: Text = None,
        after: Text = None,
        direction: Text = None,
        page_size: Text = None,
        page_token: Text = None,
    ) -> list[dict[str, Any]]:
        types = [name for name in (activity_types or "").split(",") if name]
        page = _activity_page(exchange, after, direction, page_size, page_token)
        if category is not None:
            wanted = requests.choice(category, "category", "trade_activity", "non_trade_activity")
            page = replace(page, is_trade=wanted == "trade_activity")
        return _history(exchange, types, page)

    @router.get("/account/activities/{activity_type}")
    async def of_type(
        activity_type: str,
        after: Text = None,
        direction: Text = None,
        page_size: Text = None,
        page_token: Text = None,
    ) -> list[dict[str, Any]]:
        return _history(exchange, [activity_type], _activity_page(exchange, after, direction, page_size, page_token))


def _activity_page(
    exchange: Exchange, after: str | None, direction: str | None, size: str | None, token: str | None
) -> Page:
    cursor = 0 if token is None else exchange.ledger.activity_seq(token)
    if cursor is None:
        raise refusals.malformed(f"page_token {token} is not the id of an activity")
    return Page(
        size=requests.count(size, "page_size", ACTIVITIES_PAGE, ACTIVITIES_PAGE),
        is_ascending=requests.choice(direction, "direction", "desc", "asc") == "asc",
        cursor=cursor,
        since=None if after is None else requests.moment(after, "after"),
    )


def _history(exchange: Exchange, types: list[str], page: Page) -> list[dict[str, Any]]:
    ledger = exchange.ledger
    return [wire.activity(entry, _fill(ledger, entry)) for entry in ledger.page_of_activities(page, types)]


def _fill(ledger: Ledger, entry: Activity) -> tuple[StoredExecution, StoredOrder] | None:
    execution = None if entry.exec_id is None else ledger.execution(entry.exec_id)
    order = None if execution is None else ledger.order(execution.order_id)
    return None if execution is None or order is None else (execution, order)


def _market(router: APIRouter, exchange: Exchange) -> None:
    @router.get("/clock")
    async def clock() -> dict[str, Any]:
        now = exchange.now()
        current, following = exchange.market.session_at(now)
        closing = current or following
        return {
            "timestamp": wire.time(now),
            "is_open": current is not None,
            "next_open": wire.time(following.open_at) if following else None,
            "next_close": wire.time(closing.close_at) if closing else None,
        }

    @router.get("/assets")
    async def assets(symbols: str) -> list[dict[str, Any]]:
        found = (_asset(exchange, symbol) for symbol in _names(symbols))
        return [asset for asset in found if asset is not None]

    @router.get("/assets/{symbol}")
    async def asset(symbol: str) -> dict[str, Any]:
        found = _asset(exchange, symbol.upper())
        if found is None:
            raise Refused(404, 40410000, f"asset not found for {symbol}")
        return found

    @router.get("/stocks/trades/latest")
    async def latest_trades(symbols: str) -> dict[str, Any]:
        now = exchange.now()
        trades = {}
        for symbol in _names(symbols):
            trade = exchange.market.last_trade(symbol, now)
            if trade is not None:
                trades[symbol] = wire.trade(trade)
        return {"trades": trades}

    @router.get("/stocks/snapshots")
    async def snapshots(symbols: str) -> dict[str, Any]:
        now = exchange.now()
        return {symbol: wire.snapshot(exchange.market, symbol, now) for symbol in _names(symbols)}

    @router.get("/stocks/quotes/latest")
    async def latest_quotes(symbols: str) -> dict[str, Any]:
        now = exchange.now()
        found = {symbol: exchange.market.quote(symbol, now) for symbol in _names(symbols)}
        return {"quotes": {symbol: wire.quote(quote) for symbol, quote in found.items() if quote is not None}}


def _names(symbols: str) -> list[str]:
    return [name for name in (part.strip().upper() for part in symbols.split(",")) if name]


def _asset(exchange: Exchange, symbol: str) -> dict[str, Any] | None:
    listed, rules = exchange.market.instrument(symbol), exchange.asset_rules(symbol)
    if listed is None or rules is None:
        return None
    return {
        "symbol": listed.symbol,
        "name": listed.name,
        "class": "us_equity",
        "status": "active",
        "tradable": rules.is_tradable,
        "shortable": rules.is_shortable,
        "easy_to_borrow": rules.is_easy_to_borrow,
        "fractionable": rules.is_fractionable,
        "halted": rules.is_halted,
        "short_sale_restricted": rules.is_short_restricted,
        "available_to_short": wire.price(rules.available_to_short),
    }
