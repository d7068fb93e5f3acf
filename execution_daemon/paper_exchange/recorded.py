"""Recorded books as text: one line per change of the best bid and offer, with the trade that was printed, if one was.

CSV with a header: `at,symbol,bid,bid_size,ask,ask_size` and, where trades were recorded, `last,last_size`. Times are
ISO 8601 with an offset, prices in USD, sizes in shares; lines may come in any order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from execution_daemon.paper_exchange import requests
from execution_daemon.paper_exchange.refusals import Refused, malformed
from execution_daemon.paper_exchange.tape import Quote

COLUMNS = ("at", "symbol", "bid", "bid_size", "ask", "ask_size")


def parse(text: str) -> Mapping[str, list[Quote]]:
    """Quotes by symbol; raises Refused, naming the line, where one cannot be read."""
    reader = csv.DictReader(io.StringIO(text))
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise malformed(f"a recorded book has the columns {', '.join(COLUMNS)}: {', '.join(missing)} is not there")
    books: dict[str, list[Quote]] = {}
    for number, row in enumerate(reader, start=2):
        try:
            books.setdefault(row["symbol"].strip().upper(), []).append(_quote(row))
        except (InvalidOperation, TypeError, AttributeError, ValueError, Refused) as error:
            raise malformed(f"line {number} of the recorded book cannot be read: {error}") from error
    return books


def _quote(row: Mapping[str, str]) -> Quote:
    bid, bid_size, ask, ask_size = (_number(row[name]) for name in COLUMNS[2:])
    if not 0 < bid <= ask or bid_size < 0 or ask_size < 0:
        raise ValueError(f"bid {bid} x {bid_size} and ask {ask} x {ask_size} are no book")
    last, last_size = (_number(row[name]) if row.get(name) else None for name in ("last", "last_size"))
    if (last is None) != (last_size is None):
        raise ValueError("last and last_size go together")
    return Quote(requests.moment(row["at"], "at"), bid, bid_size, ask, ask_size, last, last_size)


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{text} is no number")
    return value
