"""What the reads answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from execution_daemon.api.fields import Number

AT = "2013-02-20T14:30:00Z"
ID = "b3f1c09a8d5e4f7c"
BATCH = "6f9619ff-8b86-5d01-b42d-00cf4fc964ff"
Status = Literal[
    "held", "pending_new", "new", "partially_filled", "filled", "pending_cancel", "canceled", "expired", "rejected",
    "done_for_day", "suspended", "unknown",
]  # fmt: skip


class View(BaseModel):
    """Made from a row; unknown columns are a defect."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Order(View):
    """An order as it stands. Quantities in shares, prices in USD."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"client_order_id": ID, "batch_id": BATCH, "symbol": "AAPL", "side": "buy", "order_type": "limit",
                 "time_in_force": "day", "limit_price": "460.1", "stop_price": None, "trail_offset": None,
                 "limit_offset": None, "post_only": False, "reduce_only": False, "order_qty": "10",
                 "reference_price": "459.99", "ord_status": "new", "cum_qty": "0", "avg_px": None,
                 "broker_order_id": "1", "reserved_value": "4599.9", "leg": "open", "group_id": None,
                 "after_id": None, "release": None, "is_oco": False, "parent_id": None, "strategies": ["manual"],
                 "valid_until": AT, "created_at": AT, "updated_at": AT}
            ]
        }
    )  # fmt: skip
    client_order_id: str
    batch_id: UUID
    symbol: str
    side: Literal["buy", "sell"]
    order_type: str
    time_in_force: str
    limit_price: Number | None
    stop_price: Number | None
    trail_offset: Number | None
    limit_offset: Number | None
    post_only: bool
    reduce_only: bool
    order_qty: Number
    reference_price: Number
    ord_status: str = Field(description="FIX 4.4 tag 39 in words; `held` and `unknown` are ours.")
    cum_qty: Number
    avg_px: Number | None
    broker_order_id: str | None
    reserved_value: Number = Field(description="USD of exposure that the order may still add.")
    leg: Literal["close", "open"]
    group_id: str | None
    after_id: str | None = Field(description="The order that this one waits for.")
    release: str | None
    is_oco: bool
    parent_id: str | None
    strategies: list[str]
    valid_until: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class OrderEvent(View):
    """One thing that happened to an order."""

    event_seq: int
    kind: str
    ord_status: str
    exec_id: str | None
    last_qty: Number
    last_px: Number | None
    commission: Number
    broker_order_id: str | None
    text: str | None
    epoch: int
    event_at: AwareDatetime
    recorded_at: AwareDatetime


class RiskDecision(View):
    """What risk said of an order; docs/denial-codes.md explains the codes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"decision_id": 7, "client_order_id": ID, "batch_id": BATCH, "symbol": "AAPL", "side": "buy",
                 "order_qty": "10000", "reference_price": "459.99", "outcome": "denied",
                 "reason_code": "MAX_ORDER_VALUE", "limit_value": "500000", "actual_value": "4599900",
                 "detail": {"detail": "order in AAPL is too large"}, "decided_at": AT}
            ]
        }
    )  # fmt: skip
    decision_id: int
    client_order_id: str
    batch_id: UUID
    symbol: str
    side: Literal["buy", "sell"]
    order_qty: Number
    reference_price: Number | None
    outcome: Literal["accepted", "denied"]
    reason_code: str
    limit_value: Number | None
    actual_value: Number | None
    detail: dict[str, Any]
    decided_at: AwareDatetime


class Fill(View):
    """One execution; what takes back or corrects another one names it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"fill_id": 3, "broker": "paper", "exec_id": "e-1", "client_order_id": ID, "symbol": "AAPL",
                 "side": "buy", "last_qty": "10", "last_px": "457.5", "commission": "0.05", "corrects_exec_id": None,
                 "session": "2013-02-20", "event_at": AT}
            ]
        }
    )  # fmt: skip
    fill_id: int
    broker: str
    exec_id: str
    client_order_id: str
    symbol: str
    side: Literal["buy", "sell"]
    last_qty: Number
    last_px: Number
    commission: Number
    corrects_exec_id: str | None
    session: date
    event_at: AwareDatetime


class Position(View):
    """Shares held, signed, and what they cost on average, USD."""

    symbol: str
    quantity: Number
    avg_cost: Number
    realized_pnl: Number
    updated_at: AwareDatetime


class Limit(View):
    """A limit in force, what is used of it now and what is left, in its unit; null where it is not of that sort."""

    code: str
    value: Number
    unit: str
    version: int
    actor: str
    effective_at: AwareDatetime
    used: Number | None = None
    headroom: Number | None = None


class Orders(BaseModel):
    """A page of orders, the newest first."""

    items: list[Order]
    next: str | None = Field(description="Ask for the next page with `after`; null at the end.")


class OrderDetail(BaseModel):
    """An order with all that is known of it."""

    order: Order
    events: list[OrderEvent]
    decisions: list[RiskDecision]
    fills: list[Fill]


class Fills(BaseModel):
    """A page of fills, the newest first."""

    items: list[Fill]
    next: int | None = Field(description="Ask for the next page with `before`; null at the end.")


class Decisions(BaseModel):
    """A page of risk decisions, the newest first."""

    items: list[RiskDecision]
    next: int | None = Field(description="Ask for the next page with `before`; null at the end.")


class Positions(BaseModel):
    """The book: cash (USD) and what is held."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"cash": "995400.1", "reserved": "0",
                 "items": [{"symbol": "AAPL", "quantity": "10", "avg_cost": "459.99", "realized_pnl": "0",
                            "updated_at": AT}]}
            ]
        }
    )  # fmt: skip
    cash: Number | None
    reserved: Number | None
    items: list[Position]


class LimitsInForce(BaseModel):
    """Every limit of the account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": [{"code": "MAX_ORDER_VALUE", "value": "500000", "unit": "usd", "version": 1,
                            "actor": "migration", "effective_at": AT, "used": None, "headroom": None}]}
            ]
        }
    )  # fmt: skip
    items: list[Limit]


class Switch(BaseModel):
    """An engaged kill switch."""

    scope: str
    key: str
    reason: str
    actor: str
    changed_at: datetime


class BlockedSymbol(BaseModel):
    """A symbol that takes no new order, and why."""

    symbol: str
    reason_code: str
    detail: str


class LastReconciliation(BaseModel):
    """The last comparison with the broker's ledger."""

    reconciliation_id: int
    is_clean: bool
    event_at: datetime


class State(BaseModel):
    """What the daemon does, and what stands against it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"account": "paper", "state": "ready", "market_time": AT, "epoch": 3, "open_orders": 0,
                 "unknown_orders": 0, "pending_batches": 0,
                 "last_reconciliation": {"reconciliation_id": 9, "is_clean": True, "event_at": AT},
                 "kill_switches": [], "blocked_symbols": []}
            ]
        },
    )  # fmt: skip
    account: str
    state: str = Field(description="starting, reconciling, ready or halted.")
    market_time: datetime | None
    epoch: int = Field(description="Of the lease; 0 while another daemon leads.")
    open_orders: int
    unknown_orders: int
    pending_batches: int
    last_reconciliation: LastReconciliation | None
    kill_switches: list[Switch]
    blocked_symbols: list[BlockedSymbol]
