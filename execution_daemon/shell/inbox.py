"""One consumer for everything that touches the book: jobs run one after another, in the order they came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bifrost_core.errors import BrokerError

T = TypeVar("T")
Job = Callable[[], Awaitable[object]]
JOBS_MAX = 10_000


class Inbox:
    """A bounded queue of jobs. A job that raises stops the daemon, except when a broker fails an `ask`."""

    def __init__(self, jobs_max: int = JOBS_MAX) -> None:
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(jobs_max)

    @property
    def depth(self) -> int:
        """How many jobs wait."""
        return self._jobs.qsize()

    async def put(self, job: Job) -> None:
        """Have `job` run in its turn; waits while the inbox is full."""
        await self._jobs.put(job)

    async def ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have `work` run in its turn and return its result. Not from inside a job: it would wait for itself."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def job() -> None:
            try:
                result = await work()
            except BrokerError as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        await self.put(job)
        return await answer

    async def run(self) -> None:
        """Run jobs for ever."""
        while True:
            job = await self._jobs.get()
            await job()
