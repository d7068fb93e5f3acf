"""A book to work on."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bifrost_core.trading.limits import DEFAULT_LIMITS, Limits
from bifrost_core.trading.orders import Ticket
from bifrost_core.trading.risk import DayState, Quote, SessionHours, SymbolFacts, Tradable
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from bifrost_core.trading.terms import Side, Terms, TimeInForce
from execution_daemon.core.inputs import Controls, Market

OPEN = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2013, 2, 20, 21, 0, tzinfo=UTC)
AT_OPEN = Terms(time_in_force=TimeInForce.OPG)
NOW = OPEN - timedelta(minutes=30)
BATCH_ID = uuid.UUID(int=1)
SYMBOLS = ("AAPL", "IBM", "MSFT", "FB")
QUOTES = {s: Quote(Decimal(50), NOW - timedelta(hours=17)) for s in SYMBOLS[:3]}
HOURS = SessionHours(date(2013, 2, 20), OPEN, CLOSE)
MARKET = Market(NOW, HOURS, QUOTES, {s: Tradable(is_shortable=True) for s in SYMBOLS})
FACTS = {s: SymbolFacts(Decimal(50), Decimal(50), Decimal(10_000_000)) for s in SYMBOLS}
DAY = DayState(Decimal(1_000_000), Decimal(1_000_000), Decimal(1_000_000))
CONTROLS = Controls(Limits(DEFAULT_LIMITS), facts=FACTS, day=DAY, reconciled_at=NOW)


def ticket(key: str = "id", symbol: str = "AAPL", side: str = "buy", qty: int = 100, price: str = "50") -> Ticket:
    """A ticket valid until the close."""
    return Ticket(
        key,
        "paper",
        BATCH_ID,
        symbol,
        Side(side),
        Decimal(qty),
        Decimal(price),
        AT_OPEN,
        CLOSE,
        side == "buy",
    )


def batch(weights: dict[str, str], number: int = 1, price: str = "50", valid_from: datetime = NOW) -> TargetBatch:
    """A sound batch, all of it at one price."""
    targets = tuple(Target(s, Decimal(w), Decimal(price), {"m": w}) for s, w in weights.items())
    window = ("paper", ("m",), date(2013, 2, 19), valid_from, CLOSE)
    return TargetBatch(uuid.UUID(int=number), *window, targets, hash_of(*window, targets), len(targets), "r", "c", "d")
