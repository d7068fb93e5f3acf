"""Faults that an administrator injects: which, where, how often, drawn from which seed. A restart ends them.

`where` is a shell pattern. For faults of answers it is matched with `METHOD /path`, for those of the stream with the
name of the event, for those of matching with the client's order id.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise

from bifrost_core.trading.orders import ZERO


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"  # the request is handled `seconds` later
    DROP_REQUEST = "drop_request"  # taken off the wire, never handled, never answered
    DROP_ANSWER = "drop_answer"  # handled, and the connection closed instead of an answer
    RATE_LIMIT = "rate_limit"  # 429 with Retry-After `seconds`, not handled
    ERROR_BEFORE = "error_before"  # 500, not handled
    ERROR_AFTER = "error_after"  # handled, then 500
    UNAVAILABLE = "unavailable"  # 503, not handled
    GARBLE = "garble"  # handled, and half of the answer's bytes sent with the success status
    DUPLICATE_EVENT = "duplicate_event"  # sent twice
    REORDER_EVENT = "reorder_event"  # sent after the next one (or `seconds` later, if none comes)
    DELAY_EVENT = "delay_event"  # it, and what follows, `seconds` later
    DISCONNECT = "disconnect"  # the stream closes instead of sending it
    SILENCE = "silence"  # the connection stays open and sends nothing any more
    SPLIT_FILL = "split_fill"  # one execution becomes up to `pieces`
    REJECT = "reject"  # the order is accepted, and rejected at once after


ANSWERS = frozenset(list(FaultKind)[:8])
STREAM = frozenset(list(FaultKind)[8:13])
MATCHING = frozenset({FaultKind.SPLIT_FILL, FaultKind.REJECT})


@dataclass(slots=True)
class Fault:
    """One fault. It strikes `count` times (None: always) among what matches `where`, each time with `probability`."""

    fault_id: int
    kind: FaultKind
    where: str = "*"
    probability: float = 1.0
    count: int | None = None
    seed: int = 0
    seconds: float = 0.0
    pieces: int = 3
    struck: int = 0
    draws: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.draws = random.Random(self.seed)

    def strikes(self, name: str) -> bool:
        """Whether it strikes what `name` names; counts if so."""
        if (self.count is not None and self.struck >= self.count) or not fnmatchcase(name, self.where):
            return False
        if self.probability < 1.0 and self.draws.random() >= self.probability:
            return False
        self.struck += 1
        return True


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._faults.values()))

    def next_id(self) -> int:
        """An id that no fault has had."""
        self._last_id += 1
        return self._last_id

    def add(self, fault: Fault) -> None:
        """Put it in force."""
        self._faults[fault.fault_id] = fault

    def remove(self, fault_id: int | None = None) -> int:
        """End one fault, or all; returns how many there were."""
        ended = [one for one in self._faults if fault_id in (None, one)]
        for one in ended:
            del self._faults[one]
        return len(ended)

    def striking(self, kinds: frozenset[FaultKind], name: str) -> tuple[Fault, ...]:
        """Those of `kinds` that strike now, in the order they were made."""
        if not self._faults:
            return ()
        return tuple(fault for fault in self._faults.values() if fault.kind in kinds and fault.strikes(name))

    def rejects(self, client_order_id: str) -> bool:
        """Whether an accepted order is rejected at once after."""
        return bool(self.striking(frozenset({FaultKind.REJECT}), client_order_id))

    def pieces(self, client_order_id: str, qty: Decimal) -> tuple[Decimal, ...]:
        """An execution's quantity, in the parts it is to come in: whole shares, and the rest in the last."""
        for fault in self.striking(frozenset({FaultKind.SPLIT_FILL}), client_order_id):
            return _cut(qty, fault)
        return (qty,)


def _cut(qty: Decimal, fault: Fault) -> tuple[Decimal, ...]:
    whole = int(qty.to_integral_value(ROUND_FLOOR))
    cuts = min(fault.pieces, whole) - 1
    if cuts < 1:
        return (qty,)
    points = sorted(fault.draws.sample(range(1, whole), cuts))
    edges = [ZERO, *map(Decimal, points), qty]
    return tuple(end - start for start, end in pairwise(edges))
