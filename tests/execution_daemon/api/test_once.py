"""Commands happen once, whatever becomes of the answer and of the process."""

from __future__ import annotations

import asyncio

import pytest

from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.tokens import Scope
from execution_daemon.api.bodies import Woken
from execution_daemon.api.once import REPLAYED, Asked, Once
from execution_daemon.api.problems import Kind, ProblemError
from execution_daemon.api.warehouse import Warehouse
from execution_daemon.brokers.simulated import EPOCH

ASKED = Asked("anna", "k1", "POST /halt", {"scope": "global"})


class Work:
    """Counts how often it is done, under which ids."""

    def __init__(self, *failures: BaseException) -> None:
        self.ids = []
        self.failures = list(failures)
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, command_id):
        self.ids.append(command_id)
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return Woken(market_time=EPOCH)


@pytest.fixture
async def warehouse(settings):
    one = Warehouse(settings)
    yield one
    await one.close()


@pytest.fixture
def once(warehouse):
    return Once(warehouse, "here:1")


async def test_the_same_key_is_answered_the_same_and_done_once(once, warehouse):
    """An order whose answer was lost would be sent a second time; also after a restart."""
    work = Work()
    first = await once.run(ASKED, work)
    again = await once.run(ASKED, work)
    restarted = await Once(warehouse, "here:2").run(ASKED, work)
    assert len(work.ids) == 1
    assert first.body == again.body == restarted.body
    assert [REPLAYED in answer.headers for answer in (first, again, restarted)] == [False, True, True]


async def test_a_key_stands_for_one_request(once):
    """The second command would be answered with the outcome of the first."""
    await once.run(ASKED, Work())
    for other in (
        Asked("anna", "k1", "POST /halt", {"scope": "account"}),
        Asked("anna", "k1", "POST /x", ASKED.request),
    ):
        with pytest.raises(ProblemError) as error:
            await once.run(other, Work())
        assert error.value.kind is Kind.KEY_REUSED
    bob = Work()
    await once.run(Asked("bob", "k1", "POST /halt", {"scope": "account"}), bob)
    assert len(bob.ids) == 1


async def test_while_it_runs_it_is_not_begun_again(once):
    """An impatient client would do it twice."""
    work = Work()
    work.gate.clear()
    running = asyncio.create_task(once.run(ASKED, work))
    while not work.ids:
        await asyncio.sleep(0.01)
    with pytest.raises(ProblemError) as error:
        await once.run(ASKED, work)
    assert error.value.kind is Kind.COMMAND_RUNNING
    work.gate.set()
    assert (await running).status_code == 200


async def test_a_refusal_is_an_answer_and_a_failure_is_not(once):
    """A refusal that is tried again may pass by surprise; a broker that was away must be asked again."""
    refused, failed = Work(ProblemError(Kind.REFUSED, "no")), Work(ProblemError(Kind.NOT_READY, "wait"))
    for _ in range(2):
        assert (await once.run(ASKED, refused)).status_code == 409
    other = Asked("anna", "k2", "POST /halt", {})
    with pytest.raises(ProblemError):
        await once.run(other, failed)
    assert (await once.run(other, failed)).status_code == 200
    assert (len(refused.ids), len(failed.ids), len(set(failed.ids))) == (1, 2, 1)


@pytest.mark.parametrize("is_alive", [True, False])
async def test_what_a_dead_process_left_is_done_under_the_same_id(once, warehouse, settings, is_alive):
    """A command that was cut off would hang for ever; one that a living leader is at would be done twice."""
    with connect(settings, Role.OWNER) as connection:
        until = "clock_timestamp() + interval '1 minute'" if is_alive else "clock_timestamp() - interval '1 minute'"
        connection.execute(f"insert into trading.leases values ('paper', 'here:1', 1, {until})")
    work = Work()
    work.gate.clear()
    cut_off = asyncio.create_task(once.run(ASKED, work))
    while not work.ids:
        await asyncio.sleep(0.01)
    other = Once(warehouse, "there:2")
    if is_alive:
        with pytest.raises(ProblemError) as error:
            await other.run(ASKED, work)
        assert error.value.kind is Kind.COMMAND_RUNNING
    else:
        again = Work()
        assert (await other.run(ASKED, again)).status_code == 200
        assert again.ids == work.ids
    work.gate.set()
    await cut_off


async def test_a_command_is_in_the_chain_with_its_actor(client, settings, token):
    """Who did it, and what exactly, is asked for after the fact."""
    anna = token("anna", Scope.TRADE)
    answer = await client.post("/wake", headers=anna)
    assert answer.status_code == 200
    await client.post("/cancel-all", headers={**anna, "Idempotency-Key": "k"}, json={"reason": "drill"})
    with connect(settings, Role.READER) as connection:
        rows = connection.execute("select payload from audit.chain where kind = 'command'").fetchall()
    assert [(row[0]["actor"], row[0]["route"], row[0]["request"]) for row in rows] == [
        ("anna", "POST /cancel-all", {"reason": "drill", "symbol": None})
    ]
