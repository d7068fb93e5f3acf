"""The orders that a person may ask for: plain ones, ones with orders that hang on them, and one of several."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.api.bodies import example
from execution_daemon.api.fields import Amount, Name, Symbol
from execution_daemon.core.manual import ManualOrder

LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class PlainOrder(BaseModel):
    """One order: FIX 4.4's words, shares and USD. `reference_price` is what it is judged by; default the last trade."""

    model_config = example(symbol="AAPL", side="sell", qty="10", order_type="limit", limit_price="480")
    symbol: Symbol
    side: Side
    qty: Amount
    order_type: OrdType = OrdType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    trail_offset: Amount | None = None
    limit_offset: Amount | None = None
    post_only: bool = False
    reduce_only: bool = False
    reference_price: Amount | None = None
    strategies: Annotated[list[Name], Field(max_length=10)] = []

    @property
    def terms(self) -> Terms:
        return Terms(
            self.order_type,
            self.time_in_force,
            self.limit_price,
            self.stop_price,
            self.trail_offset,
            self.limit_offset,
            self.post_only,
            self.reduce_only,
        )

    @model_validator(mode="after")
    def _makes_sense(self) -> PlainOrder:
        if objection := self.terms.objection():
            raise ValueError(objection)
        return self

    def order(self) -> ManualOrder:
        """As the daemon takes it."""
        return ManualOrder(
            symbol=self.symbol,
            side=self.side,
            qty=self.qty,
            terms=self.terms,
            reference_price=self.reference_price,
            strategies=tuple(self.strategies),
        )


class Leg(PlainOrder):
    """An order. With `take_profit` and `stop_loss` it is a bracket, whose exits are one-cancels-other. With a
    `schedule` it is worked in slices until `end_at`.
    """

    model_config = example(
        symbol="AAPL",
        side="buy",
        qty="10",
        order_type="limit",
        limit_price="460.00",
        take_profit="480",
        stop_loss="450",
    )
    take_profit: Amount | None = None
    stop_loss: Amount | None = None
    schedule: Literal["", "twap", "vwap", "pov", "is"] = ""
    end_at: Annotated[AwareDatetime, Field(lt=LATEST)] | None = None

    @model_validator(mode="after")
    def _ends(self) -> Leg:
        if bool(self.schedule) is not (self.end_at is not None):
            raise ValueError("a schedule needs end_at, and end_at a schedule")
        return self

    def order(self) -> ManualOrder:
        """As the daemon takes it."""
        return replace(
            super().order(),
            take_profit=self.take_profit,
            stop_loss=self.stop_loss,
            schedule=self.schedule,
            end_at=self.end_at,
        )


class NewOrder(Leg):
    """An order; `then` are sent once it is filled (one-triggers-other)."""

    then: Annotated[list[Leg], Field(max_length=4)] = []

    def order(self) -> ManualOrder:
        """As the daemon takes it, with what follows."""
        return replace(super().order(), then=tuple(leg.order() for leg in self.then))


class OneOf(BaseModel):
    """Orders of which one cancels the others (one-cancels-other): what one executes, the others may no longer.

    All are for as many shares; each is decided on by itself.
    """

    model_config = example(
        orders=[
            {"symbol": "AAPL", "side": "sell", "qty": "10", "order_type": "limit", "limit_price": "480"},
            {"symbol": "AAPL", "side": "sell", "qty": "10", "order_type": "stop", "stop_price": "450"},
        ]
    )
    orders: Annotated[list[PlainOrder], Field(min_length=2, max_length=5)]

    @model_validator(mode="after")
    def _same_size(self) -> OneOf:
        if len({order.qty for order in self.orders}) > 1:
            raise ValueError("orders that cancel one another are for as many shares: give all of them the same qty")
        return self
