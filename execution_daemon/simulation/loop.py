"""An event loop whose time is virtual: when nothing is ready, it jumps to the next timer. One thread, no I/O.

Callbacks belong to the `Process` in whose context they were made. A process that is stopped keeps its callbacks until
it goes on; one that was killed never runs again, not even its `finally` blocks: as with SIGSTOP and SIGKILL.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from enum import Enum
from itertools import count
from typing import Any, TypeVar, cast

T = TypeVar("T")
TICKS_MAX = 2_000_000


class Deadlock(Exception):
    """Nothing is ready and no timer runs: names what everybody waits for."""


class TicksExceeded(Exception):
    """More callbacks than `ticks_max`: something runs for ever without time passing, or the work has no end."""


class State(Enum):
    """What a process does with its callbacks."""

    RUNNING = "running"
    STOPPED = "stopped"
    DEAD = "dead"


class Process:
    """A process of the simulated world. `dies_at` is the number of the step it does not live to run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.RUNNING
        self.steps = 0
        self.dies_at: int | None = None
        self.held: list[Handle] = []
        self.on_death: list[Callable[[], None]] = []

    @property
    def is_alive(self) -> bool:
        return self.state is not State.DEAD

    def kill(self) -> None:
        """SIGKILL: what is open is closed by its system, and nothing of it runs again."""
        if self.state is State.DEAD:
            return
        self.state = State.DEAD
        for action in self.on_death:
            action()


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Handle:
    """A callback that waits for its turn or its time."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "process", "time")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, time: float) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = context.get(PROCESS)
        self.time = time
        self.is_cancelled = False

    def cancel(self) -> None:
        """Never run it."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.is_cancelled

    def when(self) -> float:
        """The time it is due."""
        return self.time


class _Task(asyncio.Task[Any]):
    """A task with a hash of its own: sets of tasks are walked in the same order in every process."""

    _numbers = count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop:
    """What tasks, futures, timeouts and queues use of asyncio's event loop. `shuffle` permutes what is ready."""

    def __init__(self, shuffle: random.Random | None = None, ticks_max: int = TICKS_MAX) -> None:
        self.ticks = 0
        self.complaints: list[str] = []
        self._now = 0.0
        self._shuffle = shuffle
        self._ticks_max = ticks_max
        self._ready: list[Handle] = []
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = count()
        self._tasks: list[_Task] = []

    # -- what asyncio asks of a loop ----------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def get_debug(self) -> bool:
        """asyncio asks; never."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self._as_loop)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: object = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """A task of this loop."""
        task = _Task(coro, loop=self._as_loop, name=None if name is None else str(name), context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.append(task)
        return task

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:
        """Run the callback when what is ready now has run."""
        handle = Handle(callback, args, copy_context() if context is None else context, self._now)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """Run the callback in `delay` seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """Run the callback at `when`."""
        handle = Handle(callback, args, copy_context() if context is None else context, when)
        if when <= self._now:
            self._ready.append(handle)
        else:
            heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio complains about is kept in `complaints`."""
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    @property
    def _as_loop(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done and return its result. Raises Deadlock, TicksExceeded."""
        asyncio._set_running_loop(self._as_loop)
        try:
            task = self.create_task(main, name="main")
            while not task.done():
                self._run_batch()
            return task.result()
        finally:
            asyncio._set_running_loop(None)

    def go_on(self, process: Process) -> None:
        """SIGCONT: the process runs what it could not."""
        if process.state is State.STOPPED:
            process.state = State.RUNNING
            self._ready += process.held
            process.held = []

    def _run_batch(self) -> None:
        if not self._ready:
            self._advance()
        batch, self._ready = self._ready, []
        if self._shuffle is not None and len(batch) > 1:
            self._shuffle.shuffle(batch)
        for handle in batch:
            if not handle.is_cancelled and self._may_run(handle):
                handle.context.run(handle.callback, *handle.args)
        self.ticks += len(batch)
        if self.ticks > self._ticks_max:
            raise TicksExceeded(f"{self.ticks} callbacks by {self._now:.3f} s")

    def _may_run(self, handle: Handle) -> bool:
        process = handle.process
        if process is None:
            return True
        if process.state is State.STOPPED:
            process.held.append(handle)
        if process.state is not State.RUNNING:
            return False
        process.steps += 1
        if process.steps == process.dies_at:
            process.kill()
            return False
        return True

    def _advance(self) -> None:
        """Jump to the next timer and make everything ready that is due then."""
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"at {self._now:.3f} s everybody waits: {'; '.join(self.waiting())}")
        self._now = timers[0][0]
        while timers and timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(timers)[2])

    def waiting(self) -> list[str]:
        """Every unfinished task, and the line it waits at."""
        return [f"{task.get_name()} at {_place(task)}" for task in self._tasks if not task.done()]


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    return f"{frames[0].f_code.co_filename.rpartition('/')[2]}:{frames[0].f_lineno}" if frames else "its start"
