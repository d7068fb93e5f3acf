"""Everything that a risk decision may depend on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, cast

from bifrost_core.trading.limits import Limits
from bifrost_core.trading.risk.model import (
    NO_FACTS,
    NOTHING_KNOWN,
    DayState,
    Parent,
    Proposal,
    Quote,
    Restriction,
    SessionHours,
    SymbolFacts,
    Tradable,
)
from bifrost_core.trading.risk.tally import Tally

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What is known at market time `now`; what is left out is not known, and denies.

    `has_quotes`: the broker publishes bids and offers, so one that is missing is a fault. `clock_skew` is in seconds,
    between this machine's clock and the broker's. `blocked` holds the cause by symbol, '*' for the account.
    """

    now: datetime
    limits: Limits
    equity: Decimal | None
    tally: Tally = field(default_factory=Tally)
    day: DayState = NOTHING_KNOWN
    session: SessionHours | None = None
    reconciled_at: datetime | None = None
    clock_skew: Decimal | None = None
    has_quotes: bool = True
    last_trades: Mapping[str, Quote] = field(default_factory=dict)
    tradable: Mapping[str, Tradable] = field(default_factory=dict)
    facts: Mapping[str, SymbolFacts] = field(default_factory=dict)
    kill_switches: Collection[tuple[str, str]] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    restricted: Mapping[str, Restriction] = field(default_factory=dict)
    parents: Mapping[str, Parent] = field(default_factory=dict)
    _kept: dict[Hashable, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def once(self, key: Hashable, find: Callable[[Context], T]) -> T:
        """What `find` says of this context under `key`; asked once, however many orders are decided on."""
        if key in self._kept:
            return cast(T, self._kept[key])
        found = self._kept[key] = find(self)
        return found

    def facts_of(self, symbol: str) -> SymbolFacts:
        """What is known of `symbol` from before this session."""
        return self.facts.get(symbol, NO_FACTS)

    def reduces(self, p: Proposal) -> bool:
        """Whether `p` only brings a position toward zero."""
        return self.tally.change(p).reduces

    def accept(self, p: Proposal) -> None:
        """Count `p` as working in what is decided next."""
        self.tally.accept(p, self.now)
