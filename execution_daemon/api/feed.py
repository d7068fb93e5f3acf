"""The audit chain as a feed: who listens reads on from its own place, and is told when there is more.

Sequence numbers become visible in order, since whoever appends holds the chain's head until its commit: nothing that
is read later lies before what was read, so a place is enough to miss nothing and to see nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.rows import DictRow

from execution_daemon.api.problems import ProblemError
from execution_daemon.api.warehouse import Warehouse

LOOK_SECONDS = 0.1
PAGE = 200
LISTENERS_MAX = 32


class Feed:
    """Looks at the chain's head ten times a second while anybody listens, and not at all otherwise."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._listeners = 0
        self._head = 0
        self._grew = asyncio.Condition()
        self._watch: asyncio.Task[None] | None = None

    async def head(self) -> int:
        """The last sequence number there is. Raises ProblemError."""
        row = await self._warehouse.row("chain_head")
        return int(row["seq"]) if row else 0

    async def page(self, after: int) -> list[DictRow]:
        """The next entries after that one, at most a page of them. Raises ProblemError."""
        return await self._warehouse.rows("chain", {"after": after, "limit": PAGE})

    async def wait(self, after: int, seconds: float) -> bool:
        """Until there is an entry after that one; False when `seconds` have passed without."""
        try:
            async with asyncio.timeout(seconds), self._grew:
                await self._grew.wait_for(lambda: self._head > after)
        except TimeoutError:
            return False
        return True

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return self._listeners >= LISTENERS_MAX

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While somebody listens."""
        self._listeners += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._look(), name="feed")
        try:
            yield
        finally:
            self._listeners -= 1
            if self._listeners == 0:
                self._watch.cancel()
                self._watch = None

    async def _look(self) -> None:
        while True:
            try:
                head = await self.head()
            except ProblemError:
                head = self._head  # who listens finds out by reading
            if head != self._head:  # less where an older chain was restored
                async with self._grew:
                    self._head = head
                    self._grew.notify_all()
            await asyncio.sleep(LOOK_SECONDS)


def entry(row: DictRow) -> dict[str, Any]:
    """An entry of the chain as it is sent."""
    return {
        "seq": row["seq"],
        "kind": row["kind"],
        "event_at": row["event_at"].isoformat(),
        "recorded_at": row["recorded_at"].isoformat(),
        "payload": row["payload"],
        "entry_hash": row["entry_hash"],
    }
