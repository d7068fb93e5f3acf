"""What people have the daemon do, while it dies: brackets, orders after orders, slices, amendments, cancels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.chaos import bookings, people
from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop


def _ordered(shop: Shop, *makers: Callable[[Shop], dict[str, Any]]) -> None:
    for make in makers:
        people.ask(shop, "/orders", make(shop))
        shop.wait(shop.rng.uniform(0, 0.1))


@scenario("brackets and orders after orders, with kill -9 between order, entry and exits")
def held_orders(shop: Shop) -> None:
    """Exits are held until their entry has ended, and sell what it bought: no less, and not twice."""
    shop.start()
    for _ in range(2):
        shop.post(0.4)
        shop.plan(shop.rng.uniform(0, 0.5), shop.daemon.kill)
        _ordered(shop, people.bracket, people.one_then_the_other, people.bracket)
        shop.plan(shop.rng.uniform(0, 0.6), shop.daemon.kill)
        shop.open_session()
        shop.pass_time(4)
        people.cancel_all(shop)
        shop.end_session()


@scenario("a batch and orders worked in slices over the session, with kill -9 between slices", execution="twap")
def worked_in_slices(shop: Shop) -> None:
    """A slice that was committed and not answered is not sent again with the next: together they keep their parent."""
    shop.start()
    for _ in range(2):
        shop.post(0.5)
        _ordered(shop, people.sliced)
        shop.plan(shop.rng.uniform(0.2, 1.5), shop.daemon.kill)
        shop.open_session()
        shop.pass_time(13)
        shop.end_session()


@scenario("orders that rest in the book are amended, with a kill -9 between the cancel and the replacement")
def amended(shop: Shop) -> None:
    """The replacement is sent for what the original left: both together are what was ordered."""
    shop.start()
    for _ in range(2):
        shop.open_session()
        _ordered(shop, people.resting, people.resting)
        shop.plan(shop.rng.uniform(0, 0.3), shop.daemon.kill)
        people.amend_one(shop)
        shop.pass_time(2)
        people.cancel_all(shop)
        shop.end_session()


@scenario("everything that people and a broker do, at once, with kill -9 at random times")
def everything_at_once(shop: Shop) -> None:
    """Each of these alone is easy."""
    shop.start()
    for _ in range(2):
        shop.post(0.4)
        bookings.announce(shop)
        for _ in range(2):
            shop.plan(shop.rng.uniform(0, 1.5), shop.daemon.kill)
        _ordered(shop, people.bracket, people.one_then_the_other, people.sliced)
        shop.open_session()
        bookings.restate(shop, 2)
        bookings.enter(shop, 1)
        shop.pass_time(6)
        people.cancel_all(shop)
        shop.end_session()
