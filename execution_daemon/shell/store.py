"""The warehouse as the daemon uses it: reads, and the functions of the migrations, over one set of statements."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import orjson
from psycopg.rows import DictRow

from bifrost_core.settings import Settings
from bifrost_core.trading.limits import Limit, LimitCode, Limits
from bifrost_core.trading.orders import Block, BlockCode, Order, OrderEvent, Ticket, Unblock, fold, opened
from bifrost_core.trading.positions import Holdings, Position
from bifrost_core.trading.risk import SessionHours, SymbolFacts
from bifrost_core.trading.targets import Target, TargetBatch
from execution_daemon.core.book import Adjusted, Blocked, Book, Booked, Input, Record, RecordAdjustment, Reported
from execution_daemon.core.inputs import Controls
from execution_daemon.core.intents import Work
from execution_daemon.core.rebuild import differences, rebuild
from execution_daemon.core.reconcile import Break, OurFill
from execution_daemon.errors import LeaseLost, ensure
from execution_daemon.shell.risk_inputs import RiskInputs
from execution_daemon.shell.rows import adjustment_of, batch_of, event_of, parent_of, target_of, ticket_of

COMPONENT = "execution_daemon"
PART = 100  # intents that are written while the next are decided
Asked = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Undecided:
    """A batch that nobody has decided on, without its targets; whether a person has released it from quarantine."""

    batch: TargetBatch
    symbols: frozenset[str]
    is_released: bool


class Statements(Protocol):
    """Runs the named statements of `sql/*.sql` on one connection; a failure is final."""

    async def rows(self, name: str, params: Mapping[str, Any]) -> list[DictRow]:
        """The rows of a statement, a transaction of its own. Raises LeaseLost, StoreFailed."""
        ...

    async def together(self, asked: Iterable[Asked]) -> list[list[DictRow]]:
        """The rows of each statement, all in one transaction: one runs while the next is made.

        Raises LeaseLost, StoreFailed; then nothing of any of them is kept.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class Store:
    """Reads and writes for one account under one lease. Every failure is LeaseLost or StoreFailed: the daemon stops."""

    def __init__(self, statements: Statements, settings: Settings, holder: str) -> None:
        self._statements = statements
        self.account = settings.account
        self.mic = settings.exchange
        self.holder = holder
        self.epoch = 0
        self.broker = ""
        self._risk = RiskInputs(self._rows)

    async def close(self) -> None:
        await self._statements.close()

    async def _rows(self, name: str, **params: Any) -> list[DictRow]:
        return await self._statements.rows(name, self._given(**params))

    def _given(self, **params: Any) -> dict[str, Any]:
        return {"account": self.account, "holder": self.holder, "epoch": self.epoch, "mic": self.mic, **params}

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
        parents = {row["parent_id"]: parent_of(row) for row in await self._rows("parents")}
        return Book(self.account, await self._holdings(), orders, await self._blocked(), parents)

    async def load_order(self, client_order_id: str) -> Order | None:
        """One order of any age, folded from its events; None if it is not ours."""
        found = await self._rows("one_order", client_order_id=client_order_id)
        return (await self._fold(found)).get(client_order_id)

    async def _fold(self, found: Sequence[DictRow]) -> dict[str, Order]:
        events: dict[str, list[OrderEvent]] = {row["client_order_id"]: [] for row in found}
        for row in await self._rows("events", client_order_ids=list(events)):
            events[row["client_order_id"]].append(event_of(row))
        orders = {row["client_order_id"]: fold(opened(ticket_of(row)), events[row["client_order_id"]]) for row in found}
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
        happened: list[tuple[datetime, Input]] = [
            (row["recorded_at"], Reported(row["client_order_id"], event_of(row)))
            for row in await self._rows("all_events")
        ]
        happened += [(r["recorded_at"], Adjusted(adjustment_of(r))) for r in await self._rows("all_adjustments")]
        happened.sort(key=lambda one: one[0])
        rebuilt = rebuild(self.account, account["initial_cash"], tickets, (given for _at, given in happened))
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

    async def record_adjustment(self, record: RecordAdjustment) -> bool:
        """Commit an entry of the broker's ledger that is no trade; False where it is stored already."""
        entry = json.dumps(adjustment_json(record))
        return bool(await self._value("record_adjustment", broker=self.broker, adjustment=entry))

    async def end_parent(self, parent_id: str, text: str, at: datetime) -> None:
        await self._rows("end_parent", parent_id=parent_id, text=text, at=at)

    async def release_batch(self, batch_id: UUID, reason: str, actor: str, at: datetime) -> bool:
        """Have a quarantined batch decided again; False where it is not quarantined."""
        return bool(await self._value("release_batch", batch_id=batch_id, reason=reason, actor=actor, at=at))

    async def submit(self, work: Work, at: datetime) -> Mapping[str, str]:
        """Commit all intents in one transaction, denied ones too; the reason code of each by order id."""
        parts = (orjson.dumps([intent.as_json() for intent in part]).decode() for part in work.parts(PART))
        given = self._given(at=at, reserve_limit=work.reserve_limit)
        answers = await self._statements.together(("submit_intents", {**given, "intents": part}) for part in parts)
        return {row["client_order_id"]: row["reason_code"] for rows in answers for row in rows}

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

    async def undecided_batches(self) -> tuple[Undecided, ...]:
        """Oldest first, without their targets, of which there may be many."""
        rows = await self._rows("undecided_batches")
        return tuple(Undecided(batch_of(row), frozenset(row["symbols"]), row["is_released"]) for row in rows)

    async def last_batch(self, remembered: TargetBatch | None = None) -> TargetBatch | None:
        """The one that was worked last; a batch never changes, so one that is `remembered` is not read again."""
        rows = await self._rows("last_batch")
        if remembered and [remembered.batch_id] == [row["batch_id"] for row in rows]:
            return remembered
        found = await self.with_targets([batch_of(row) for row in rows])
        return found[0] if found else None

    async def with_targets(self, batches: Sequence[TargetBatch]) -> tuple[TargetBatch, ...]:
        """The same batches with their targets, in the order of symbols."""
        if not batches:
            return ()
        targets: dict[UUID, list[Target]] = {batch.batch_id: [] for batch in batches}
        for row in await self._rows("targets", batch_ids=list(targets)):
            targets[row["batch_id"]].append(target_of(row))
        return tuple(replace(batch, targets=tuple(targets[batch.batch_id])) for batch in batches)

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

    async def facts(self, session: date, symbols: Collection[str]) -> Mapping[str, SymbolFacts]:
        """What is known of `symbols` from before `session`."""
        return await self._risk.facts(session, symbols)

    async def controls(self, session: date, now: datetime, facts: Mapping[str, SymbolFacts]) -> Controls:
        """What stands against orders in the symbols of `facts`, to be traded in `session`, at market time `now`."""
        switches = frozenset((row["scope"], row["key"]) for row in await self.kill_switches())
        return await self._risk.controls(await self.limits(), switches, session, now, facts)

    async def record_equity(self, equity: Decimal, at: datetime) -> None:
        """Mark the account's equity: daily loss and drawdown are measured from these."""
        await self._rows("record_equity", equity=equity, at=at)

    async def volume_profiles(
        self, symbols: Collection[str], session: date, slices: int
    ) -> dict[str, tuple[Decimal, ...]]:
        """How past sessions' volume was spread over the day, in `slices` parts that sum to 1, where it is known."""
        found: dict[str, tuple[Decimal, ...]] = {}
        for row in await self._rows("volume_profiles", symbols=sorted(symbols), session=session, slices=slices):
            found[row["symbol"]] = (*found.get(row["symbol"], ()), row["share"])
        return found

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

    async def adjustments_since(self, since: datetime | None) -> frozenset[str]:
        rows = await self._rows("adjustments_since", broker=self.broker, since=since)
        return frozenset(row["adjustment_id"] for row in rows)

    async def opened_at(self) -> datetime:
        """When the account's initial cash was taken over: what the broker booked before is in it."""
        at: datetime = (await self._rows("account"))[0]["created_at"]
        return at

    async def session_from(self, now: datetime) -> SessionHours | None:
        """The session that is on at `now` or comes next; None where the calendar is not loaded."""
        rows = await self._rows("session_from", now=now)
        return SessionHours(**rows[0]) if rows else None

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
        "exec_ref_id": event.exec_ref_id,
        "order_qty": f"{event.order_qty:f}" if event.order_qty else None,
        "last_qty": f"{event.last_qty:f}",
        "last_px": f"{event.last_px:f}" if event.last_qty else None,
        "commission": f"{event.commission:f}",
        "broker_order_id": event.broker_order_id,
        "text": event.text,
        "event_at": event.event_at.isoformat(),
        "cum_qty_before": f"{record.cum_qty_before:f}",
        "cum_qty": f"{order.cum_qty:f}",
        "avg_px": None if order.avg_px is None else f"{order.avg_px:f}",
        "reserved_value": f"{order.reserved_value:f}",
        "cash_effect": f"{record.cash_effect:f}",
        "quantity_before": f"{record.position_before.quantity:f}",
        "quantity": f"{record.position.quantity:f}",
        "avg_cost": f"{record.position.avg_cost:f}",
        "realized_pnl": f"{record.position.realized_pnl:f}",
        "fills": [fill_json(booked) for booked in record.fills],
        "blocks": [{"code": b.code, "detail": b.detail} for b in record.blocks],
        "unblocks": [{"code": u.code} for u in record.unblocks],
    }


def fill_json(booked: Booked) -> dict[str, Any]:
    """A row of trading.fills."""
    fill = booked.fill
    return {
        "exec_id": booked.exec_id,
        "side": fill.side,
        "last_qty": f"{fill.qty:f}",
        "last_px": f"{fill.price:f}",
        "commission": f"{fill.commission:f}",
        "corrects_exec_id": booked.corrects or None,
    }


def adjustment_json(record: RecordAdjustment) -> dict[str, Any]:
    """The entry that trading.record_adjustment_v1 takes."""
    entry = record.adjustment
    return {
        "adjustment_id": entry.adjustment_id,
        "kind": entry.kind,
        "symbol": entry.symbol,
        "qty_change": f"{entry.qty_change:f}",
        "cash_change": f"{entry.cash_change:f}",
        "text": entry.text,
        "event_at": entry.at.isoformat(),
        "quantity_before": f"{record.position_before.quantity:f}",
        "quantity": f"{record.position.quantity:f}",
        "avg_cost": f"{record.position.avg_cost:f}",
        "realized_pnl": f"{record.position.realized_pnl:f}",
    }
