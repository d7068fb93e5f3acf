"""What the control plane asks of the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from bifrost_core.trading.terms import Side, Terms


@dataclass(frozen=True, slots=True)
class ManualOrder:
    """An order that a person asks for. `qty` in shares, prices in USD.

    `take_profit` and `stop_loss` make it a bracket: as many shares as are executed are offered at the one and protected
    at the other, and what one of them sells the other no longer does. `then` are sent once this one is filled. With a
    `schedule` (twap, vwap, pov, is) it is worked in slices until `end_at`.
    """

    symbol: str
    side: Side
    qty: Decimal
    terms: Terms
    reference_price: Decimal | None
    strategies: tuple[str, ...] = ()
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    then: tuple[ManualOrder, ...] = ()
    schedule: str = ""
    end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What risk said of one order; `outcome` is accepted or denied."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    outcome: str
    reason_code: str
    detail: str


class Commands(Protocol):
    """What a person may have the daemon do. Raises BrokerError before the account is led and loaded."""

    async def halt(self, scope: str, key: str, reason: str, actor: str) -> None:
        """Engage a kill switch."""
        ...

    async def cancel_all(self, actor: str, reason: str, symbol: str | None = None) -> list[str]:
        """Ask the broker to cancel every open order (of the symbol); returns their ids."""
        ...

    async def flatten(self, actor: str, reason: str, symbols: Sequence[str] | None = None) -> list[Decision]:
        """Cancel what is open and close every position (of the symbols)."""
        ...

    async def submit(self, request: ManualOrder, actor: str, command_id: UUID) -> list[Decision]:
        """Decide on an order and its legs; ids follow from `command_id`, so that a retry adds nothing."""
        ...

    async def cancel(self, client_order_id: str, actor: str, reason: str) -> None:
        """Ask the broker to cancel one order."""
        ...

    async def amend(
        self,
        client_order_id: str,
        qty: Decimal | None,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        actor: str,
        command_id: UUID,
    ) -> list[Decision]:
        """Cancel and replace: a replacement is durable and held until the original has ended."""
        ...

    async def release_batch(self, batch_id: UUID, actor: str, reason: str) -> None:
        """Let a quarantined batch be looked at again."""
        ...
