"""Reads what the risk controls need from the warehouse: one statement a kind, whatever the number of symbols."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bifrost_core.trading.limits import Limits
from bifrost_core.trading.risk import DayState, Restriction, Shape, SymbolFacts
from bifrost_core.trading.risk.conduct import REPEAT_WINDOW
from bifrost_core.trading.terms import Side
from execution_daemon.core.inputs import Controls, RecentOrder

Rows = Callable[..., Coroutine[Any, Any, list[dict[str, Any]]]]


class RiskInputs:
    """`rows(name, **params)` runs a statement of `sql/*.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def controls(
        self,
        limits: Limits,
        kill_switches: Collection[tuple[str, str]],
        session: date,
        now: datetime,
        facts: Mapping[str, SymbolFacts],
    ) -> Controls:
        """What stands against orders in the symbols of `facts`, to be traded in `session`, at market time `now`."""
        day, reconciled_at = await self._day(session, now)
        return Controls(
            limits=limits,
            kill_switches=kill_switches,
            restricted=await self._restricted(session),
            facts=facts,
            day=day,
            reconciled_at=reconciled_at,
            recent=await self._recent(now),
        )

    async def facts(self, session: date, symbols: Collection[str]) -> Mapping[str, SymbolFacts]:
        """What is known of `symbols` from before `session`: not kept, for a bar of it may come late or be corrected."""
        rows = await self._rows("risk_facts", session=session, symbols=sorted(symbols))
        return {row["symbol"]: _facts(row) for row in rows}

    async def _restricted(self, session: date) -> Mapping[str, Restriction]:
        rows = await self._rows("risk_restricted", session=session)
        return {row["symbol"]: Restriction(row["reason"], row["blocks"] == "opening") for row in rows}

    async def _day(self, session: date, now: datetime) -> tuple[DayState, datetime | None]:
        found = await self._rows("risk_day", session=session, now=now)
        if not found:
            return DayState(), None
        row = found[0]
        day = DayState(row["start_equity"], row["high_water"], row["low_equity"], row["value"], row["orders"])
        return day, row["reconciled_at"]

    async def _recent(self, now: datetime) -> tuple[RecentOrder, ...]:
        return tuple(_recent(row) for row in await self._rows("risk_recent", now=now, since=now - REPEAT_WINDOW))


def _facts(row: Mapping[str, Any]) -> SymbolFacts:
    return SymbolFacts(row["previous_close"], row["period_mean"], row["adv"], row["sector"])


def _recent(row: Mapping[str, Any]) -> RecentOrder:
    limit_price: Decimal | None = row["limit_price"]
    shape = Shape(row["symbol"], Side(row["side"]), row["order_qty"], row["order_type"], limit_price)
    return RecentOrder(shape, row["created_at"], row["was_executed"])
