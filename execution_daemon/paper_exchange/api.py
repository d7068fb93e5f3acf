"""Alpaca's trading API v2 and the latest-trade endpoint of its data API, over the exchange."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from bifrost_core.errors import WarehouseError
from execution_daemon.paper_exchange import admin, refusals, requests, stream, wire
from execution_daemon.paper_exchange.auth import Credentials
from execution_daemon.paper_exchange.exchange import Exchange
from execution_daemon.paper_exchange.ledger import StoredOrder
from execution_daemon.paper_exchange.refusals import Refused
from execution_daemon.paper_exchange.stream import Hub

ORDERS_PAGE = 500
ACTIVITIES_PAGE = 100

Text = Annotated[str | None, Query()]


def make_app(exchange: Exchange, hub: Hub, credentials: Credentials) -> FastAPI:
    """The application; it has no documentation pages and no state of its own."""
    app = FastAPI(title="Bifrost paper exchange", openapi_url=None)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(WarehouseError, _unavailable)
    app.add_exception_handler(RequestValidationError, _malformed)

    async def up_to_date() -> None:
        exchange.run_due()

    traders = APIRouter(prefix="/v2", dependencies=[Depends(credentials.require_trader), Depends(up_to_date)])
    _orders(traders, exchange)
    _account(traders, exchange)
    _market(traders, exchange)
    app.include_router(traders)
    app.include_router(admin.router(exchange, credentials))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "market_time": wire.time(exchange.now())}

    @app.websocket("/stream")
    async def trade_updates(socket: WebSocket) -> None:
        await stream.serve(socket, hub, credentials)

    return app


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
        rows = [o for o in exchange.ledger.orders() if wanted == "all" or o.is_open == (wanted == "open")]
        if after_order_id is not None:
            cursor = _order(exchange.ledger.order(after_order_id), after_order_id).seq
            rows = [o for o in rows if o.seq > cursor]
        elif after is not None:
            since = requests.moment(after, "after")
            rows = [o for o in rows if o.submitted_at > since]
        if requests.choice(direction, "direction", "desc", "asc") == "desc":
            rows.reverse()
        return [wire.order(o) for o in rows[: requests.count(limit, "limit", 50, ORDERS_PAGE)]]

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
            "equity": wire.number(exchange.equity()),
            "buying_power": wire.number(exchange.buying_power()),
            "shorting_enabled": True,
            "trading_blocked": False,
            "account_blocked": False,
            "created_at": exchange.ledger.get("opened_at"),
        }

    @router.get("/positions")
    async def positions() -> list[dict[str, Any]]:
        held = exchange.ledger.positions()
        marks = exchange.marks(p.symbol for p in held)
        return [wire.position(p, marks.get(p.symbol)) for p in held]

    @router.get("/account/activities/FILL")
    async def fills(
        after: Text = None, direction: Text = None, page_size: Text = None, page_token: Text = None
    ) -> list[dict[str, Any]]:
        size = requests.count(page_size, "page_size", ACTIVITIES_PAGE, ACTIVITIES_PAGE)
        rows = list(exchange.ledger.executions())
        if requests.choice(direction, "direction", "desc", "asc") == "desc":
            rows.reverse()
        if after is not None:
            since = requests.moment(after, "after")
            rows = [e for e in rows if e.at > since]
        if page_token is not None:
            ids = [wire.activity_id(e) for e in rows]
            if page_token not in ids:
                raise refusals.malformed(f"page_token {page_token} is not the id of an activity")
            rows = rows[ids.index(page_token) + 1 :]
        orders = {order.order_id: order for order in exchange.ledger.orders()}
        return [wire.activity(e, orders[e.order_id]) for e in rows[:size]]


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

    @router.get("/assets/{symbol}")
    async def asset(symbol: str) -> dict[str, Any]:
        listed = exchange.market.instrument(symbol.upper())
        if listed is None:
            raise Refused(404, 40410000, f"asset not found for {symbol}")
        return {
            "symbol": listed.symbol,
            "name": listed.name,
            "class": "us_equity",
            "status": "active",
            "tradable": listed.is_tradable,
            "shortable": listed.is_tradable,
            "fractionable": False,
        }

    @router.get("/stocks/trades/latest")
    async def latest_trades(symbols: str) -> dict[str, Any]:
        now = exchange.now()
        trades = {}
        for symbol in filter(None, (part.strip().upper() for part in symbols.split(","))):
            trade = exchange.market.last_trade(symbol, now)
            if trade is not None:
                trades[symbol] = {"t": wire.time(trade.at), "p": float(trade.price)}
        return {"trades": trades}
