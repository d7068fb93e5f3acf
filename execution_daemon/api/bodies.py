"""What commands take, and what they answer."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from bifrost_core.trading.terms import Side
from execution_daemon.api.fields import ORDER_ID, SYMBOL, Amount, Name, Number, Reason, Symbol
from execution_daemon.api.views import AT, ID
from execution_daemon.core.manual import Decision

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def example(**values: Any) -> ConfigDict:
    """The configuration of a closed model, with one example of it."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class Halt(BaseModel):
    """Stop new orders in a scope. `key` names the account, strategy or symbol; of the global scope it is `*`."""

    model_config = example(scope="symbol", key="AAPL", reason="news is out")
    scope: Literal["global", "account", "strategy", "symbol"]
    key: Name = "*"
    reason: Reason

    @model_validator(mode="after")
    def _key_fits(self) -> Halt:
        if (self.scope == "global") is not (self.key == "*"):
            raise ValueError("key is '*' for the global switch, and names one thing for any other")
        if self.scope == "symbol" and not re.fullmatch(SYMBOL, self.key):
            raise ValueError("key is no symbol: symbols are upper case, as in AAPL")
        return self


class Resume(Halt):
    """Ask that orders flow again in a scope: it takes a second person, or a cool-off."""

    model_config = example(scope="symbol", key="AAPL", reason="the news is understood")


class CancelAll(BaseModel):
    """Cancel every open order, or those of one symbol."""

    model_config = example(symbol="AAPL", reason="end of the drill")
    symbol: Symbol | None = None
    reason: Reason


class Flatten(BaseModel):
    """Close every position, or those in some symbols."""

    model_config = example(symbols=["AAPL"], reason="out before the weekend")
    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=1000)] | None = None
    reason: Reason


class Because(BaseModel):
    """Why."""

    model_config = example(reason="entered by mistake")
    reason: Reason


class Approval(BaseModel):
    """The proposal, and the hash of exactly the difference that was read."""

    model_config = example(proposal_id=1, diff_hash=HASH)
    proposal_id: Annotated[int, Field(ge=1, le=2**63 - 1)]
    diff_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Unblock(BaseModel):
    """A person has dealt with what blocked the symbol (`*`: the account)."""

    model_config = example(symbol="AAPL")
    symbol: Annotated[str, Field(pattern=r"^(\*|[A-Z0-9][A-Z0-9./-]{0,19})$")]


class Amend(BaseModel):
    """What is to change: the order is canceled and replaced by one for what it left."""

    model_config = example(limit_price="459.50")
    qty: Amount | None = None
    limit_price: Amount | None = None
    stop_price: Amount | None = None

    @model_validator(mode="after")
    def _changes(self) -> Amend:
        if self.qty is self.limit_price is self.stop_price is None:
            raise ValueError("name qty, limit_price or stop_price")
        return self


class Halted(BaseModel):
    """The switch as it stands."""

    model_config = example(scope="symbol", key="AAPL", engaged=True, reason="news is out", actor="local", is_known=True)
    scope: str
    key: str
    engaged: bool
    reason: str
    actor: str
    is_known: bool | None = Field(
        description="Whether the key names an instrument, account or strategy that is known; "
        "null where that could not be looked up. The switch is engaged in any case."
    )


class Concluded(BaseModel):
    """An order that has ended on a person's word."""

    model_config = example(client_order_id=ID, actor="anna", reason="TWS shows it as canceled on Friday")
    client_order_id: str
    actor: str
    reason: str


class Canceling(BaseModel):
    """Orders that the broker was asked to cancel: how they end comes as events."""

    model_config = example(client_order_ids=[ID])
    client_order_ids: list[str]


class Decided(BaseModel):
    """What risk said of one order."""

    model_config = example(
        client_order_id=ID, symbol="AAPL", side="buy", qty="10", outcome="accepted", reason_code="ACCEPTED", detail=""
    )
    client_order_id: Annotated[str, Field(pattern=ORDER_ID)]
    symbol: str
    side: Side
    qty: Number
    outcome: str
    reason_code: str = Field(description="docs/denial-codes.md explains it.")
    detail: str

    @classmethod
    def of(cls, decision: Decision) -> Decided:
        """The daemon's decision."""
        return cls(**{name: getattr(decision, name) for name in cls.model_fields})


class AllDecided(BaseModel):
    """Every order that followed from the command; denied ones are stored too, and not sent."""

    decisions: list[Decided]

    @classmethod
    def of(cls, decisions: list[Decision]) -> AllDecided:
        """The daemon's decisions."""
        return cls(decisions=[Decided.of(one) for one in decisions])


class Change(BaseModel):
    """A change that was applied, or proposed: then `needs` says what it waits for."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {"outcome": "proposed", "proposal_id": 1, "diff_hash": HASH, "diff": {}, "how": None,
                 "needs": "a cool-off of 60 s, or the approval of a second person", "cool_off_until": AT,
                 "expires_at": AT}
            ]
        },
    )  # fmt: skip
    outcome: Literal["applied", "proposed"]
    proposal_id: int | None = None
    diff_hash: str | None = None
    diff: dict[str, Any]
    how: str | None = None
    needs: str | None = None
    cool_off_until: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None


class Released(BaseModel):
    """The batch is looked at again."""

    model_config = example(batch_id="6f9619ff-8b86-5d01-b42d-00cf4fc964ff", actor="local", reason="checked by hand")
    batch_id: str
    actor: str
    reason: str


class Unblocked(BaseModel):
    """The symbol trades again."""

    model_config = example(symbol="AAPL", actor="local")
    symbol: str
    actor: str


class Reconciled(BaseModel):
    """A comparison of book and broker; `breaks` are {kind, key, ours, theirs}."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"reconciliation_id": 9, "is_clean": True, "breaks": [], "orders_checked": 4, "fills_checked": 4,
                 "event_at": AT}
            ]
        },
    )  # fmt: skip
    reconciliation_id: int
    is_clean: bool
    breaks: list[dict[str, Any]]
    orders_checked: int
    fills_checked: int
    event_at: datetime


class Woken(BaseModel):
    """Market time, once everything that was due is done."""

    model_config = example(market_time=AT)
    market_time: datetime
