"""The virtual event loop."""

from __future__ import annotations

import asyncio
import random
from contextvars import copy_context

import pytest

from execution_daemon.simulation.loop import PROCESS, Deadlock, Process, State, TicksExceeded, VirtualLoop


def test_time_jumps_to_the_next_timer():
    """A day of waiting must take no time, or a thousand seeds take a day."""

    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert VirtualLoop().run(main()) == 86_400


def test_timeouts_queues_and_groups_work():
    """The daemon's own asyncio must run unchanged."""

    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def give() -> None:
            for number in range(3):
                await asyncio.sleep(10)
                await queue.put(number)

        async with asyncio.TaskGroup() as group:
            group.create_task(give())
            got = [await queue.get() for _ in range(3)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await queue.get()
        return got

    loop = VirtualLoop()
    assert loop.run(main()) == [0, 1, 2]
    assert loop.time() == 35


def test_a_deadlock_names_who_waits_where():
    """A run that stands still must fail with its reason, not hang."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"main at test_loop\.py:\d+"):
        VirtualLoop().run(main())


def test_work_without_end_is_stopped():
    """A loop in which no time passes would run for ever."""

    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(TicksExceeded):
        VirtualLoop(ticks_max=1000).run(main())


def test_what_is_ready_is_permuted_by_the_seed_alone():
    """Another order must come from another seed, and the same from the same."""

    def order(seed: int) -> list[int]:
        done: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(1)
            done.append(number)

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(8):
                    group.create_task(one(number))

        VirtualLoop(random.Random(seed)).run(main())
        return done

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def started(loop: VirtualLoop, process: Process, steps: list[float]) -> asyncio.Task[None]:
    async def tick() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                steps.append(loop.time())
        finally:
            steps.append(-1)

    context = copy_context()
    context.run(PROCESS.set, process)
    return loop.create_task(tick(), context=context)


def test_a_stopped_process_goes_on_where_it_was():
    """A leader that is paused past its lease is the case that leases exist for."""
    loop, process, steps = VirtualLoop(), Process("p"), []

    async def main() -> None:
        _task = started(loop, process, steps)
        await asyncio.sleep(2.5)
        process.state = State.STOPPED
        await asyncio.sleep(10)
        loop.go_on(process)
        await asyncio.sleep(1.7)

    loop.run(main())
    assert steps == [1, 2, 12.5, 13.5]


def test_a_killed_process_runs_nothing_more_not_even_its_finally():
    """With kill -9 nobody says goodbye: a lease that is released would hide what a crash leaves behind."""
    loop, process, steps = VirtualLoop(), Process("p"), []
    closed: list[bool] = []
    process.on_death.append(lambda: closed.append(True))

    async def main() -> None:
        task = started(loop, process, steps)
        await asyncio.sleep(2.5)
        process.kill()
        task.cancel()
        await asyncio.sleep(10)

    loop.run(main())
    assert steps == [1, 2]
    assert closed == [True]


def test_a_process_can_die_at_any_step():
    """Crash at any await: the n-th step is the one it does not live to run."""
    loop, process, steps = VirtualLoop(), Process("p"), []
    process.dies_at = 4  # its start, and two wake-ups

    async def main() -> None:
        _task = started(loop, process, steps)
        await asyncio.sleep(10)

    loop.run(main())
    assert len(steps) <= 3
    assert not process.is_alive
