"""What a provider of ticks is: trades and quotes as frames of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import polars as pl

TRADE_SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "traded_at": pl.Datetime("us", "UTC"),
    "price": pl.Float64(),
    "size": pl.Float64(),  # shares
    "exchange": pl.String(),  # one-letter code of the consolidated tape
    "conditions": pl.List(pl.String()),  # sale conditions of the tape
    "trade_id": pl.Int64(),  # unique for one exchange and day
    "tape": pl.String(),
}
QUOTE_SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "quoted_at": pl.Datetime("us", "UTC"),
    "bid_price": pl.Float64(),
    "bid_size": pl.Float64(),  # as the vendor counts, shares or round lots
    "bid_exchange": pl.String(),
    "ask_price": pl.Float64(),
    "ask_size": pl.Float64(),
    "ask_exchange": pl.String(),
    "conditions": pl.List(pl.String()),
    "tape": pl.String(),
}


@runtime_checkable
class TickProvider(Protocol):
    """A provider that has every trade and every best bid and offer.

    Both methods give frames as they come, each at most a page of the vendor's, in time order for each symbol; rows are
    unchecked. They raise ProviderDown where the vendor does not answer, ProviderError where it refuses.
    """

    def fetch_trades(self, symbols: Sequence[str], start_at: datetime, end_at: datetime) -> Iterator[pl.DataFrame]:
        """Trades (TRADE_SCHEMA) with start_at <= traded_at < end_at."""
        ...

    def fetch_quotes(self, symbols: Sequence[str], start_at: datetime, end_at: datetime) -> Iterator[pl.DataFrame]:
        """Best bids and offers (QUOTE_SCHEMA) with start_at <= quoted_at < end_at."""
        ...
