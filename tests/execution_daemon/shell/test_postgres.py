"""Statements that belong together are one transaction, whatever becomes of one of them or of who asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.errors import LeaseLost
from execution_daemon.shell.postgres import PostgresGateway, PostgresStatements
from execution_daemon.shell.store import Asked
from tests.execution_daemon.shell.test_trading_functions import intent

AT = datetime(2013, 2, 20, 14, 0, tzinfo=UTC)


class Desk:
    """The leader of an open account, who asks for statements, and somebody who looks on."""

    def __init__(self, statements: PostgresStatements, watcher: psycopg.Connection[Any]) -> None:
        self.statements = statements
        self.watcher = watcher
        self.given: dict[str, Any] = {"account": "paper", "holder": "one", "epoch": 0, "at": AT}

    def part(self, *intents: dict[str, Any], limit: str = "1000000") -> Asked:
        return "submit_intents", {**self.given, "reserve_limit": Decimal(limit), "intents": json.dumps(intents)}

    def orders(self) -> list[str]:
        """What others see."""
        return [key for (key,) in self.watcher.execute("select client_order_id from trading.orders order by 1")]


@pytest.fixture
async def desk(settings):
    statements = await PostgresGateway(settings).statements()
    with connect(settings, Role.READER) as watcher:
        watcher.autocommit = True
        one = Desk(statements, watcher)
        (row,) = await statements.rows("acquire_lease", {**one.given, "seconds": 60.0})
        one.given["epoch"] = row["acquire_lease_v1"]
        await statements.rows("open_account", {**one.given, "broker": "sim", "initial_cash": Decimal(1_000_000)})
        yield one
    await statements.close()


async def test_statements_together_are_one_transaction_and_begin_before_the_last_is_made(desk):
    """Half a rebalance in the warehouse would be taken for all of it after a crash."""

    def asked() -> Iterator[Asked]:
        for number in (1, 2, 3):
            assert desk.orders() == []
            yield desk.part(intent(number))

    answers = await desk.statements.together(asked())
    assert [row["reason_code"] for rows in answers for row in rows] == ["ACCEPTED"] * 3
    assert desk.orders() == ["order-1", "order-2", "order-3"]
    assert desk.watcher.execute("select count(distinct xmin::text) from trading.orders").fetchone() == (1,)
    assert desk.watcher.execute("select audit.verify()").fetchone() == (None,)


async def test_a_later_part_is_decided_with_what_the_earlier_ones_reserved(desk):
    """Each part by itself is within the limit, and both are not."""
    parts = [desk.part(intent(1), limit="200"), desk.part(intent(2), intent(1), limit="200")]
    answers = await desk.statements.together(parts)
    assert [row["reason_code"] for rows in answers for row in rows] == ["ACCEPTED", "BUYING_POWER", "BUYING_POWER"]
    ((row,),) = await desk.statements.together([desk.part(intent(1))])
    assert row["reason_code"] == "DUPLICATE_ORDER"


async def test_nothing_is_kept_where_a_later_one_fails(desk):
    """The first part was executed already when the server refused the second."""
    lost = {**desk.given, "epoch": -1, "reserve_limit": Decimal(0), "intents": "[]"}
    with pytest.raises(LeaseLost):
        await desk.statements.together([desk.part(intent(1)), ("submit_intents", lost)])
    assert desk.orders() == []


async def test_nothing_is_kept_where_the_next_cannot_be_made(desk):
    """What was sent is in the server's hands by then; a clean end of the conversation must not commit it."""

    def asked() -> Iterator[Asked]:
        yield desk.part(intent(1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await desk.statements.together(asked())
    assert desk.orders() == []
    assert await desk.statements.rows("kill_switches", desk.given) == []  # the connection goes on


async def test_what_somebody_else_asks_meanwhile_is_not_of_the_transaction(desk):
    """A kill switch must not be undone because an order's reservation was refused."""
    kill = {**desk.given, "scope": "global", "key": "*", "engaged": True, "reason": "test", "actor": "test"}
    others: list[asyncio.Task[Any]] = []

    def asked() -> Iterator[Asked]:
        others.append(asyncio.ensure_future(desk.statements.rows("set_kill_switch", kill)))
        for number in range(5):
            yield desk.part(intent(number))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await desk.statements.together(asked())
    await asyncio.gather(*others)
    assert desk.orders() == []
    assert [row["scope"] for row in await desk.statements.rows("kill_switches", desk.given)] == ["global"]
