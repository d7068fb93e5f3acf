"""What the risk controls are told, read from PostgreSQL over a real month."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bifrost_core.trading.limits import DEFAULT_LIMITS, Limits
from bifrost_core.trading.risk import Restriction
from execution_daemon.core.inputs import Controls
from execution_daemon.shell.postgres import PostgresGateway
from execution_daemon.shell.risk_inputs import RiskInputs

D = Decimal
DAY = date(2013, 2, 20)


class Reader:
    """The daemon's own reads, as bifrost_trader, with its lease."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.given = {"account": "paper", "holder": "one", "epoch": 0, "mic": settings.exchange}

    def ask(self, *names: tuple[str, dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Rows of each statement, on one connection."""

        async def run() -> list[list[dict[str, Any]]]:
            statements = await PostgresGateway(self.settings).statements()
            try:
                return [await statements.rows(name, {**self.given, **params}) for name, params in names]
            finally:
                await statements.close()

        return asyncio.run(run())

    def controls(self, session: date, now: datetime, *symbols: str) -> Controls:
        async def run() -> Controls:
            statements = await PostgresGateway(self.settings).statements()

            async def rows(name: str, **params: Any) -> list[dict[str, Any]]:
                return await statements.rows(name, {**self.given, **params})

            try:
                inputs = RiskInputs(rows)
                return await inputs.controls(
                    Limits(DEFAULT_LIMITS), (), session, now, await inputs.facts(session, symbols)
                )
            finally:
                await statements.close()

        return asyncio.run(run())


@pytest.fixture
def desk(settings, market, trader):
    """A leader with an account of a million, on 20 February 2013."""
    reader = Reader(settings)
    opened = market("2013-02-20").open_at - timedelta(hours=1)
    with trader.transaction() as connection:
        (epoch,) = connection.execute("select trading.acquire_lease_v1('paper', 'one', 60)").fetchone()
        connection.execute("select trading.open_account_v1('paper', 'one', %s, 'sim', 1000000, %s)", (epoch, opened))
    reader.given["epoch"] = epoch
    return reader


def test_facts_are_of_the_sessions_before(desk, owner, market):
    """Today's close in yesterday's place is the future; a corrected bar counts as corrected."""
    from tests.execution_daemon.conftest import insert_bar

    now = market("2013-02-20").open_at
    before = desk.controls(DAY, now, "AAPL", "MSFT", "ZZZ").facts
    assert before["MSFT"].previous_close == D("28.045")
    assert before["AAPL"].period_mean is not None
    assert D(430) < before["AAPL"].period_mean < D(480)
    assert before["AAPL"].adv is not None
    assert before["AAPL"].adv > 10_000_000
    assert "ZZZ" not in before
    with owner.transaction() as connection, connection.cursor() as cursor:
        insert_bar(cursor, "MSFT", date(2013, 2, 19), 28, 29, 27, 28.5, 1000.0)
    assert desk.controls(DAY, now, "MSFT").facts["MSFT"].previous_close == D("28.5")


def test_a_split_makes_old_closes_comparable(desk, owner, market):
    """On the morning of a split every price has halved, and every order would be denied for the jump."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.corporate_actions"
            " select instrument_id, '2013-02-20', now(), now(), 'split', 0.5, 'test', %s"
            " from reference.instruments where symbol = 'MSFT'",
            ("0" * 64,),
        )
    plain, split = (desk.controls(day, market("2013-02-20").open_at, "MSFT") for day in (date(2013, 2, 19), DAY))
    assert plain.facts["MSFT"].previous_close == D("28.01")
    assert split.facts["MSFT"].previous_close == D("28.045") / 2


def test_restrictions_say_what_they_block(desk, owner, market):
    """A position that may be closed must be told from one that may not be touched."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into reference.restricted_list (instrument_id, valid_from, valid_to, reason, blocks)"
            " select instrument_id, '2013-02-01', case symbol when 'FB' then '2013-02-20'::date end, 'counsel',"
            " case symbol when 'IBM' then 'everything' else 'opening' end"
            " from reference.instruments where symbol in ('AAPL', 'FB', 'IBM')"
        )
    found = desk.controls(DAY, market("2013-02-20").open_at).restricted
    assert found == {"AAPL": Restriction("counsel", True), "IBM": Restriction("counsel", False)}


def mark(desk: Reader, at: datetime, *equities: int) -> None:
    desk.ask(*(("record_equity", {"equity": D(equity), "at": at}) for equity in equities))


def test_the_day_survives_a_restart(desk, market):
    """A daemon that is started again must not forget what was lost this morning, nor the highest it ever had."""
    first, second = market("2013-02-20"), market("2013-02-21")
    fresh = desk.controls(DAY, first.open_at).day
    assert (fresh.start_equity, fresh.high_water, fresh.low_equity) == (D(1_000_000), D(1_000_000), None)
    mark(desk, first.open_at, 1_010_000, 1_050_000, 1_020_000)
    mark(desk, first.close_at, 1_015_000, 990_000, 1_000_000)  # from its close on it is the next day
    today = desk.controls(second.session, second.open_at).day
    assert (today.start_equity, today.high_water, today.low_equity) == (D(1_020_000), D(1_050_000), D(990_000))


def test_a_transfer_is_no_gain_and_no_loss(desk, owner, market):
    """Taking half of the money out would halt the rest as a drawdown of one half."""
    first = market("2013-02-20")
    mark(desk, first.open_at, 1_100_000)
    with owner.transaction() as connection:
        connection.execute(
            "insert into trading.adjustments"
            " (broker, adjustment_id, account, kind, qty_change, cash_change, epoch, event_at)"
            " values ('sim', 'a', 'paper', 'transfer', 0, -500000, 1, %s), ('sim', 'b', 'paper', 'fee', 0, -7, 1, %s)",
            (first.open_at, first.open_at),
        )
    mark(desk, first.open_at, 600_000)
    day = desk.controls(DAY, first.open_at).day
    assert (day.start_equity, day.high_water, day.low_equity) == (D(500_000), D(600_000), D(600_000))


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "client_order_id": f"o{number}", "batch_id": str(uuid.UUID(int=1)), "strategies": ["m"], "symbol": "MSFT",
        "side": "buy", "order_type": "limit", "time_in_force": "day", "order_qty": "100", "reference_price": "28",
        "limit_price": "29", "leg": "open", "reserved_value": "2800", "outcome": "accepted", "reason_code": "ACCEPTED",
        "detail": {}, **changes,
    }  # fmt: skip


def test_the_orders_of_the_day_and_of_the_hour(desk, trader, market):
    """Throttles that start anew with each process stop nothing."""
    first, second = market("2013-02-20"), market("2013-02-21")
    with trader.transaction() as connection:
        for at, orders in (
            (first.open_at, [order(1)]),
            (first.close_at + timedelta(minutes=1), [order(2), order(3, outcome="denied", reason_code="MAX_GROSS")]),
            (second.open_at - timedelta(minutes=10), [order(4)]),
        ):
            connection.execute(
                "select trading.submit_intents_v1('paper', 'one', %s, %s, 1000000, %s)",
                (desk.given["epoch"], at, json.dumps(orders)),
            )
    found = desk.controls(second.session, second.open_at)
    assert (found.day.orders, found.day.value) == (2, D(5_800))  # at its limit, that is what it may cost
    (recent,) = found.recent
    assert (recent.shape.symbol, recent.shape.qty, recent.shape.limit_price) == ("MSFT", D(100), D(29))
    assert not recent.was_executed
    assert desk.controls(second.session, second.open_at + timedelta(minutes=51)).recent == ()


def test_without_a_reconciliation_there_is_none(desk, trader, market):
    """The gate opens on a clean one only."""
    opened = market("2013-02-20").open_at
    with trader.transaction() as connection:
        for at, breaks in ((opened, "[]"), (opened + timedelta(minutes=1), '[{"kind": "cash"}]')):
            connection.execute(
                "select trading.record_reconciliation_v1('paper', 'one', %s, %s, 0, 0, %s)",
                (desk.given["epoch"], breaks, at),
            )
    assert desk.controls(DAY, opened + timedelta(minutes=2)).reconciled_at == opened
