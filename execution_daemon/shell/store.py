"""The warehouse as the daemon uses it: reads, and the functions of the migrations, over one set of statements."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from psycopg.rows import DictRow

from bifrost_core.settings import Settings
from bifrost_core.trading.limits import Limit, LimitCode, Limits
from bifrost_core.trading.orders import Block, BlockCode, Order, OrderEvent, Ticket, Unblock, fold
from bifrost_core.trading.positions import Holdings, Position
from bifrost_core.trading.targets import TargetBatch
from execution_daemon.core.book import Blocked, Book, Record
from execution_daemon.core.desk import Controls, Work
from execution_daemon.core.rebuild import differences, rebuild
from execution_daemon.core.reconcile import Break, OurFill
from execution_daemon.errors import LeaseLost, ensure
from execution_daemon.shell.rows import batch_of, event_of, ticket_of

COMPONENT = "execution_daemon"


class Statements(Protocol):
    """Runs the named statements of `sql/*.sql`: each one transaction. One connection; a failure is final."""

    async def rows(self, name: str, params: Mapping[str, Any]) -> list[DictRow]:
        """The rows of a statement. Raises LeaseLost, StoreFailed."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """A session of the exchange and when it opens and closes, UTC."""

    session: date
    open_at: datetime
    close_at: datetime


class Store:
    """Reads and writes for one account under one lease. Every failure is LeaseLost or StoreFailed: the daemon stops."""

    def __init__(self, statements: Statements, settings: Settings, holder: str) -> None:
        self._statements = statements
        self.account = settings.account
        self.mic = settings.exchange
        self.holder = holder
        self.epoch = 0
        self.broker = ""

    async def close(self) -> None:
        await self._statements.close()

    async def _rows(self, name: str, **params: Any) -> list[DictRow]:
        given = {"account": self.account, "holder": self.holder, "epoch": self.epoch, "mic": self.mic, **params}
        return await self._statements.rows(name, given)

    async def _value(self, name: str, **params: Any) -> Any:
        rows = await self._rows(name, **params)
        return next(iter(rows[0].values())) if rows else None

    # ------------------------------------------------------------------------------------------------ lease

    async def acquire_lease(self, seconds: float) -> bool:
        """Become the leader with a new epoch; False while another one leads."""
        epoch = await self._value("acquire_lease", seconds=seconds)
        self.epoch = epoch or 0
        return epoch is not None

    async def renew_lease(self, seconds: float) -> None:
        """Raises LeaseLost where another daemon has taken over."""
        if not await self._value("renew_lease", seconds=seconds):
            raise LeaseLost(f"another daemon leads account {self.account}", "This one stops; trading.leases names it")

    async def release_lease(self) -> None:
        await self._rows("release_lease")

    async def lease_holder(self) -> str:
        return str(await self._value("lease_holder") or "nobody")

    # ------------------------------------------------------------------------------------------------- book

    async def has_account(self) -> bool:
        return bool(await self._rows("account"))

    async def open_account(self, initial_cash: Decimal, at: datetime) -> None:
        await self._rows("open_account", broker=self.broker, initial_cash=initial_cash, at=at)

    async def load_book(self) -> Book:
        """The account as stored: holdings, blocks, and every order that can still change, folded from its events."""
        found = await self._rows("live_orders")
        orders = await self._fold(found)
        return Book(self.account, await self._holdings(), orders, await self._blocked())

    async def load_order(self, client_order_id: str) -> Order | None:
        """One order of any age, folded from its events; None if it is not ours."""
        found = await self._rows("one_order", client_order_id=client_order_id)
        return (await self._fold(found)).get(client_order_id)

    async def _fold(self, found: Sequence[DictRow]) -> dict[str, Order]:
        events: dict[str, list[OrderEvent]] = {row["client_order_id"]: [] for row in found}
        for row in await self._rows("events", client_order_ids=list(events)):
            events[row["client_order_id"]].append(event_of(row))
        orders = {row["client_order_id"]: fold(Order(ticket_of(row)), events[row["client_order_id"]]) for row in found}
        for row in found:
            order = orders[row["client_order_id"]]
            same = order.status == row["ord_status"] and order.cum_qty == row["cum_qty"]
            ensure(
                same, f"order {row['client_order_id']} is stored as {row['ord_status']}, its events give {order.status}"
            )
        return orders

    async def _holdings(self) -> Holdings:
        (account,) = await self._rows("account")
        positions = {
            row["symbol"]: Position(row["quantity"], row["avg_cost"], row["realized_pnl"])
            for row in await self._rows("positions")
        }
        return Holdings(account["balance"], positions)

    async def _blocked(self) -> dict[str, Blocked]:
        rows = await self._rows("blocked")
        return {row["symbol"]: Blocked(BlockCode(row["reason_code"]), row["detail"]) for row in rows}

    async def drift(self) -> tuple[str, ...]:
        """How the stored projections differ from a rebuild out of all events; empty when they agree."""
        (account,) = await self._rows("account")
        rows = await self._rows("all_orders")
        tickets: list[Ticket] = [ticket_of(row) for row in rows]
        events = [(row["client_order_id"], event_of(row)) for row in await self._rows("all_events")]
        rebuilt = rebuild(self.account, account["initial_cash"], tickets, events)
        stored = {
            row["client_order_id"]: (row["ord_status"], row["cum_qty"], row["avg_px"], row["reserved_value"])
            for row in rows
        }
        return differences(stored, await self._holdings(), await self._value("reserved"), rebuilt)

    # ----------------------------------------------------------------------------------------------- writes

    async def record(self, record: Record) -> bool:
        """Commit an event and what follows from it; False where its execution is stored already."""
        event = json.dumps(record_json(record))
        return await self._value("record_event", broker=self.broker, event=event) is not None

    async def submit(self, work: Work, at: datetime) -> Mapping[str, str]:
        """Commit all intents of one batch, denied ones too; the reason code of each by order id."""
        intents = json.dumps([intent.as_json() for intent in work.intents])
        rows = await self._rows("submit_intents", at=at, reserve_limit=work.reserve_limit, intents=intents)
        return {row["client_order_id"]: row["reason_code"] for row in rows}

    async def decide_batch(self, batch_id: UUID, status: str, at: datetime, reason: str = "", detail: str = "") -> bool:
        return bool(
            await self._value(
                "decide_batch",
                batch_id=batch_id,
                status=status,
                reason_code=reason or None,
                detail=detail or None,
                at=at,
            )
        )

    async def block(self, block: Block, at: datetime) -> None:
        await self._rows("block_symbol", symbol=block.symbol, reason_code=block.code, detail=block.detail, at=at)

    async def unblock(self, unblock: Unblock, at: datetime, actor: str = COMPONENT) -> bool:
        found = await self._value("unblock_symbol", symbol=unblock.symbol, reason_code=unblock.code, actor=actor, at=at)
        return bool(found)

    async def set_kill_switch(self, scope: str, key: str, engaged: bool, reason: str, actor: str, at: datetime) -> None:
        await self._rows("set_kill_switch", scope=scope, key=key, engaged=engaged, reason=reason, actor=actor, at=at)

    async def record_reconciliation(
        self, breaks: Collection[Break], orders_checked: int, fills_checked: int, at: datetime
    ) -> int:
        found = json.dumps([one.as_json() for one in breaks])
        number = await self._value(
            "record_reconciliation", breaks=found, orders_checked=orders_checked, fills_checked=fills_checked, at=at
        )
        return int(number)

    async def beat(self, state: str, detail: Mapping[str, Any], market_time: datetime | None) -> None:
        await self._rows("beat", component=COMPONENT, state=state, detail=json.dumps(detail), market_time=market_time)

    # ------------------------------------------------------------------------------------------------ reads

    async def undecided_batches(self) -> tuple[TargetBatch, ...]:
        return await self._batches(await self._rows("undecided_batches"))

    async def last_batch(self) -> TargetBatch | None:
        found = await self._batches(await self._rows("last_batch"))
        return found[0] if found else None

    async def _batches(self, rows: Sequence[DictRow]) -> tuple[TargetBatch, ...]:
        if not rows:
            return ()
        targets: dict[UUID, list[DictRow]] = {row["batch_id"]: [] for row in rows}
        for target in await self._rows("targets", batch_ids=list(targets)):
            targets[target["batch_id"]].append(target)
        return tuple(batch_of(row, targets[row["batch_id"]]) for row in rows)

    async def accepted_batches(self) -> tuple[UUID, ...]:
        """Batches whose orders are decided, and not yet all answered."""
        return tuple(row["batch_id"] for row in await self._rows("accepted_batches"))

    async def pending_batches(self) -> int:
        return int(await self._value("pending_batches"))

    async def known_symbols(self) -> frozenset[str]:
        return frozenset(row["symbol"] for row in await self._rows("known_symbols"))

    async def limits(self) -> Limits:
        known = {code.value for code in LimitCode}
        rows = await self._rows("limits")
        return Limits(
            Limit(LimitCode(r["code"]), r["value"], r["unit"], r["version"]) for r in rows if r["code"] in known
        )

    async def kill_switches(self) -> list[DictRow]:
        return await self._rows("kill_switches")

    async def controls(self, session: date) -> Controls:
        """What stands against trading in `session`."""
        switches = frozenset((row["scope"], row["key"]) for row in await self.kill_switches())
        restricted = {row["symbol"]: row["reason"] for row in await self._rows("restricted", session=session)}
        return Controls(await self.limits(), switches, restricted)

    async def is_order_killed(self, client_order_id: str) -> bool:
        return bool(await self._value("is_order_killed", client_order_id=client_order_id))

    async def fills_since(self, since: datetime | None) -> dict[str, OurFill]:
        rows = await self._rows("fills_since", broker=self.broker, since=since)
        return {
            r["exec_id"]: OurFill(
                r["exec_id"], r["client_order_id"], r["symbol"], r["last_qty"], r["last_px"], r["commission"]
            )
            for r in rows
        }

    async def session_from(self, now: datetime) -> SessionTimes | None:
        """The session that is on at `now` or comes next; None where the calendar is not loaded."""
        rows = await self._rows("session_from", now=now)
        return SessionTimes(**rows[0]) if rows else None

    async def last_reconciliation(self) -> DictRow | None:
        rows = await self._rows("last_reconciliation")
        return rows[0] if rows else None

    async def last_clean_reconciliation(self) -> datetime | None:
        found: datetime | None = await self._value("last_clean_reconciliation")
        return found


def record_json(record: Record) -> dict[str, Any]:
    """The event that trading.record_event_v1 takes; numbers as text, so that none passes through a float."""
    order, event = record.order, record.event
    return {
        "client_order_id": order.ticket.client_order_id,
        "kind": record.kind,
        "ord_status": order.status,
        "exec_id": event.exec_id,
        "last_qty": f"{event.last_qty:f}",
        "last_px": f"{event.last_px:f}" if event.last_qty else None,
        "commission": f"{event.commission:f}",
        "broker_order_id": event.broker_order_id,
        "text": event.text,
        "event_at": event.event_at.isoformat(),
        "cum_qty": f"{order.cum_qty:f}",
        "avg_px": None if order.avg_px is None else f"{order.avg_px:f}",
        "reserved_value": f"{order.reserved_value:f}",
        "cash_effect": f"{record.cash_effect:f}",
        "quantity_before": f"{record.position_before.quantity:f}",
        "quantity": f"{record.position.quantity:f}",
        "avg_cost": f"{record.position.avg_cost:f}",
        "realized_pnl": f"{record.position.realized_pnl:f}",
        "blocks": [{"code": b.code, "detail": b.detail} for b in record.blocks],
        "unblocks": [{"code": u.code} for u in record.unblocks],
    }
