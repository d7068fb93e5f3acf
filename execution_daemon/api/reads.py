"""What may be read: orders, fills, positions, limits and risk decisions, as the warehouse has them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Security

from execution_daemon.api.access import caller_of
from execution_daemon.api.calls import Here
from execution_daemon.api.fields import ORDER_ID, SYMBOL
from execution_daemon.api.headroom import left, used_of
from execution_daemon.api.pages import Before, Cursor, Limit, cursor_of, place_of
from execution_daemon.api.problems import Kind, ProblemError, documented
from execution_daemon.api.views import (
    Decisions,
    Fill,
    Fills,
    LimitsInForce,
    Order,
    OrderDetail,
    OrderEvent,
    Orders,
    Position,
    Positions,
    RiskDecision,
    Status,
)
from execution_daemon.api.views import Limit as LimitView

GUARDED = documented(Kind.UNAUTHENTICATED, Kind.SCOPE_MISSING, Kind.INVALID, Kind.WAREHOUSE_UNAVAILABLE)
router = APIRouter(dependencies=[Security(caller_of, scopes=["read"])], responses=GUARDED, tags=["reads"])
SymbolQuery = Annotated[str | None, Query(pattern=SYMBOL, description="One symbol alone.")]
BatchQuery = Annotated[UUID | None, Query(description="One batch alone.")]


@router.get("/orders")
async def orders(
    here: Here,
    status: Annotated[list[Status] | None, Query(description="These statuses alone.")] = None,
    symbol: SymbolQuery = None,
    batch_id: BatchQuery = None,
    after: Cursor = None,
    limit: Limit = 100,
) -> Orders:
    """Orders, the newest first."""
    before_at, before_id = place_of(after) if after else (None, None)
    params = {
        "account": here.settings.account, "statuses": status, "symbol": symbol, "batch_id": batch_id,
        "before_at": before_at, "before_id": before_id, "limit": limit,
    }  # fmt: skip
    items = [Order(**row) for row in await here.warehouse.rows("orders", params)]
    last = items[-1] if len(items) == limit else None
    return Orders(items=items, next=cursor_of(last.created_at, last.client_order_id) if last else None)


@router.get("/orders/{client_order_id}", responses=documented(Kind.NOT_FOUND))
async def order(here: Here, client_order_id: Annotated[str, Path(pattern=ORDER_ID)]) -> OrderDetail:
    """One order with its events, decisions and fills."""
    params = {"account": here.settings.account, "client_order_id": client_order_id}
    row = await here.warehouse.row("order", params)
    if row is None:
        raise ProblemError(Kind.NOT_FOUND, f"no order {client_order_id} of account {here.settings.account}")
    return OrderDetail(
        order=Order(**row),
        events=[OrderEvent(**one) for one in await here.warehouse.rows("order_events", params)],
        decisions=[RiskDecision(**one) for one in await here.warehouse.rows("order_decisions", params)],
        fills=[Fill(**one) for one in await here.warehouse.rows("order_fills", params)],
    )


@router.get("/fills")
async def fills(here: Here, symbol: SymbolQuery = None, before: Before = None, limit: Limit = 100) -> Fills:
    """Executions, the newest first."""
    params = {"account": here.settings.account, "symbol": symbol, "before": before, "limit": limit}
    items = [Fill(**row) for row in await here.warehouse.rows("fills", params)]
    return Fills(items=items, next=items[-1].fill_id if len(items) == limit else None)


@router.get("/decisions")
async def decisions(
    here: Here,
    outcome: Annotated[str | None, Query(pattern="^(accepted|denied)$", description="accepted or denied.")] = None,
    symbol: SymbolQuery = None,
    batch_id: BatchQuery = None,
    before: Before = None,
    limit: Limit = 100,
) -> Decisions:
    """What risk decided, the newest first."""
    params: dict[str, Any] = {"account": here.settings.account, "outcome": outcome, "symbol": symbol}
    params |= {"batch_id": batch_id, "before": before, "limit": limit}
    items = [RiskDecision(**row) for row in await here.warehouse.rows("decisions", params)]
    return Decisions(items=items, next=items[-1].decision_id if len(items) == limit else None)


@router.get("/positions")
async def positions(here: Here) -> Positions:
    """Cash and what is held."""
    account = {"account": here.settings.account}
    cash = await here.warehouse.row("cash", account)
    held = [Position(**row) for row in await here.warehouse.rows("positions", account)]
    return Positions(cash=cash and cash["balance"], reserved=cash and cash["reserved"], items=held)


@router.get("/limits")
async def limits(here: Here) -> LimitsInForce:
    """The limits in force, and what is left of those that fill up."""
    used = await used_of(here)
    items = [
        LimitView(**row, used=used.get(row["code"]), headroom=left(row["value"], used.get(row["code"])))
        for row in await here.warehouse.rows("limits", {"account": here.settings.account})
    ]
    return LimitsInForce(items=items)
