"""One listener's line, and the faults that strike what is sent on it."""

from __future__ import annotations

import asyncio
from typing import Any

from execution_daemon.paper_exchange.faults import STREAM, Fault, FaultKind, Faults

Message = dict[str, Any]
HELD_SECONDS = 0.2


class Line:
    """Decides what of each message goes out, and when. Without faults in force: the message itself, at once."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: Message | None = None
        self._held_seconds = HELD_SECONDS
        self.is_cut = False
        self._is_silent = False

    async def next(self, queue: asyncio.Queue[Message | None]) -> Message | None:
        """What comes next: of the queue, or the message that was held back for one that did not come."""
        if self._held is None:
            return await queue.get()
        try:
            return await asyncio.wait_for(queue.get(), self._held_seconds)
        except TimeoutError:
            return {}

    async def after(self, message: Message) -> list[Message]:
        """The messages to send now that `message` is there (an empty one stands for none)."""
        out = [message] if message else []
        for fault in self._faults.striking(STREAM, message["data"]["event"]) if message else ():
            out = await self._strike(fault, out)
        if self._is_silent or self.is_cut:
            self._held = None
            return []
        if self._held is not None and (out or not message):
            out, self._held = [*out, self._held], None
        return out

    async def _strike(self, fault: Fault, out: list[Message]) -> list[Message]:
        match fault.kind:
            case FaultKind.DELAY_EVENT:
                await asyncio.sleep(fault.seconds)
            case FaultKind.DUPLICATE_EVENT:
                return out * 2
            case FaultKind.REORDER_EVENT if self._held is None and out:
                self._held, self._held_seconds = out[0], fault.seconds or HELD_SECONDS
                return out[1:]
            case FaultKind.DISCONNECT:
                self.is_cut = True
            case FaultKind.SILENCE:
                self._is_silent = True
        return out
