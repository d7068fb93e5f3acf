"""Everything that a risk decision may depend on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

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

    def facts_of(self, symbol: str) -> SymbolFacts:
        """What is known of `symbol` from before this session."""
        return self.facts.get(symbol, NO_FACTS)

    def reduces(self, p: Proposal) -> bool:
        """Whether `p` only brings a position toward zero."""
        return self.tally.change(p).reduces

    def accept(self, p: Proposal) -> None:
        """Count `p` as working in what is decided next."""
        self.tally.accept(p, self.now)
