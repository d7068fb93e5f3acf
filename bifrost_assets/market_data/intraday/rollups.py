"""Five-minute bars, stored for fast reads. The formula is raw.rolled_up_minutes_as_of and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

from bifrost_core.calendar import sessions_between

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

COLUMNS = "instrument_id, session, start_at, open, high, low, close, volume, minutes, available_at, ingested_at"
CLEAR = "delete from features.five_minute_bars where session between %s and %s"
FILL = f"""
    insert into features.five_minute_bars ({COLUMNS})
    select {COLUMNS} from raw.rolled_up_minutes_as_of(5, %s, %s)
    order by instrument_id, start_at
"""  # noqa: S608 - names of columns


def store_five_minute_bars(warehouse: Warehouse, first: date, last: date, log: Callable[[str], None]) -> int:
    """Make the five-minute bars of the sessions `first` to `last` anew, month by month; returns the bars there are."""
    total = 0
    sessions = sessions_between(warehouse.settings.exchange, first, last)
    for _, group in groupby(sessions, key=lambda s: (s.session.year, s.session.month)):
        month = list(group)
        window = (month[0].session, month[-1].session)
        with warehouse.transaction() as connection:
            connection.execute(CLEAR, window)
            total += connection.execute(FILL, window).rowcount
        log(f"five-minute bars to {window[1]}: {total} so far")
    return total
