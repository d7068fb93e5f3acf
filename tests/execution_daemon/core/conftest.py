"""A book to work on."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bifrost_core.trading.orders import Ticket
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from bifrost_core.trading.terms import Side, Terms, TimeInForce

OPEN = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2013, 2, 20, 21, 0, tzinfo=UTC)
AT_OPEN = Terms(time_in_force=TimeInForce.OPG)
NOW = OPEN - timedelta(minutes=30)
BATCH_ID = uuid.UUID(int=1)


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
