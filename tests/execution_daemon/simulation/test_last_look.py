"""What stands against an order in the instant in which it is about to leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bifrost_core.trading.orders import BlockCode
from execution_daemon.core.book import Blocked
from execution_daemon.shell.failpoints import FailPoint
from execution_daemon.simulation.scenario import Event, Kind, draw
from execution_daemon.simulation.world import World


class Floor:
    """A world without faults; `press` happens as the first order is about to leave."""

    def __init__(self, press) -> None:
        quiet = {"rates": {}, "limits": {}, "slow": 0.0, "broken": 0.0, "machines": 1, "sessions": 1}
        self.world = World(replace(draw(1), events=(Event(2.0, Kind.BATCH),), **quiet))
        self.world.loop.call_at(1.9, lambda: setattr(self.machine, "on_point", self.at_intent(press)))

    @property
    def machine(self):
        return self.world.machines[0]

    def at_intent(self, press):
        return FailPoint.INTENT_COMMITTED, lambda: press(self)

    def run(self) -> None:
        async def main() -> None:
            self.machine.start()
            for event in self.world.scenario.events:
                self.world.loop.call_at(event.at, self.world._happen, event)
            await self.world._until(5.0)

        self.world.loop.run(main())

    @property
    def sent(self) -> int:
        return sum(self.world.watch.sends.values())

    @property
    def statuses(self) -> set[str]:
        return {row["ord_status"] for row in self.world.database.tables.orders}


def nothing(_floor: Floor) -> None:
    pass


def block(floor: Floor) -> None:
    keeper = floor.machine.daemon.parts.keeper
    cause = Blocked(BlockCode.RECONCILIATION_BREAK, "cash differs")
    keeper.book = replace(keeper.book, blocked={"*": cause})


def kill(floor: Floor) -> None:
    floor.world._switch("global", "*", True)


def stop(floor: Floor) -> None:
    """The server has said that an order may leave; before that is heard the process is stopped, and all is killed."""
    answers: list[str] = []

    def answered(_database, _session, name, _given, _rows) -> None:
        if name == "is_order_killed" and not answers:
            answers.append(name)
            floor.machine.stop()
            floor.world._later(0.1, lambda: floor.world._switch("global", "*", True))
            floor.world._later(1.0, floor.machine.go_on)

    floor.world.database.observers.append(answered)


def test_orders_leave_when_nothing_stands_against_them():
    """Without it the others would pass for the wrong reason."""
    floor = Floor(nothing)
    floor.run()
    assert floor.sent == len(floor.world.database.tables.orders) > 0
    assert floor.world.watch.violation is None


@pytest.mark.parametrize("press", [block, kill, stop])
def test_what_is_pressed_as_an_order_leaves_stops_it(press):
    """It is durable and not sent: the last moment in which it can be stopped."""
    floor = Floor(press)
    floor.run()
    assert floor.sent == 0
    assert floor.statuses == {"canceled"}
    assert floor.world.watch.violation is None
