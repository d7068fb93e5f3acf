"""What a market printed: bars of a session or a minute, quotes of a recorded book. Prices in USD, unadjusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices of a span of time in USD and its volume in shares."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of a session, from `start_at` on."""

    start_at: datetime
    bar: Bar

    @property
    def end_at(self) -> datetime:
        """When the bar is known."""
        return self.start_at + MINUTE


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and offer from `at` on, sizes in shares; and the trade that was printed then, if one was."""

    at: datetime
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    last: Decimal | None = None
    last_size: Decimal | None = None
