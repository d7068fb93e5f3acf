"""The sender's pace follows the limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from bifrost_core.trading.limits import DEFAULT_LIMITS, LimitCode, Limits
from bifrost_core.trading.orders import Order, OrdStatus
from bifrost_core.trading.terms import Contingency
from bifrost_core.trading.throttle import Throttle
from execution_daemon.brokers.port import BrokerRefused, BrokerStatus, ExecKind
from execution_daemon.core.book import Book
from execution_daemon.shell.inbox import Inbox
from execution_daemon.shell.metrics import Metrics
from execution_daemon.shell.sender import Sender
from tests.execution_daemon.core.conftest import NOW, ticket

PACE = (LimitCode.MESSAGE_RATE, LimitCode.MESSAGE_BURST, LimitCode.CANCEL_RESERVE)


def limits(**changed: int) -> Limits:
    return Limits(
        [replace(lim, value=Decimal(changed[lim.code])) if lim.code in changed else lim for lim in DEFAULT_LIMITS]
    )


@pytest.mark.parametrize("code", PACE)
def test_each_of_the_three_is_heeded(code):
    """A reserve that somebody raised would be ignored, and cancels wait behind orders."""
    sender = Sender(None, None, None, 1.0)
    sender.heed(limits())
    before = sender.throttle
    sender.heed(limits())
    assert sender.throttle is before
    sender.heed(limits(**{code: 7}))
    found = sender.throttle
    assert (found.per_second, found.burst, found.reserve)[PACE.index(code)] == 7.0


async def test_a_cancel_does_not_wait_behind_orders():
    """What is to be stopped would have left before the word to stop it."""
    asked: list[str] = []

    async def cancel(key: str) -> None:
        asked.append(key)

    book = Book("paper", orders={"id": Order(ticket("id"), OrdStatus.NEW)})
    sender = Sender(SimpleNamespace(cancel=cancel), SimpleNamespace(book=book), None, 1.0)
    sender.throttle = Throttle(per_second=0.001, burst=2.0, reserve=1.0)
    assert sender.throttle.take(asyncio.get_running_loop().time()) == 0
    async with asyncio.timeout(1):
        await sender.cancel("id")
    assert asked == ["id"]


async def test_what_a_refused_cancel_finds_does_not_wait_for_itself():
    """A full inbox would wait for the job that fills it: nothing is heard any more, and the lease is kept."""
    heard, inbox = [], Inbox(1)
    filled = {"status": BrokerStatus.FILLED, "qty": 1, "cum_qty": 1}
    state = SimpleNamespace(client_order_id="id", broker_order_id="b", submitted_at=NOW, updated_at=NOW, **filled)

    async def hear(reported) -> None:
        heard.append(reported)

    async def refuse(_key: str) -> None:
        raise BrokerRefused(SimpleNamespace(client_order_id="id", symbol="AAPL", text="it is filled"), "filled")

    async def find(_key: str):
        await asyncio.sleep(0.01)  # others fill the inbox meanwhile
        return state

    async def fills(_since):
        return ()

    book = Book("paper", orders={"id": Order(ticket("id"), OrdStatus.NEW)})
    broker = SimpleNamespace(cancel=refuse, find=find, fills=fills)
    sender = Sender(broker, SimpleNamespace(book=book, hear=hear), inbox, 1.0)
    running = asyncio.create_task(inbox.run())
    async with asyncio.timeout(5):
        await asyncio.gather(*(sender.cancel("id") for _ in range(4)))
        while len(heard) < 8:
            await asyncio.sleep(0)
    running.cancel()


async def test_an_exit_that_must_become_smaller_is_not_sent_as_it_is():
    """Between the news of its group and the commit of its replacement it would leave for more than is held."""
    asked, queue = [], asyncio.Queue()

    async def submit(order):
        asked.append(order.client_order_id)
        return SimpleNamespace(kind=ExecKind.NEW, at=NOW, broker_order_id="x", text="")

    async def is_order_killed(_key: str) -> bool:
        return False

    legs = [replace(ticket(key, side="sell"), contingency=Contingency("g", is_oco=True)) for key in ("a", "b")]
    filled = replace(Order(legs[0], OrdStatus.PARTIALLY_FILLED), cum_qty=Decimal(40))
    book = Book("paper", orders={"a": filled, "b": Order(legs[1], OrdStatus.PENDING_NEW)})
    keeper = SimpleNamespace(
        book=book,
        store=SimpleNamespace(is_order_killed=is_order_killed),
        clock=SimpleNamespace(now=lambda: NOW),
        metrics=Metrics(),
        to_send=queue,
        reached=lambda _point: None,
    )
    sender = Sender(SimpleNamespace(submit=submit), keeper, Inbox(), 1.0)
    await sender.send("b")
    assert asked == []
    assert await asyncio.wait_for(queue.get(), 5) == "b"
    keeper.book = replace(book, orders={"a": Order(legs[0], OrdStatus.NEW), "b": book.orders["b"]})
    await sender.send("b")
    assert asked == ["b"]
